#include "model/difference.h"

#include "base/contract.h"
#include "model/difference_internal.h"
#include "model/envelope.h"

static void compare_texts(struct ow_differing *differing, struct ow_slice name,
                          struct ow_slice first, struct ow_slice second)
{
    OW_BUFFER left = {0};
    OW_BUFFER right = {0};
    if (ow_slice_equal(first, second)) {
        return;
    }
    if (!ow_slice_is_absent(first)) {
        ow_json_canonical_text(&left, first);
    }
    if (!ow_slice_is_absent(second)) {
        ow_json_canonical_text(&right, second);
    }
    ow_difference_text_add(differing, name,
                           ow_slice_is_absent(first) ? first : ow_buffer_view(&left),
                           ow_slice_is_absent(second) ? second : ow_buffer_view(&right));
}

static struct ow_slice name_of_part(struct ow_differing *differing, const struct ow_part *part)
{
    static const char *const names[] = {
        [OW_PART_TYPE] = "type",       [OW_PART_SOURCE] = "source",
        [OW_PART_ID] = "id",           [OW_PART_TIME] = "time",
        [OW_PART_SUBJECT] = "subject", [OW_PART_ENTITY] = "entity id",
        [OW_PART_POINTER] = "pointer", [OW_PART_HEADER] = "header",
        [OW_PART_KEY] = "key",         [OW_PART_NONE] = "",
    };
    return part->kind == OW_PART_HEADER
               ? ow_slice_of(ow_arena_printf(&differing->scratch, "header " OW_SLICE_FMT,
                                             OW_SLICE_ARG(part->header)))
               : ow_slice_of(names[part->kind]);
}

static struct ow_slice attribute_of(struct ow_differing *differing,
                                    const struct ow_envelope *envelope,
                                    const struct ow_record *record, const struct ow_part *part)
{
    const struct ow_attribute attribute =
        ow_envelope_attribute(envelope, record, part, &differing->scratch);
    if (attribute.kind == OW_ATTRIBUTE_ABSENT) {
        return (struct ow_slice){0};
    }
    return ow_slice_is_absent(attribute.text) ? OW_SLICE("") : attribute.text;
}

/* The message rule by which the first was read. */
static const struct ow_message_rule *rule_of(const struct ow_machines *machines,
                                             const struct ow_record *record,
                                             struct ow_envelope *envelope, struct ow_arena *arena)
{
    const struct ow_machine *machine = ow_machines_of_topic(machines, record->topic);
    *envelope = (struct ow_envelope){.malformed = "no machine reads its topic"};
    if (machine == NULL) {
        return NULL;
    }
    ow_envelope_decode(&machine->message, record, arena, envelope);
    if (envelope->malformed == NULL && envelope->type.kind == OW_ATTRIBUTE_TEXT) {
        (void)ow_machines_event(machines, record->topic, envelope->type.text, &machine);
    }
    return &machine->message;
}

static void compare_whole(struct ow_differing *differing, const struct ow_machines *machines,
                          const struct ow_kept *first, const struct ow_event *second,
                          const struct ow_envelope *envelope)
{
    const struct ow_record *const record = &first->record;
    struct ow_envelope kept;
    if (ow_slice_is_absent(record->value) || record->value.len == 0) {
        differing->told->kept = OW_KEPT_ERASED;
        return;
    }
    const struct ow_message_rule *const rule =
        rule_of(machines, record, &kept, &differing->scratch);
    if (kept.malformed != NULL) {
        differing->told->kept = OW_KEPT_UNREADABLE;
        ow_envelope_done(&kept);
        return;
    }
    compare_texts(differing, OW_SLICE("entity id"),
                  attribute_of(differing, &kept, record, &rule->entity), second->entity_id);
    for (size_t i = 0; i < differing->rule->field_count; i++) {
        const struct ow_part *const part = &differing->rule->fields[i];
        if (part->kind == OW_PART_POINTER) {
            ow_difference_tree(differing, &part->pointer, ow_pointer_get(&part->pointer, kept.body),
                               ow_pointer_get(&part->pointer, envelope->body));
        } else if (part->kind != OW_PART_ENTITY) {
            compare_texts(differing, name_of_part(differing, part),
                          attribute_of(differing, &kept, record, part),
                          attribute_of(differing, envelope, second->record, part));
        }
    }
    ow_envelope_done(&kept);
}

static bool begins_with(const struct ow_pointer *pointer, const struct ow_pointer *start)
{
    if (start->step_count > pointer->step_count) {
        return false;
    }
    for (size_t i = 0; i < start->step_count; i++) {
        if (!ow_slice_equal(pointer->steps[i], start->steps[i])) {
            return false;
        }
    }
    return true;
}

static bool is_ignored(const struct ow_claim_rule *rule, const struct ow_pointer *field,
                       const struct ow_pointer *pointer)
{
    for (size_t i = 0; i < rule->ignore_count; i++) {
        if (rule->ignore[i].step_count > field->step_count &&
            begins_with(&rule->ignore[i], field) && begins_with(pointer, &rule->ignore[i])) {
            return true;
        }
    }
    return false;
}

