#include "engine/positions.h"

/* Rows as they are found; what the brokers say is filled in where they answer. */
struct listing {
    const struct ow_consume_options *options;
    struct ow_position *positions;
    struct ow_arena *arena;
    struct ow_positions_row *rows;
    size_t count, capacity;
    const char *silent;
    struct ow_err err;
};

/* The highest partition of a topic of which the store has a position; -1: it has none. */
static int32_t highest_of(const struct listing *listing, const char *topic)
{
    int32_t highest = -1;
    for (const struct ow_position *position = listing->positions; position != NULL;
         position = position->next) {
        if (position->partition > highest && ow_slice_equals_text(position->topic, topic)) {
            highest = position->partition;
        }
    }
    return highest;
}

static void add_row(struct listing *listing, const char *topic, int32_t partition)
{
    if (listing->count == listing->capacity) {
        const size_t capacity = listing->capacity == 0 ? 64 : 2 * listing->capacity;
        struct ow_positions_row *rows =
            OW_ARENA_ARRAY(listing->arena, capacity, struct ow_positions_row);
        if (listing->count > 0) {
            memcpy(rows, listing->rows, listing->count * sizeof(*rows));
        }
        listing->rows = rows;
        listing->capacity = capacity;
    }
    listing->rows[listing->count++] = (struct ow_positions_row){
        .topic = topic,
        .partition = partition,
        .position = ow_position_find(listing->positions, ow_slice_of(topic), partition),
        .committed = -1};
}

/* Remembers why, once: who does not answer now is not asked again. */
static bool answered(struct listing *listing, enum ow_status status)
{
    if (status != OW_OK) {
        listing->silent = ow_arena_text(listing->arena, ow_slice_of(listing->err.text));
    }
    return status == OW_OK;
}

static void add_topic(struct listing *listing, const char *topic)
{
    struct ow_source *source = listing->options->source;
    int32_t exist = 0;
    if (listing->silent == NULL &&
        !answered(listing, source->ops->partition_count(source, topic, &exist, &listing->err))) {
        exist = 0;
    }
    const int32_t highest = highest_of(listing, topic);
    for (int32_t partition = 0; partition < exist || partition <= highest; partition++) {
        if (partition < exist ||
            ow_position_find(listing->positions, ow_slice_of(topic), partition) != NULL) {
            add_row(listing, topic, partition);
            struct ow_positions_row *row = &listing->rows[listing->count - 1];
            row->asked = partition < exist;
            if (!row->asked && listing->silent == NULL) {
                row->refused = exist == 0 ? "there is no such topic"
                                          : "the topic has no such partition any more";
            }
        }
    }
}

/* Positions of topics that no machine reads any more. */
static void add_strays(struct listing *listing)
{
    for (const struct ow_position *position = listing->positions; position != NULL;
         position = position->next) {
        if (ow_machines_of_topic(listing->options->machines, position->topic) == NULL) {
            add_row(listing, ow_arena_text(listing->arena, position->topic), position->partition);
            listing->rows[listing->count - 1].refused = "no machine reads this topic";
        }
    }
}

static enum ow_positions_by committed_by(const struct ow_assignment_facts *facts)
{
    if (facts->committed < 0) {
        return OW_POSITIONS_BY_NONE;
    }
    if (!facts->metadata.ours || facts->metadata.offset != facts->committed) {
        return OW_POSITIONS_BY_OPERATOR;
    }
    return strcmp(facts->metadata.store_id, facts->store_id) == 0 ? OW_POSITIONS_BY_OURS
                                                                  : OW_POSITIONS_BY_OTHER_STORE;
}

static enum ow_status judge_row(struct listing *listing, struct ow_positions_row *row,
                                const struct ow_partition_offset *committed)
{
    struct ow_source *source = listing->options->source;
    const struct ow_durable durable = ow_durable_of(row->position);
    struct ow_assign_question question = {
        .facts = ow_assign_facts(listing->options, &durable, committed),
        .topic_known = highest_of(listing, row->topic) >= 0};
    OW_TRY(source->ops->bounds(source, row->topic, row->partition, &question.low, &question.high,
                               &listing->err));
    row->low = question.low;
    row->end = question.high;
    row->committed = committed->offset;
    row->by = committed_by(&question.facts);
    const enum ow_status status =
        ow_assign_judge(listing->options, &question, &row->next, &listing->err);
    if (status == OW_UNSAFE) {
        row->refused = ow_arena_text(listing->arena, ow_slice_of(listing->err.text));
        return OW_OK;
    }
    return status;
}

static void ask(struct listing *listing)
{
    struct ow_source *source = listing->options->source;
    struct ow_partition_offset *committed =
        OW_ARENA_ARRAY(listing->arena, listing->count, struct ow_partition_offset);
    size_t count = 0;
    for (size_t i = 0; i < listing->count; i++) {
        if (listing->rows[i].asked) {
            committed[count++] = (struct ow_partition_offset){
                .topic = listing->rows[i].topic, .partition = listing->rows[i].partition};
        }
    }
    if (count > 0 && listing->silent == NULL) {
        (void)answered(listing, source->ops->committed(source, committed, count, &listing->err));
    }
    const struct ow_partition_offset *next = committed;
    for (size_t i = 0; i < listing->count; i++) {
        struct ow_positions_row *row = &listing->rows[i];
        if (row->asked) {
            row->asked =
                listing->silent == NULL && answered(listing, judge_row(listing, row, next));
            next++;
        }
    }
}

struct ow_positions_row *ow_positions_list(const struct ow_consume_options *options,
                                           struct ow_position *positions, struct ow_arena *arena,
                                           size_t *ret_count, const char **ret_silent)
{
    struct listing listing = {.options = options, .positions = positions, .arena = arena};
    size_t topic_count = 0;
    const char *const *topics = ow_machines_topics(options->machines, arena, &topic_count);
    for (size_t i = 0; i < topic_count; i++) {
        add_topic(&listing, topics[i]);
    }
    add_strays(&listing);
    ask(&listing);
    *ret_count = listing.count;
    *ret_silent = listing.silent;
    return listing.rows;
}
