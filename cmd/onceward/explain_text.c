/* The story of an id for people: a line for each thing that happened, in the order in which it did;
 * then how things are now. */
#include "base/parse.h"
#include "explain_print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A line of the timeline. Most have the number under which it happened; sightings and deadlines
 * have none of their own, and stand behind the last number before them. */
struct line {
    const struct ow_explain_event *event;
    const struct ow_explain_place *place;
    int64_t number, time_ms;
    bool is_numbered;
    struct ow_buffer what;
};

struct timeline {
    struct line *lines;
    size_t count, capacity;
};

static struct ow_buffer *add_line(struct timeline *timeline, const struct ow_explain_event *event,
                                  int64_t number, int64_t time_ms)
{
    if (timeline->count == timeline->capacity) {
        timeline->capacity = timeline->capacity == 0 ? 64 : 2 * timeline->capacity;
        timeline->lines =
            reallocarray(timeline->lines, timeline->capacity, sizeof(*timeline->lines));
        OW_INVARIANT(timeline->lines != NULL);
    }
    struct line *const line = &timeline->lines[timeline->count++];
    *line = (struct line){.event = event,
                          .place = &event->place,
                          .number = number,
                          .time_ms = time_ms,
                          .is_numbered = number != 0};
    return &line->what;
}

/* "3 d 2 h", "5 min 7 s", "45 d", "0.250 s": the largest unit and the one below it. */
static const char *span(int64_t span_ms, char out[48])
{
    static const struct {
        const char *name;
        int64_t seconds;
    } units[] = {
        {"d",   86400},
        {"h",   3600 },
        {"min", 60   },
        {"s",   1    }
    };
    span_ms = span_ms < 0 ? 0 : span_ms; /* the clock was set back meanwhile */
    const int64_t s = span_ms / 1000;
    size_t i = 0;
    if (span_ms < 10000) {
        (void)snprintf(out, 48, "%" PRId64 ".%03" PRId64 " s", s, span_ms % 1000);
        return out;
    }
    while (s < units[i].seconds) {
        i++;
    }
    const int64_t rest = units[i].seconds == 1 ? 0 : s % units[i].seconds / units[i + 1].seconds;
    if (rest == 0) {
        (void)snprintf(out, 48, "%" PRId64 " %s", s / units[i].seconds, units[i].name);
    } else {
        (void)snprintf(out, 48, "%" PRId64 " %s %" PRId64 " %s", s / units[i].seconds,
                       units[i].name, rest, units[i + 1].name);
    }
    return out;
}

static const char *time_text(int64_t time_ms, char out[OW_TIME_TEXT_BYTES])
{
    ow_format_time_ms(time_ms, out);
    return out;
}

static const char *or_unknown(const char *text)
{
    return text == NULL ? "?" : text;
}

/* "for 3 h 2 min", "for 3 to 5 s". */
static void append_parked_for(struct ow_buffer *out, const struct ow_explain_event *event)
{
    char least[48];
    char most[48];
    const int64_t until_ms = event->parked_until.least_ms;
    if (event->seen.least_ms == until_ms) {
        ow_buffer_text(out, "parked for a part of one batch");
        return;
    }
    (void)span(until_ms - event->seen.most_ms, least);
    if (event->seen.least_ms == INT64_MIN) {
        ow_buffer_printf(out, "parked for at least %s", least);
        return;
    }
    (void)span(until_ms - event->seen.least_ms, most);
    if (strcmp(least, most) == 0) {
        ow_buffer_printf(out, "parked for %s", least);
    } else {
        ow_buffer_printf(out, "parked for %s to %s", least, most);
    }
}

static void append_quarantined(struct ow_buffer *out, const struct ow_explain_quarantine *row)
{
    ow_buffer_printf(out, "quarantined (%s, row %" PRId64 "): ", row->reason, row->id);
    if (row->difference == NULL) {
        ow_buffer_text(out, row->detail);
    } else { /* its fields have lines of their own */
        ow_buffer_printf(out, "the id is taken by message %" PRId64 " with other content",
                         row->conflict_ref);
    }
}

static void append_transition(struct ow_buffer *out, const struct ow_explain_event *event)
{
    ow_buffer_printf(out, "applied%s%s: %s -> %s, version %" PRId64,
                     strcmp(event->via, "kafka") == 0 ? "" : " via ",
                     strcmp(event->via, "kafka") == 0 ? "" : event->via, or_unknown(event->from),
                     or_unknown(event->to), event->version);
    if (event->erased_at_ms != INT64_MIN) {
        char at[OW_TIME_TEXT_BYTES];
        ow_buffer_printf(out, "; payload erased at %s", time_text(event->erased_at_ms, at));
    }
}

