#include "model/retention.h"

#include "base/buffer.h"
#include "base/contract.h"
#include "base/duration.h"

#include <string.h>

static bool reads_topic(const struct ow_machine *machine, const char *topic)
{
    bool found = topic == NULL;
    for (size_t i = 0; i < machine->topic_count && !found; i++) {
        found = strcmp(machine->topics[i], topic) == 0;
    }
    return found;
}

struct ow_retention ow_retention_shortest(const struct ow_machines *machines, const char *topic)
{
    struct ow_retention shortest = {.ms = INT64_MAX};
    for (size_t i = 0; i < machines->count; i++) {
        const struct ow_machine *const machine = machines->list[i];
        for (size_t j = 0; j < machine->event_count && reads_topic(machine, topic); j++) {
            if (machine->events[j].claim->retention_ms < shortest.ms) {
                shortest = (struct ow_retention){.ms = machine->events[j].claim->retention_ms,
                                                 .machine = machine,
                                                 .event = &machine->events[j]};
            }
        }
    }
    return shortest;
}

/* Says that it is too short: a warning, or with strict a failure. */
static void say_short(const struct ow_retention_rule *rule, const char *subject, const char *text,
                      const struct ow_check *check)
{
    if (rule->strict) {
        ow_check_failed(check, OW_UNSAFE, subject, "%s (refused: claims.strict)", text);
    } else {
        ow_check_warning(check, subject, "%s", text);
    }
}

static void compare_one(const struct ow_retention_rule *rule, const struct ow_reach *reach,
                        const struct ow_check *check)
{
    const struct ow_retention kept = ow_retention_shortest(rule->machines, reach->topic);
    char far[OW_DURATION_TEXT_MAX];
    char near[OW_DURATION_TEXT_MAX];
    (void)ow_duration_text(reach->ms, far);
    (void)ow_duration_text(kept.ms, near);
    if (reach->ms <= kept.ms) {
        ow_check_good(check, reach->subject, "%s %s, claims are kept %s", reach->says, far, near);
        return;
    }
    OW_BUFFER text = {0};
    ow_buffer_printf(&text,
                     "%s %s, claims only %s (event %s): what comes again from before that is "
                     "quarantined (expired); raise claim.retention in %s, or lower %s",
                     reach->says, far, near, kept.event->name, kept.machine->file, reach->remedy);
    say_short(rule, reach->subject, ow_buffer_cstr(&text), check);
}

void ow_retention_compare(const struct ow_retention_rule *rule, const struct ow_reach *reaches,
                          size_t count, const struct ow_check *check)
{
    for (size_t i = 0; i < count; i++) {
        compare_one(rule, &reaches[i], check);
    }
}

const char *ow_retention_skew_problem(const struct ow_machines *machines, int64_t skew_ms,
                                      struct ow_arena *arena)
{
    const struct ow_retention kept = ow_retention_shortest(machines, NULL);
    char skew[OW_DURATION_TEXT_MAX];
    char near[OW_DURATION_TEXT_MAX];
    if (skew_ms < kept.ms) {
        return NULL;
    }
    (void)ow_duration_text(skew_ms, skew);
    (void)ow_duration_text(kept.ms, near);
    return ow_arena_printf(arena,
                           "%s is no less than the %s that claims are kept (event %s): once "
                           "something was pruned, all that is new would be quarantined (expired); "
                           "lower it, or raise claim.retention in %s",
                           skew, near, kept.event->name, kept.machine->file);
}

void ow_retention_compare_skew(const struct ow_retention_rule *rule, int64_t skew_ms,
                               const struct ow_check *check)
{
    static const char subject[] = "claims.skew";
    const struct ow_retention kept = ow_retention_shortest(rule->machines, NULL);
    char skew[OW_DURATION_TEXT_MAX];
    char near[OW_DURATION_TEXT_MAX];
    char late[OW_DURATION_TEXT_MAX];
    if (kept.event == NULL || skew_ms >= kept.ms) {
        return; /* no machine was read, which is told elsewhere, or the configuration is refused */
    }
    (void)ow_duration_text(skew_ms, skew);
    (void)ow_duration_text(kept.ms, near);
    (void)ow_duration_text(kept.ms - skew_ms, late);
    if (skew_ms <= kept.ms / 2) {
        ow_check_good(check, subject, "%s, claims are kept %s", skew, near);
        return;
    }
    OW_BUFFER text = {0};
    ow_buffer_printf(&text,
                     "%s, claims are kept %s (event %s): what comes more than %s late is "
                     "quarantined (expired); lower it, or raise claim.retention in %s",
                     skew, near, kept.event->name, late, kept.machine->file);
    say_short(rule, subject, ow_buffer_cstr(&text), check);
}

static bool parks(const struct ow_machine *machine, const struct ow_event_type *event)
{
    bool found = false;
    for (size_t i = 0; i < machine->state_count && !found; i++) {
        found = event->cells[i].kind == OW_CELL_PARK;
    }
    return found;
}

/* Of the events that the machine parks; NULL: none. */
static const struct ow_event_type *shortest_parked(const struct ow_machine *machine)
{
    const struct ow_event_type *shortest = NULL;
    for (size_t i = 0; i < machine->event_count; i++) {
        const struct ow_event_type *const event = &machine->events[i];
        if (parks(machine, event) &&
            (shortest == NULL || event->claim->retention_ms < shortest->claim->retention_ms)) {
            shortest = event;
        }
    }
    return shortest;
}

void ow_retention_compare_parking(const struct ow_retention_rule *rule,
                                  const struct ow_check *check)
{
    static const char subject[] = "park.deadline";
    for (size_t i = 0; i < rule->machines->count; i++) {
        const struct ow_machine *const machine = rule->machines->list[i];
        const struct ow_event_type *const event = shortest_parked(machine);
        char parked[OW_DURATION_TEXT_MAX];
        char near[OW_DURATION_TEXT_MAX];
        if (event == NULL) {
            continue;
        }
        (void)ow_duration_text(machine->park_deadline_ms, parked);
        (void)ow_duration_text(event->claim->retention_ms, near);
        if (machine->park_deadline_ms <= event->claim->retention_ms) {
            ow_check_good(check, subject, "'%s' lets records wait %s, claims are kept %s",
                          machine->name, parked, near);
            continue;
        }
        OW_BUFFER text = {0};
        ow_buffer_printf(&text,
                         "'%s' lets records wait %s, claims are only kept %s (event %s): what "
                         "comes again while the first one waits is quarantined (expired); raise "
                         "claim.retention in %s, or lower park.deadline",
                         machine->name, parked, near, event->name, machine->file);
        say_short(rule, subject, ow_buffer_cstr(&text), check);
    }
}

void ow_retention_unknown(const struct ow_retention_rule *rule, enum ow_status status,
                          const char *subject, const char *text, const struct ow_check *check)
{
    if (rule->strict) {
        ow_check_failed(check, status, subject,
                        "%s: not compared with claim.retention (refused: claims.strict)", text);
    } else {
        ow_check_warning(check, subject, "%s: not compared with claim.retention", text);
    }
}
