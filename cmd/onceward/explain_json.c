/* The story of an id for programs. Names are stable; what is not known is null. */
#include "explain_print.h"

/* Foreign bytes that are no UTF-8 become null rather than be made up. */
static json_t *text(const char *value)
{
    json_t *const made = value == NULL ? NULL : json_string(value);
    return made == NULL ? json_null() : made;
}

static json_t *number(int64_t value, bool is_known)
{
    return is_known ? json_integer((json_int_t)value) : json_null();
}

static json_t *moment(const struct ow_explain_moment *moment)
{
    return json_pack("{s:o, s:o}", "least_ms",
                     number(moment->least_ms, moment->least_ms != INT64_MIN), "most_ms",
                     number(moment->most_ms, moment->most_ms != INT64_MAX));
}

/* Adds topic, partition and offset. */
static json_t *with_place(json_t *object, const struct ow_explain_place *place)
{
    const bool is_known = place->topic != NULL;
    json_object_set_new(object, "topic", text(place->topic));
    json_object_set_new(object, "partition", number(place->partition, is_known));
    json_object_set_new(object, "offset", number(place->offset, is_known));
    return object;
}

/* first, second: JSON texts, cut where they are long; null: absent. */
static json_t *difference(const struct ow_difference *difference)
{
    static const char *const words[] = {
        [OW_KEPT_ELSEWHERE] = "elsewhere", [OW_KEPT_NOTHING] = "nothing",
        [OW_KEPT_ERASED] = "erased",       [OW_KEPT_UNREADABLE] = "unreadable",
        [OW_KEPT_DATA] = "data",           [OW_KEPT_WHOLE] = "whole"};
    if (difference == NULL) {
        return json_null();
    }
    json_t *const fields = json_array();
    for (size_t i = 0; i < difference->count; i++) {
        const struct ow_difference_field *const field = &difference->fields[i];
        json_array_append_new(fields,
                              json_pack("{s:o, s:o, s:o}", "field", text(field->name), "first",
                                        text(field->first), "second", text(field->second)));
    }
    return json_pack("{s:s, s:o, s:I}", "first_kept", words[difference->kept], "fields", fields,
                     "more", (json_int_t)difference->more);
}

static json_t *quarantine(const struct ow_explain_quarantine *row)
{
    if (row == NULL) {
        return json_null();
    }
    json_t *const made =
        json_pack("{s:I, s:o, s:o, s:o, s:o, s:o}", "id", (json_int_t)row->id, "reason",
                  text(row->reason), "detail", text(row->detail), "status", text(row->status),
                  "note", text(row->note), "entity_id", text(row->entity_id));
    json_object_set_new(made, "conflict_ref", number(row->conflict_ref, row->conflict_ref != 0));
    json_object_set_new(made, "difference", difference(row->difference));
    json_object_set_new(made, "first_seen_ms", json_integer((json_int_t)row->first_seen_ms));
    json_object_set_new(made, "last_seen_ms", json_integer((json_int_t)row->last_seen_ms));
    json_object_set_new(made, "seen", json_integer((json_int_t)row->seen));
    json_object_set_new(made, "attempts", json_integer((json_int_t)row->attempts));
    return with_place(made, &row->place);
}

static json_t *claim(const struct ow_explain_event *event, int64_t now_ms)
{
    static const char *const words[] = {[OW_EXPLAIN_CLAIM_FOUND] = "found",
                                        [OW_EXPLAIN_CLAIM_MISSING] = "missing",
                                        [OW_EXPLAIN_CLAIM_UNKNOWN] = "unknown",
                                        [OW_EXPLAIN_CLAIM_NONE] = "none"};
    const struct ow_explain_claim *const claim = &event->claim;
    json_t *const made = json_pack("{s:s}", "is", words[claim->claimed]);
    if (claim->claimed == OW_EXPLAIN_CLAIM_FOUND) {
        json_object_set_new(made, "bucket", json_integer((json_int_t)claim->bucket));
        json_object_set_new(made, "key", text(claim->key));
        json_object_set_new(made, "fingerprint", text(claim->fingerprint));
        json_object_set_new(made, "rule", json_integer((json_int_t)claim->rule));
        json_object_set_new(made, "retention_ms", json_integer((json_int_t)claim->retention_ms));
        json_object_set_new(made, "bucket_opened_at_ms",
                            json_integer((json_int_t)claim->bucket_opened_at_ms));
        json_object_set_new(made, "age_ms",
                            number(now_ms - event->seen.most_ms, event->seen.most_ms != INT64_MAX));
    }
    return made;
}

static json_t *applied(const struct ow_explain_event *event)
{
    if (event->seq == 0) {
        return json_null();
    }
    json_t *const made =
        json_pack("{s:I, s:I, s:I, s:o, s:o, s:I, s:o}", "seq", (json_int_t)event->seq, "version",
                  (json_int_t)event->version, "machine_version", (json_int_t)event->machine_version,
                  "from", text(event->from), "to", text(event->to), "at_ms",
                  (json_int_t)event->applied_at_ms, "via", text(event->via));
    json_t *const data = event->data == NULL ? NULL : json_loads(event->data, 0, NULL);
    json_object_set_new(made, "data", data == NULL ? json_null() : data);
    json_object_set_new(made, "erased_at_ms",
                        number(event->erased_at_ms, event->erased_at_ms != INT64_MIN));
    return made;
}