static void append_unapplied(struct ow_buffer *out, const struct ow_explain_event *event)
{
    ow_buffer_text(out, strcmp(event->outcome, OW_EXPLAIN_SEEDED) == 0
                            ? "seeded: taken over from another system, not applied"
                            : "stale: it says nothing new");
}

/* What came of a parked or requeued message later. */
static void add_later(struct timeline *timeline, const struct ow_explain_event *event)
{
    struct ow_buffer *out = NULL;
    if (event->seq != 0) {
        out = add_line(timeline, event, event->seq, event->applied_at_ms);
        append_transition(out, event);
    } else if (event->quarantine != NULL) {
        out = add_line(timeline, event, 0, event->quarantine->first_seen_ms);
        append_quarantined(out, event->quarantine);
    } else if (event->outcome != NULL) {
        out = add_line(timeline, event, 0, event->parked_until.least_ms);
        append_unapplied(out, event);
    }
    if (out != NULL && event->was_parked) {
        ow_buffer_text(out, "; it was ");
        append_parked_for(out, event);
    }
}

/* The first sight, and what followed. */
static void add_first(struct timeline *timeline, const struct ow_explain_event *event)
{
    const int64_t time_ms =
        event->seen.least_ms == INT64_MIN ? event->seen.most_ms : event->seen.least_ms;
    struct ow_buffer *const out = add_line(timeline, event, event->ref, time_ms);
    if (event->was_parked) {
        ow_buffer_text(out, "parked");
        if (event->seen.least_ms != event->seen.most_ms) {
            char until[OW_TIME_TEXT_BYTES];
            ow_buffer_printf(out, " (then, or up to %s)", time_text(event->seen.most_ms, until));
        }
        if (event->waits_for == NULL) {
            add_later(timeline, event);
        }
    } else if (event->quarantine != NULL) {
        append_quarantined(out, event->quarantine);
        if (event->seq != 0) {
            add_later(timeline, event);
        }
    } else if (event->seq != 0) {
        append_transition(out, event);
    } else if (event->outcome != NULL) {
        append_unapplied(out, event);
    } else {
        ow_buffer_text(out, "claimed; no row tells what became of it (see onceward verify)");
    }
}

static void add_sightings(struct timeline *timeline, const struct ow_explain_event *event)
{
    for (const struct ow_explain_sighting *each = event->sightings; each != NULL;
         each = each->next) {
        if (ow_explain_sighting_owns(each)) {
            continue; /* its first sight */
        }
        struct ow_buffer *const out = add_line(timeline, event, 0, each->seen_at_ms);
        ow_buffer_printf(out, "duplicate: the same message again, %s",
                         strcmp(each->cause, "other_channel") == 0 ? "over the other channel"
                                                                   : "at another offset");
        timeline->lines[timeline->count - 1].place = &each->place;
    }
    for (const struct ow_explain_quarantine *each = event->conflicts; each != NULL;
         each = each->next) {
        struct ow_buffer *const out = add_line(timeline, event, each->id, each->first_seen_ms);
        append_quarantined(out, each);
        timeline->lines[timeline->count - 1].place = &each->place;
    }
}

static int compare_numbers(const void *a, const void *b)
{
    const struct line *const left = a;
    const struct line *const right = b;
    if (left->is_numbered != right->is_numbered) {
        return left->is_numbered ? -1 : 1;
    }
    return (left->number > right->number) - (left->number < right->number);
}

static int compare_lines(const void *a, const void *b)
{
    const struct line *const left = a;
    const struct line *const right = b;
    if (left->number != right->number) {
        return left->number < right->number ? -1 : 1;
    }
    if (left->is_numbered != right->is_numbered) {
        return left->is_numbered ? -1 : 1;
    }
    return (left->time_ms > right->time_ms) - (left->time_ms < right->time_ms);
}

/* The lines of one batch have one time: then the order in their partition decides, if they share
 * one. */
static bool is_later(const struct line *line, const struct line *than)
{
    const struct ow_explain_place *const one = line->place;
    const struct ow_explain_place *const other = than->place;
    if (line->time_ms != than->time_ms || one->topic == NULL || other->topic == NULL ||
        strcmp(one->topic, other->topic) != 0 || one->partition != other->partition) {
        return line->time_ms > than->time_ms;
    }
    return one->offset > other->offset;
}

