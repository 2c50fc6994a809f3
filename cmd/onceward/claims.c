/* `onceward claims stats|show|seed`: the memory of what was seen. */
#include "claims.h"

#include "claims_seed.h"
#include "config.h"
#include "seed_input.h"

#include <string.h>

static const struct ow_argument arguments[] = {
    OW_ARGUMENT_CONFIG,
    OW_ARGUMENT_SET,
    OW_ARGUMENT_OUTPUT,
    {.name = "source",
      .value = "TEXT",
      .text = "show: KEY is the id of a message from this source, whatever it looks like."},
    {.name = "from-topic",
      .text = "seed: the records of the machines' topics below the group's committed offsets."},
    OW_ARGUMENT_FROM_JSONL,
    OW_ARGUMENT_FROM_SQLITE,
    OW_ARGUMENT_SQL,
    OW_ARGUMENT_SKIP_BAD,
    {.name = NULL                                                                },
};

enum verb { STATS, SHOW, SEED, VERB_COUNT };

/* operands: how many must come before the database. */
static const struct {
    const char *name;
    size_t operands;
} verbs[] = {
    [STATS] = {"stats", 1},
    [SHOW] = {"show",  2},
    [SEED] = {"seed",  1},
};

static enum verb verb_of(const struct ow_invocation *invocation)
{
    size_t verb = 0;
    while (verb < VERB_COUNT && (invocation->operand_count == 0 ||
                                 strcmp(invocation->operands[0], verbs[verb].name) != 0)) {
        verb++;
    }
    return (enum verb)verb;
}

/* The database that was named, or the configuration's. */
static enum ow_status find_store(const struct ow_invocation *invocation, size_t operands,
                                 struct ow_arena *arena, struct ow_claims_store *store,
                                 struct ow_err *err)
{
    *store = (struct ow_claims_store){.skew_ms = -1};
    if (invocation->operand_count > operands) {
        store->path = invocation->operands[operands];
        return OW_OK;
    }
    const struct ow_config_source source = ow_config_source_of(invocation);
    struct ow_config config;
    OW_TRY(ow_config_load(&source, &config, err));
    store->path = ow_arena_text(arena, ow_slice_of(config.store_path));
    store->skew_ms = config.claim_skew_ms;
    if (config.hash_key_file != NULL) {
        store->hash_key_file = ow_arena_text(arena, ow_slice_of(config.hash_key_file));
    }
    ow_config_done(&config);
    return OW_OK;
}

static int do_verb(enum verb verb, const struct ow_invocation *invocation, enum ow_output output,
                   struct ow_arena *arena)
{
    struct ow_claims_store store;
    struct ow_err err;
    const enum ow_status status = find_store(invocation, verbs[verb].operands, arena, &store, &err);
    if (status != OW_OK) {
        return ow_command_fail(status, &err);
    }
    return verb == STATS ? ow_claims_stats(&store, output, arena)
                         : ow_claims_show(&store, invocation->operands[1],
                                          ow_invocation_value(invocation, "source"), output, arena);
}

static int run(int argc, char **argv)
{
    struct ow_invocation invocation;
    enum ow_output output = OW_OUTPUT_TABLE;
    int code = 0;
    if (!ow_command_parse(&ow_command_claims, argc, argv, &invocation, &code)) {
        return code;
    }
    const enum verb verb = verb_of(&invocation);
    if (verb == VERB_COUNT) {
        return ow_command_refuse(&ow_command_claims, "'%s': expects stats, show or seed",
                                 invocation.operand_count == 0 ? "" : invocation.operands[0]);
    }
    if (!ow_output_parse(ow_invocation_value(&invocation, "output"), &output)) {
        return ow_command_refuse(&ow_command_claims, "-o must be table, json or jsonl");
    }
    if (verb == SEED && invocation.operand_count == 1) {
        return ow_claims_seed(&invocation, output);
    }
    const size_t operands = verbs[verb].operands;
    if (verb == SEED) {
        return ow_command_refuse(&ow_command_claims, "seed writes: it needs a configuration");
    }
    if (invocation.operand_count < operands || invocation.operands[operands - 1][0] == '\0') {
        return ow_command_refuse(&ow_command_claims, "show expects the key of a claim, or the id "
                                                     "of a message");
    }
    if (invocation.operand_count > operands + 1 ||
        (invocation.operand_count > operands && ow_invocation_has(&invocation, "config"))) {
        return ow_command_refuse(&ow_command_claims, "name one configuration or one database");
    }
    struct ow_arena arena;
    ow_arena_init(&arena, 65536);
    code = do_verb(verb, &invocation, output, &arena);
    ow_arena_done(&arena);
    return code;
}