static json_t *parked(const struct ow_explain_event *event)
{
    if (!event->was_parked) {
        return json_null();
    }
    const bool is_parked = event->waits_for != NULL;
    return json_pack("{s:o, s:o, s:o, s:o}", "since", moment(&event->seen), "until",
                     is_parked ? json_null() : moment(&event->parked_until), "deadline_ms",
                     number(event->deadline_ms, is_parked), "waits_for", text(event->waits_for));
}

static json_t *event_of(const struct ow_explain_event *event, int64_t now_ms)
{
    json_t *const made =
        json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "ref", (json_int_t)event->ref,
                  "outcome", text(event->outcome), "first_outcome", text(event->first_outcome),
                  "machine", text(event->machine), "entity_id", text(event->entity_id), "type",
                  text(event->type), "source", text(event->source), "message_id", text(event->id));
    (void)with_place(made, &event->place);
    json_object_set_new(made, "first_seen", moment(&event->seen));
    json_object_set_new(made, "event_time_ms",
                        number(event->event_time_ms, event->event_time_ms != INT64_MIN));
    json_object_set_new(made, "applied", applied(event));
    json_object_set_new(made, "parked", parked(event));
    json_object_set_new(made, "quarantine", quarantine(event->quarantine));
    json_t *const sightings = json_array();
    for (const struct ow_explain_sighting *each = event->sightings; each != NULL;
         each = each->next) {
        json_t *const one = json_pack("{s:o, s:I}", "cause", text(each->cause), "seen_at_ms",
                                      (json_int_t)each->seen_at_ms);
        json_array_append_new(sightings, with_place(one, &each->place));
    }
    json_object_set_new(made, "sightings", sightings);
    json_t *const conflicts = json_array();
    for (const struct ow_explain_quarantine *each = event->conflicts; each != NULL;
         each = each->next) {
        json_array_append_new(conflicts, quarantine(each));
    }
    json_object_set_new(made, "conflicts", conflicts);
    json_object_set_new(made, "claim", claim(event, now_ms));
    return made;
}

static json_t *columns_of(const struct ow_explain_meaning *meaning)
{
    json_t *const made = json_object();
    for (size_t i = 0; i < meaning->column_count; i++) {
        const struct ow_value *const value = &meaning->values[i];
        json_t *each = NULL;
        if (value->type == OW_TYPE_INTEGER) {
            each = json_integer((json_int_t)value->integer);
        } else if (value->type == OW_TYPE_TEXT) {
            each = json_stringn((const char *)value->text.ptr, value->text.len);
        }
        json_object_set_new(made, meaning->columns[i], each == NULL ? json_null() : each);
    }
    return made;
}

static json_t *meaning_of(const struct ow_explain_meaning *meaning, int64_t now_ms)
{
    static const char *const kinds[] = {[OW_EXPLAIN_ENTITY] = "entity",
                                        [OW_EXPLAIN_RECORD] = "record",
                                        [OW_EXPLAIN_MESSAGE] = "message",
                                        [OW_EXPLAIN_MENTION] = "mention"};
    json_t *const made = json_pack("{s:s, s:o, s:o}", "kind", kinds[meaning->kind], "machine",
                                   text(meaning->machine), "table", text(meaning->table));
    json_t *row = json_null();
    if (meaning->has_row && meaning->kind == OW_EXPLAIN_ENTITY) {
        row = json_pack("{s:o, s:I, s:I, s:I, s:o}", "state", text(meaning->state), "version",
                        (json_int_t)meaning->version, "created_at_ms",
                        (json_int_t)meaning->created_at_ms, "updated_at_ms",
                        (json_int_t)meaning->updated_at_ms, "columns", columns_of(meaning));
    } else if (meaning->has_row) {
        row = json_pack("{s:o}", "columns", columns_of(meaning));
    }
    json_object_set_new(made, "row", row);
    json_t *const events = json_array();
    for (const struct ow_explain_event *each = meaning->events; each != NULL; each = each->next) {
        json_array_append_new(events, event_of(each, now_ms));
    }
    json_object_set_new(made, "events", events);
    return made;
}

json_t *ow_explain_print_json(const char *id, const struct ow_explanation *explanation,
                              int64_t now_ms)
{
    json_t *const meanings = json_array();
    for (const struct ow_explain_meaning *each = explanation->meanings; each != NULL;
         each = each->next) {
        json_array_append_new(meanings, meaning_of(each, now_ms));
    }
    return json_pack("{s:o, s:o, s:b, s:I, s:I, s:b, s:b, s:b, s:o}", "id", text(id), "store_id",
                     text(explanation->store_id), "found", explanation->meanings != NULL, "now_ms",
                     (json_int_t)now_ms, "sources_tried", (json_int_t)explanation->sources_tried,
                     "sources_cut", explanation->sources_cut, "claims_readable",
                     !explanation->key_missing, "history_read", explanation->history_read,
                     "meanings", meanings);
}