/* Whether the fingerprint covers what a transition has read there. */
static bool is_covered(const struct ow_differing *differing, const struct ow_pointer *pointer)
{
    const struct ow_claim_rule *const rule = differing->rule;
    if (differing->entity != NULL && pointer->step_count == differing->entity->step_count &&
        begins_with(pointer, differing->entity)) {
        return false; /* it is told as the entity id */
    }
    for (size_t i = 0; i < rule->field_count; i++) {
        const struct ow_part *const part = &rule->fields[i];
        if (part->kind == OW_PART_POINTER && begins_with(pointer, &part->pointer) &&
            !is_ignored(rule, &part->pointer, pointer)) {
            return true;
        }
    }
    return false;
}

/* Whether the transition that applied the first reads nothing at all: then it has left no data. */
static bool reads_nothing(const struct ow_machines *machines, const struct ow_kept *first)
{
    const struct ow_machine *const machine = ow_machines_named(machines, first->machine);
    const struct ow_event_type *const type =
        machine == NULL ? NULL : ow_machine_event(machine, first->type);
    const int state = machine == NULL ? -1 : ow_machine_state(machine, first->from_state);
    if (type == NULL || state < 0) {
        return true; /* a newer machine file: nobody knows */
    }
    const struct ow_cell *const cell = &type->cells[state];
    return cell->kind != OW_CELL_APPLY || type->transitions[cell->transition].pointers == 0;
}

static void compare_data(struct ow_differing *differing, const struct ow_machines *machines,
                         const struct ow_kept *first, const struct ow_event *second,
                         const struct ow_envelope *envelope)
{
    const char *detail = NULL;
    compare_texts(differing, OW_SLICE("entity id"), first->entity_id, second->entity_id);
    for (size_t i = 0; i < differing->rule->field_count; i++) {
        const struct ow_part *const part = &differing->rule->fields[i];
        if (part->kind == OW_PART_TYPE) {
            compare_texts(differing, OW_SLICE("type"), first->type, second->type);
        } else if (part->kind == OW_PART_ID) {
            compare_texts(differing, OW_SLICE("id"), first->id, second->id);
        } else if (part->kind == OW_PART_SOURCE && !ow_slice_is_absent(second->source)) {
            compare_texts(differing, OW_SLICE("source"), first->source, second->source);
        }
    }
    OW_JSON *data = ow_json_parse(first->data, &differing->scratch, &detail);
    /* `erased` is no pointer: store/erased.h. */
    if (json_object_get(data, "erased") != NULL ||
        (json_object_size(data) == 0 && !reads_nothing(machines, first))) {
        differing->told->kept = OW_KEPT_ERASED;
        return;
    }
    const char *name = NULL;
    json_t *left = NULL;
    json_object_foreach(data, name, left)
    {
        struct ow_pointer pointer;
        if (ow_pointer_parse(&differing->scratch, name, &pointer) &&
            is_covered(differing, &pointer)) {
            ow_difference_tree(differing, &pointer, left, ow_pointer_get(&pointer, envelope->body));
        }
    }
}

bool ow_difference_is_small(const struct ow_kept *first)
{
    enum { HEADER_BYTES = 32 }; /* its frame */
    const struct ow_record *const record = &first->record;
    size_t bytes = first->type.len + first->source.len + first->id.len + first->entity_id.len +
                   first->data.len + record->key.len + record->value.len;
    for (size_t i = 0; i < record->header_count; i++) {
        bytes += record->headers[i].name.len + record->headers[i].value.len + HEADER_BYTES;
    }
    return bytes <= OW_DIFFERENCE_KEPT_BYTES_MAX;
}

void ow_difference_find(const struct ow_machines *machines, const struct ow_kept *first,
                        const struct ow_event *second, struct ow_arena *arena,
                        struct ow_difference *ret_difference)
{
    OW_REQUIRE(second->verdict == OW_OUTCOME_APPLIED);
    const struct ow_message_rule *const rule = &second->machine->message;
    struct ow_differing differing = {
        .rule = second->event->claim,
        .entity = rule->entity.kind == OW_PART_POINTER ? &rule->entity.pointer : NULL,
        .arena = arena,
        .told = ret_difference,
    };
    *ret_difference = (struct ow_difference){.kept = first->kind};
    if (first->kind != OW_KEPT_DATA && first->kind != OW_KEPT_WHOLE) {
        return;
    }
    ow_arena_init(&differing.scratch, 8192);
    struct ow_envelope envelope;
    ow_envelope_decode(rule, second->record, &differing.scratch, &envelope);
    if (first->kind == OW_KEPT_DATA) {
        compare_data(&differing, machines, first, second, &envelope);
    } else {
        compare_whole(&differing, machines, first, second, &envelope);
    }
    ow_envelope_done(&envelope);
    ow_arena_done(&differing.scratch);
}