/* Numbers order what has one, whatever the wall clock did meanwhile. */
static void sort(struct timeline *timeline)
{
    size_t numbered = 0;
    qsort(timeline->lines, timeline->count, sizeof(*timeline->lines), compare_numbers);
    while (numbered < timeline->count && timeline->lines[numbered].is_numbered) {
        numbered++;
    }
    for (size_t i = numbered; i < timeline->count; i++) {
        struct line *const line = &timeline->lines[i];
        line->number = line->event->ref;
        for (size_t k = 0; k < numbered; k++) {
            if (is_later(line, &timeline->lines[k]) && timeline->lines[k].number > line->number) {
                line->number = timeline->lines[k].number;
            }
        }
    }
    qsort(timeline->lines, timeline->count, sizeof(*timeline->lines), compare_lines);
}

static void print_line(struct ow_grid *grid, struct line *line)
{
    char number[24] = "";
    char time[OW_TIME_TEXT_BYTES] = "";
    OW_BUFFER message = {0};
    OW_BUFFER where = {0};
    if (line->is_numbered) {
        (void)snprintf(number, sizeof(number), "%" PRId64, line->number);
    }
    if (line->time_ms != INT64_MIN && line->time_ms != INT64_MAX) {
        ow_format_time_ms(line->time_ms, time);
    }
    if (line->event->type == NULL && line->event->id == NULL) {
        ow_buffer_text(&message, "(unreadable)");
    } else {
        ow_buffer_printf(&message, "%s%s%s", line->event->type == NULL ? "" : line->event->type,
                         line->event->type == NULL || line->event->id == NULL ? "" : " ",
                         line->event->id == NULL ? "" : line->event->id);
    }
    if (line->place->topic != NULL) {
        ow_buffer_printf(&where, "%s[%" PRId64 "] %" PRId64, line->place->topic,
                         line->place->partition, line->place->offset);
    }
    ow_grid_row(grid, (const char *const[]){number, time, ow_buffer_cstr(&message),
                                            ow_buffer_cstr(&where), ow_buffer_cstr(&line->what)});
}

static void print_timeline(const struct ow_explain_meaning *meaning)
{
    struct timeline timeline = {0};
    for (const struct ow_explain_event *each = meaning->events; each != NULL; each = each->next) {
        add_first(&timeline, each);
        add_sightings(&timeline, each);
    }
    OW_GRID grid = {.column_count = 5};
    ow_grid_row(&grid, (const char *const[]){"NUMBER", "TIME", "MESSAGE", "WHERE", "WHAT"});
    if (timeline.count > 0) {
        sort(&timeline);
    }
    for (size_t i = 0; i < timeline.count; i++) {
        print_line(&grid, &timeline.lines[i]);
        ow_buffer_done(&timeline.lines[i].what);
    }
    free(timeline.lines);
    ow_grid_print(&grid, stdout);
}

static void print_columns(const struct ow_explain_meaning *meaning)
{
    for (size_t i = 0; i < meaning->column_count; i++) {
        const struct ow_value *const value = &meaning->values[i];
        printf("%s%s ", i == 0 ? "" : ", ", meaning->columns[i]);
        if (value->type == OW_TYPE_INTEGER) {
            printf("%" PRId64, value->integer);
        } else if (value->type == OW_TYPE_TEXT) {
            ow_output_text(stdout, value->text);
        } else {
            printf("null");
        }
    }
}

static void print_row(const struct ow_explain_meaning *meaning)
{
    char created[OW_TIME_TEXT_BYTES];
    char updated[OW_TIME_TEXT_BYTES];
    if (meaning->table == NULL) {
        return; /* a message is no row */
    }
    if (!meaning->has_row) {
        printf("now:    not in table %s\n", meaning->table);
        return;
    }
    printf("now:    ");
    if (meaning->kind == OW_EXPLAIN_ENTITY) {
        printf("%s%s%s, version %" PRId64 "%s", ow_output_colour(stdout, OW_COLOUR_BOLD),
               meaning->state, ow_output_colour(stdout, OW_COLOUR_NONE), meaning->version,
               meaning->column_count == 0 ? "" : ": ");
    }
    print_columns(meaning);
    if (meaning->kind == OW_EXPLAIN_ENTITY) {
        printf("\n        event times from %s to %s", time_text(meaning->created_at_ms, created),
               time_text(meaning->updated_at_ms, updated));
    }
    printf("\n");
}

