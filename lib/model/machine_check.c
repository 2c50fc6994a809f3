/* What concerns several machines at once. */
#include "model/machine.h"

static bool is_pointer_equal(const struct ow_pointer *a, const struct ow_pointer *b)
{
    return strcmp(a->text, b->text) == 0;
}

static bool is_part_equal(const struct ow_part *a, const struct ow_part *b)
{
    if (a->kind != b->kind) {
        return false;
    }
    if (a->kind == OW_PART_POINTER) {
        return is_pointer_equal(&a->pointer, &b->pointer);
    }
    return a->kind != OW_PART_HEADER || ow_slice_equal(a->header, b->header);
}

static bool is_filter_equal(const struct ow_machine *a, const struct ow_machine *b)
{
    if (a->filtered_count != b->filtered_count) {
        return false;
    }
    for (size_t i = 0; i < a->filtered_count; i++) {
        bool found = false;
        for (size_t j = 0; j < b->filtered_count; j++) {
            found = found || strcmp(a->filtered[i], b->filtered[j]) == 0;
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static const char *shared_topic(const struct ow_machine *a, const struct ow_machine *b)
{
    for (size_t i = 0; i < a->topic_count; i++) {
        for (size_t j = 0; j < b->topic_count; j++) {
            if (strcmp(a->topics[i], b->topics[j]) == 0) {
                return a->topics[i];
            }
        }
    }
    return NULL;
}

/* The record is read before it is known which machine it is for: all that concerns reading must
 * agree. */
static const char *disagreement(const struct ow_machine *a, const struct ow_machine *b)
{
    const struct ow_message_rule *const left = &a->message;
    const struct ow_message_rule *const right = &b->message;
    if (left->format != right->format || !is_part_equal(&left->type, &right->type) ||
        !is_part_equal(&left->id, &right->id) || !is_part_equal(&left->source, &right->source) ||
        !is_part_equal(&left->time, &right->time)) {
        return "message (except entity)";
    }
    if (a->unknown != b->unknown) {
        return "unknown";
    }
    if (a->tombstones != b->tombstones) {
        return "tombstones";
    }
    return is_filter_equal(a, b) ? NULL : "filter";
}

static enum ow_status check_topic(const struct ow_machine *a, const struct ow_machine *b,
                                  const char *topic, struct ow_err *err)
{
    const char *const what = disagreement(a, b);
    if (what != NULL) {
        return ow_fail(
            err, OW_BAD_CONFIG,
            "%s: machines that share a topic must agree on %s, and '%s' in %s differs (topic '%s')",
            b->file, what, a->name, a->file, topic);
    }
    for (size_t i = 0; i < a->event_count; i++) {
        if (ow_machine_event(b, ow_slice_of(a->events[i].name)) != NULL) {
            return ow_fail(
                err, OW_BAD_CONFIG,
                "%s: the event '%s' of topic '%s' belongs to the machine '%s' in %s already",
                b->file, a->events[i].name, topic, a->name, a->file);
        }
    }
    return OW_OK;
}

static size_t table_count(const struct ow_machine *machine)
{
    return 1 + machine->record_count;
}

static const char *table_name(const struct ow_machine *machine, size_t index)
{
    return index == 0 ? machine->entity.name : machine->records[index - 1].name;
}

static enum ow_status check_tables(const struct ow_machine *a, const struct ow_machine *b,
                                   struct ow_err *err)
{
    for (size_t i = 0; i < table_count(a); i++) {
        for (size_t j = 0; j < table_count(b); j++) {
            if (strcmp(table_name(a, i), table_name(b, j)) == 0) {
                return ow_fail(err, OW_BAD_CONFIG,
                               "%s: the table '%s' belongs to the machine '%s' in %s already",
                               b->file, table_name(b, j), a->name, a->file);
            }
        }
    }
    return OW_OK;
}

static enum ow_status check_pair(const struct ow_machine *a, const struct ow_machine *b,
                                 struct ow_err *err)
{
    OW_TRY(check_tables(a, b, err));
    const char *const topic = shared_topic(a, b);
    return topic == NULL ? OW_OK : check_topic(a, b, topic, err);
}

static enum ow_status check_with_earlier(const struct ow_machines *machines, size_t index,
                                         struct ow_err *err)
{
    for (size_t i = 0; i < index; i++) {
        OW_TRY(check_pair(machines->list[i], machines->list[index], err));
    }
    return OW_OK;
}

enum ow_status ow_machines_check(const struct ow_machines *machines, struct ow_err *err)
{
    for (size_t i = 1; i < machines->count; i++) {
        OW_TRY(check_with_earlier(machines, i, err));
    }
    return OW_OK;
}
