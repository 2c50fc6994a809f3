#include "model/retention.h"

#include "base/buffer.h"
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
    if (rule->strict) {
        ow_check_failed(check, OW_UNSAFE, reach->subject, "%s (refused: claims.strict)",
                        ow_buffer_cstr(&text));
    } else {
        ow_check_warning(check, reach->subject, "%s", ow_buffer_cstr(&text));
    }
}

void ow_retention_compare(const struct ow_retention_rule *rule, const struct ow_reach *reaches,
                          size_t count, const struct ow_check *check)
{
    for (size_t i = 0; i < count; i++) {
        compare_one(rule, &reaches[i], check);
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