static void print_parked(const struct ow_explain_event *event, int64_t now_ms)
{
    char since[OW_TIME_TEXT_BYTES];
    char deadline[OW_TIME_TEXT_BYTES];
    char text[48];
    printf("%sparked:%s %s ", ow_output_colour(stdout, OW_COLOUR_YELLOW),
           ow_output_colour(stdout, OW_COLOUR_NONE), or_unknown(event->type));
    ow_output_text(stdout, ow_slice_of(or_unknown(event->id)));
    printf(" since %s (%s), at most until %s; %s\n", time_text(event->seen.least_ms, since),
           span(now_ms - event->seen.least_ms, text), time_text(event->deadline_ms, deadline),
           event->waits_for);
}

static void print_claim(const struct ow_explain_event *event, int64_t now_ms)
{
    const struct ow_explain_claim *const claim = &event->claim;
    char age[48];
    char kept[48];
    printf("claim of %" PRId64 ": ", event->ref);
    switch (claim->claimed) {
    case OW_EXPLAIN_CLAIM_FOUND:
        printf("bucket %" PRId64 ", fingerprint rule %" PRId64 ", ", claim->bucket, claim->rule);
        if (event->seen.most_ms != INT64_MAX) {
            printf("%s old, ", span(now_ms - event->seen.most_ms, age));
        }
        printf("kept for %s\n", span(claim->retention_ms, kept));
        return;
    case OW_EXPLAIN_CLAIM_MISSING:
        printf("gone\n");
        return;
    case OW_EXPLAIN_CLAIM_UNKNOWN:
        printf("cannot be looked up from what is stored\n");
        return;
    case OW_EXPLAIN_CLAIM_NONE:
        printf("none, for such a record claims nothing\n");
        return;
    }
}

static void print_heading(const struct ow_explain_meaning *meaning)
{
    const struct ow_explain_event *const event = meaning->events;
    printf("%s", ow_output_colour(stdout, OW_COLOUR_BOLD));
    ow_output_text(stdout, ow_slice_of(meaning->id));
    switch (meaning->kind) {
    case OW_EXPLAIN_ENTITY:
        printf(": an entity of machine %s (table %s)", meaning->machine, meaning->table);
        break;
    case OW_EXPLAIN_RECORD:
        printf(": a row of record table %s of machine %s", meaning->table, meaning->machine);
        break;
    case OW_EXPLAIN_MESSAGE:
        printf(": a message%s", event->source == NULL ? "" : " from ");
        ow_output_text(stdout, ow_slice_of(event->source));
        break;
    case OW_EXPLAIN_MENTION:
        printf(": in the bytes of records that cannot be read");
        break;
    }
    printf("%s\n", ow_output_colour(stdout, OW_COLOUR_NONE));
    if ((meaning->kind == OW_EXPLAIN_RECORD || meaning->kind == OW_EXPLAIN_MESSAGE) &&
        event != NULL && event->entity_id != NULL) {
        printf("belongs to ");
        ow_output_text(stdout, ow_slice_of(event->entity_id));
        printf(" of machine %s\n", or_unknown(event->machine));
    }
}

static void print_meaning(const struct ow_explain_meaning *meaning, int64_t now_ms)
{
    print_heading(meaning);
    printf("\n");
    print_timeline(meaning);
    printf("\n");
    print_row(meaning);
    for (const struct ow_explain_event *each = meaning->events; each != NULL; each = each->next) {
        if (each->waits_for != NULL) {
            print_parked(each, now_ms);
        }
        if (each->quarantine != NULL) {
            ow_explain_print_quarantine(each->quarantine);
        }
        for (const struct ow_explain_quarantine *conflict = each->conflicts; conflict != NULL;
             conflict = conflict->next) {
            ow_explain_print_quarantine(conflict);
        }
    }
    for (const struct ow_explain_event *each = meaning->events; each != NULL; each = each->next) {
        print_claim(each, now_ms);
    }
}

void ow_explain_print_text(const struct ow_explanation *explanation, int64_t now_ms)
{
    for (const struct ow_explain_meaning *each = explanation->meanings; each != NULL;
         each = each->next) {
        printf("%s", each == explanation->meanings ? "" : "\n\n");
        print_meaning(each, now_ms);
    }
}
