#include "base/contract.h"
#include "run.h"

#include <jansson.h>

#include <stdio.h>

/* Few parked records and short deadlines, so that a short run meets both ends. */
static const struct {
    int per_entity;
    const char *deadline;
    int64_t deadline_ms;
} variants[OW_MACHINE_VARIANTS] = {
    {3,  "1h",  INT64_C(3600000)     },
    {5,  "10m", INT64_C(600000)      },
    {2,  "72h", INT64_C(72) * 3600000},
    {32, "72h", INT64_C(72) * 3600000},
    {3,  "1h",  INT64_C(3600000)     },
    {5,  "10m", INT64_C(600000)      },
    {2,  "72h", INT64_C(72) * 3600000},
    {32, "72h", INT64_C(72) * 3600000},
};

/* For how long claims are kept, by type, in the first version and in later ones: changed for all
 * types that had it, or made shorter, for what is made longer is not protected (ARCHITECTURE.md).
 */
static const int retention_minutes[OW_MACHINE_VARIANTS - OW_MACHINE_OF_DAYS][2][OW_MESSAGE_TYPES] =
    {
        {{60, 60, 60, 60, 60, 60},              {120, 120, 120, 120, 120, 120}       },
        {{1440, 4320, 1440, 1440, 120, 1440},   {1440, 1440, 1440, 1440, 120, 1440}  },
        {{10, 10, 10, 10, 10, 1440},            {10, 10, 10, 10, 10, 1440}           },
        {{30, 1440, 10080, 10080, 10080, 1440}, {30, 10080, 4320, 10080, 10080, 1440}},
};

int ow_sim_machine_per_entity(int variant)
{
    return variants[variant].per_entity;
}

int64_t ow_sim_machine_deadline_ms(int variant)
{
    return variants[variant].deadline_ms;
}

static int minutes_of(int variant, int version, enum ow_message_type type)
{
    const int shipped = 45 * 24 * 60;
    return variant < OW_MACHINE_OF_DAYS
               ? shipped
               : retention_minutes[variant - OW_MACHINE_OF_DAYS][version > 1][type];
}

int64_t ow_sim_machine_retention_ms(int variant, int version, enum ow_message_type type)
{
    return (int64_t)minutes_of(variant, version, type) * 60000;
}

static void set_retentions(json_t *machine, int variant, int version)
{
    json_t *events = json_object_get(machine, "events");
    for (int type = 0; type < OW_MESSAGE_TYPES; type++) {
        const char *name = ow_message_type_text((enum ow_message_type)type);
        char text[24];
        (void)snprintf(text, sizeof(text), "%dm",
                       minutes_of(variant, version, (enum ow_message_type)type));
        json_t *event = json_pack("{s:{s:s}, s:O}", "claim", "retention", text, "transitions",
                                  json_object_get(events, name));
        OW_INVARIANT(event != NULL);
        (void)json_object_set_new(events, name, event);
    }
}

static struct ow_slice read_machine(struct ow_arena *arena)
{
    enum { MOST = 1 << 16 };
    FILE *file = fopen(OW_SOURCE_DIR "/schemas/orders.yaml", "re");
    OW_INVARIANT(file != NULL);
    uint8_t *text = ow_arena_alloc(arena, MOST);
    const size_t len = fread(text, 1, MOST, file);
    (void)fclose(file);
    return (struct ow_slice){text, len};
}

static void load(struct ow_machines *machines, int variant, int version)
{
    struct ow_arena arena;
    struct ow_tree tree;
    struct ow_err err = {.text = ""};
    ow_arena_init(&arena, (size_t)64 * 1024);
    enum ow_status status =
        ow_tree_parse("schemas/orders.yaml", read_machine(&arena), NULL, NULL, &tree, &err);
    OW_INVARIANT(status == OW_OK);
    json_t *with =
        json_pack("{s:i, s:{s:s, s:i}}", "version", version, "park", "deadline",
                  variants[variant].deadline, "per_entity", variants[variant].per_entity);
    OW_INVARIANT(with != NULL);
    for (int added = 2; added <= version; added++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "added_in_%d", added);
        json_t *more = json_pack("{s:{s:{s:{s:s, s:i}}}}", "entity", "columns", name, "type",
                                 "integer", "default", added);
        OW_INVARIANT(more != NULL);
        (void)json_object_update_recursive(with, more);
        json_decref(more);
    }
    (void)json_object_update_recursive(tree.root, with);
    json_decref(with);
    if (variant >= OW_MACHINE_OF_DAYS) {
        set_retentions(tree.root, variant, version);
    }
    ow_machines_init(machines);
    status = ow_machines_add(machines, &tree, &err);
    if (status == OW_OK) {
        status = ow_machines_check(machines, &err);
    }
    if (status != OW_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
    }
    OW_INVARIANT(status == OW_OK);
    ow_tree_done(&tree);
    ow_arena_done(&arena);
}

struct ow_machines *ow_sim_machines(int variant, int version)
{
    static struct ow_machines loaded[OW_MACHINE_VARIANTS][OW_MACHINE_VERSIONS];
    static bool is_loaded[OW_MACHINE_VARIANTS][OW_MACHINE_VERSIONS];
    struct ow_machines *machines = &loaded[variant][version - 1];
    if (!is_loaded[variant][version - 1]) {
        load(machines, variant, version);
        is_loaded[variant][version - 1] = true;
    }
    return machines;
}
