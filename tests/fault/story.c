#include "story.h"

#include "random.h"

#include <jansson.h>

#include <stdio.h>

enum { ENTITIES = 14, LIFE = 5, FILE_MOST = 1 << 16, MINUTE_MS = 60000 };
static const int64_t begin_ms = INT64_C(1700000000000);

static const char *const types[LIFE] = {"order.created", "payment.succeeded", "order.dispatched",
                                        "order.received", "payment.refunded"};

/* What is being drawn. */
struct maker {
    struct ow_story *story;
    struct ow_random random;
    int64_t now_ms;
    int64_t ends[OW_STORY_PARTITIONS];
    int order[ENTITIES][LIFE]; /* in which an entity's events come */
    int told[ENTITIES];        /* how many of them have come */
};

static struct ow_slice read_machine(struct ow_arena *arena)
{
    FILE *file = fopen(OW_SOURCE_DIR "/schemas/orders.yaml", "re");
    OW_INVARIANT(file != NULL);
    uint8_t *text = ow_arena_alloc(arena, FILE_MOST);
    const size_t len = fread(text, 1, FILE_MOST, file);
    (void)fclose(file);
    return (struct ow_slice){text, len};
}

/* The shipped machine, with shorter times, fewer parked records, and a type that nobody wants. */
static void load_machines(struct ow_story *story)
{
    struct ow_tree tree;
    struct ow_err err = {.text = ""};
    enum ow_status status =
        ow_tree_parse("schemas/orders.yaml", read_machine(&story->arena), NULL, NULL, &tree, &err);
    OW_INVARIANT(status == OW_OK);
    json_t *with = json_pack("{s:{s:s, s:i}, s:{s:s}, s:[s]}", "park", "deadline", "1h",
                             "per_entity", 2, "claim", "retention", "2h", "filter", "order.noted");
    OW_INVARIANT(with != NULL);
    (void)json_object_update_recursive(tree.root, with);
    json_decref(with);
    ow_machines_init(&story->machines);
    status = ow_machines_add(&story->machines, &tree, &err);
    if (status == OW_OK) {
        status = ow_machines_check(&story->machines, &err);
    }
    if (status != OW_OK) {
        (void)fprintf(stderr, "fault: %s\n", err.text);
    }
    OW_INVARIANT(status == OW_OK);
    ow_tree_done(&tree);
}

const char *ow_story_topic(size_t place, int32_t *ret_partition)
{
    *ret_partition = place == 1 ? 1 : 0;
    return place < 2 ? "order-events" : "payment-events";
}

size_t ow_story_place(const struct ow_record *record)
{
    return ow_slice_equals_text(record->topic, "order-events") ? (size_t)record->partition : 2;
}

int64_t ow_story_end(const struct ow_story *story, size_t place, size_t record_end)
{
    int64_t end = 0;
    for (size_t i = 0; i < record_end; i++) {
        end = ow_story_place(&story->records[i]) == place ? story->records[i].offset + 1 : end;
    }
    return end;
}

static int below(struct maker *maker, int below)
{
    return ow_random_below(&maker->random, below);
}

static void put(struct maker *maker, struct ow_slice value, int entity)
{
    struct ow_story *story = maker->story;
    OW_INVARIANT(story->record_count < OW_STORY_RECORDS_MAX);
    const size_t place = (size_t)(below(maker, 10) == 0 ? below(maker, 3) : entity % 3);
    struct ow_record *record = &story->records[story->record_count++];
    *record = (struct ow_record){.timestamp_ms = maker->now_ms - 1000,
                                 .offset = maker->ends[place]++,
                                 .key = OW_SLICE("k"),
                                 .value = value};
    record->topic = ow_slice_of(ow_story_topic(place, &record->partition));
}

/* amount: of a payment or an order; the same for all of an entity, or the machine says no. */
static struct ow_slice event(struct maker *maker, const char *id, const char *type, int entity,
                             int amount)
{
    const int number = (int)maker->story->record_count;
    return ow_slice_of(ow_arena_printf(
        &maker->story->arena,
        "{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"/s\",\"type\":\"%s\",\"data\":{"
        "\"order_id\":\"e%d\",\"amount\":%d,\"currency\":\"EUR\",\"method\":\"card\","
        "\"payment_id\":\"%s%d\",\"refund_id\":\"r%d\"}}",
        id, type, entity, amount, entity % 7 == 6 ? "bad" : "p", below(maker, 12) == 0 ? 1 : number,
        below(maker, 8) == 0 ? 1 : number));
}

static const char *new_id(const struct maker *maker)
{
    return ow_arena_printf(&maker->story->arena, "m%zu", maker->story->record_count);
}

/* The next event of an entity. */
static void tell_next(struct maker *maker)
{
    int entity = below(maker, ENTITIES);
    for (int tries = 0; tries < ENTITIES && maker->told[entity] == LIFE; tries++) {
        entity = (entity + 1) % ENTITIES;
    }
    const int next = maker->told[entity] < LIFE ? maker->told[entity]++ : below(maker, LIFE);
    put(maker,
        event(maker, new_id(maker), types[maker->order[entity][next]], entity,
              maker->order[entity][next] == 4 ? 1 + below(maker, 7) : 5),
        entity);
}