const struct ow_command ow_command_claims = {
    .name = "claims",
    .summary =
        "how many claims there are, what one belongs to, taking over those of another system",
    .usage = "stats [-c FILE | DB] | show KEY [--source TEXT] [-c FILE | DB] | seed [-c FILE]"
             " (--from-topic |"
             "\n       --from-jsonl FILE | --from-sqlite DB --sql QUERY) [--skip-bad]"
             " [-o table|json|jsonl]",
    .arguments = arguments,
    .text =
        "stats  a bucket a line, then totals\n"
        "show   the claims of KEY: 32 hexadecimal digits are the key of a claim, anything else is "
        "the id of a\n"
        "       message; --source makes it an id in any case. Exit code 1: there is no such claim\n"
        "seed   takes claims over from the system that has consumed until now, without any effect\n"
        "\n"
        "stats and show read through a connection of their own that cannot write, in snapshots of "
        "less than "
        "a second: a worker\n"
        "may go on.\n"
        "\n"
        "What stats prints as bytes is an estimate: the pages that the first 10,000 claims of a "
        "bucket take, in\n"
        "proportion; the totals have the filters with them. Claims a day are those of the last "
        "seven days, or since the\n"
        "oldest bucket was opened; \"-\" (JSON: null) where that is less than an hour ago. The "
        "days until the disk is\n"
        "full are its free bytes and the file's own free pages, divided by what the file grows in "
        "a day: as much for\n"
        "each claim as it has grown until now; where a class has been pruned its claims take no "
        "new pages. A class's\n"
        "horizon is when the last of its claims came that was pruned, plus claims.skew; with a\n"
        "DB instead of a configuration the skew is not known.\n"
        "\n"
        "-o json prints one object: buckets (bucket, class, class_ms, opened_at_ms, sealed_at_ms, "
        "claims, bytes, state:\n"
        "open, sealed or pruning), claims, bytes, bytes_per_claim, claims_per_day, file_bytes, "
        "free_bytes,\n"
        "growth_bytes_per_day, days_until_full, horizons (class, class_ms, buckets, claims, "
        "claims_per_day,\n"
        "kept_since_ms, horizon_ms). -o jsonl prints a bucket a line and the totals last.\n"
        "show prints found and claims (key, bucket, class, class_ms, bucket_opened_at_ms, age_ms, "
        "fingerprint, rule,\n"
        "rule_text, ref, owner). The owner of a ref is what became of the message: table "
        "(history, parked, quarantine or\n"
        "sighting; null: there is none), id (of its row; of a sighting the ref), machine, "
        "entity_id, type, source,\n"
        "message_id, topic, partition, offset. -o jsonl prints a claim a line.\n"
        "\n"
        "seed writes, so no worker may run (exit code 75), and before its first start is the time "
        "for it. A message whose claim\n"
        "was seeded is a duplicate when it comes again. What is claimed already is left as it is, "
        "so everything may be seeded\n"
        "twice. deploy/seeding.md has the steps of a switch-over, and queries for the tables of "
        "other systems.\n"
        "--from-topic reads the machines' topics from their beginnings up to where the worker will "
        "begin: the offsets that\n"
        "kafka.group has committed, which is the group of the consumer that is taken over; each "
        "event is claimed, whatever\n"
        "its age. Other rows are JSON objects, or have columns of these names: the parts of "
        "claim.key by their names (source,\n"
        "id), machine (where there are several), type (where events claim differently), at (RFC "
        "3339, or milliseconds since\n"
        "1970: rows older than claim.retention are expired, and not claimed). Their content is not "
        "known, so a message with\n"
        "other content under such an id is a duplicate, and no conflict.\n"
        "A bad row ends it with exit code 1, and nothing of its transaction (10000 rows) is "
        "written; in topics they are only\n"
        "counted. -o json: read, claimed, known (taken already), expired, filtered (by the "
        "machine), bad.",
    .run = run,
};