/* What was there before once more, or something else under its id. */
static void tell_again(struct maker *maker, bool changed)
{
    const struct ow_story *story = maker->story;
    if (story->record_count == 0) {
        return;
    }
    const int number = below(maker, (int)story->record_count);
    if (changed) {
        put(maker,
            event(maker, ow_arena_printf(&maker->story->arena, "m%d", number), types[number % LIFE],
                  number % ENTITIES, 77),
            number);
    } else {
        put(maker, story->records[number].value, number);
    }
}

static void tell_oddity(struct maker *maker)
{
    struct ow_arena *arena = &maker->story->arena;
    struct ow_slice value = {0}; /* a tombstone */
    switch (below(maker, 7)) {
    case 0:
        value = OW_SLICE("{\"specversion\":");
        break;
    case 1:
        value = event(maker, "", types[0], 1, 5);
        break;
    case 2:
        value = event(maker, new_id(maker), "order.noted", 1, 5);
        break;
    case 3:
        value = event(maker, new_id(maker), "order.unheard", 1, 5);
        break;
    case 4: {
        uint8_t *bytes = ow_arena_alloc(arena, OW_STORY_RECORD_BYTES_MAX + 1);
        memset(bytes, ' ', OW_STORY_RECORD_BYTES_MAX + 1);
        value = (struct ow_slice){bytes, OW_STORY_RECORD_BYTES_MAX + 1};
        break;
    }
    case 5:
        value = event(maker, new_id(maker), types[0], below(maker, ENTITIES), -1);
        break;
    default:
        break;
    }
    put(maker, value, below(maker, 3));
}

static void tell(struct maker *maker, int count)
{
    for (int i = 0; i < count; i++) {
        const int what = below(maker, 100);
        if (what < 64) {
            tell_next(maker);
        } else if (what < 80) {
            tell_again(maker, false);
        } else if (what < 86) {
            tell_again(maker, true);
        } else {
            tell_oddity(maker);
        }
    }
}

static void shuffle_lives(struct maker *maker)
{
    for (int entity = 0; entity < ENTITIES; entity++) {
        int *order = maker->order[entity];
        for (int i = 0; i < LIFE; i++) {
            order[i] = i;
        }
        for (int i = 1; i < LIFE; i++) {
            if (below(maker, 100) < 25) {
                const int other = order[i];
                order[i] = order[i - 1];
                order[i - 1] = other;
            }
        }
    }
}

void ow_story_make(struct ow_story *story, uint64_t seed)
{
    static const struct {
        const char *name;
        enum ow_story_kind kind;
        int minute, records;
        int reset; /* the group is set back so many records, or forward so far as there are */
    } plan[OW_STORY_STEPS] = {
        {"everything",         OW_STORY_CONSUME, 0,    44, 0 },
        {"sealed claims",      OW_STORY_CONSUME, 10,   20, 0 },
        {"rewound",            OW_STORY_CONSUME, 20,   6,  9 },
        {"skipped",            OW_STORY_CONSUME, 30,   12, -1},
        {"deadlines",          OW_STORY_CONSUME, 100,  8,  0 },
 /* All is sealed before something of it is pruned: where one bucket ends and the next begins
  * depends on the batches, and buckets go as a whole. */
        {"rest",               OW_STORY_CONSUME, 110,  0,  0 },
        {"pruned",             OW_STORY_CONSUME, 400,  12, 0 },
        {"rest",               OW_STORY_CONSUME, 410,  0,  0 },
        {"pruned and expired", OW_STORY_CONSUME, 700,  14, 0 },
        {"seeded",             OW_STORY_SEED,    710,  0,  0 },
        {"erased",             OW_STORY_ERASE,   720,  0,  0 },
        {"rest",               OW_STORY_CONSUME, 730,  0,  0 },
        {"pruned and rewound", OW_STORY_CONSUME, 1100, 10, 60},
    };
    memset(story, 0, sizeof(*story));
    story->seed = seed;
    ow_arena_init(&story->arena, (size_t)64 * 1024);
    load_machines(story);
    struct maker maker = {.story = story, .random = ow_random_stream(seed, 1)};
    shuffle_lives(&maker);
    for (size_t i = 0; i < OW_STORY_STEPS; i++) {
        struct ow_story_step *step = &story->steps[i];
        maker.now_ms = begin_ms + (int64_t)plan[i].minute * MINUTE_MS;
        const int32_t place = (int32_t)below(&maker, OW_STORY_PARTITIONS);
        const int64_t end = maker.ends[place];
        tell(&maker, plan[i].records);
        *step = (struct ow_story_step){.name = plan[i].name,
                                       .kind = plan[i].kind,
                                       .now_ms = maker.now_ms,
                                       .record_end = story->record_count,
                                       .reset_partition = place,
                                       .reset_offset = -1,
                                       .closes = below(&maker, 3) == 0};
        if (plan[i].reset > 0) {
            step->reset_offset = end > plan[i].reset ? end - plan[i].reset : 0;
        } else if (plan[i].reset < 0) {
            step->reset_offset = maker.ends[place];
        }
    }
}

void ow_story_done(struct ow_story *story)
{
    ow_machines_done(&story->machines);
    ow_arena_done(&story->arena);
}
