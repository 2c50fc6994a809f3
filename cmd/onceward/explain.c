/* `onceward explain`: the story of an id, for whoever is asked at night what became of it. */
#include "store/explain.h"

#include "config.h"
#include "explain_print.h"
#include "read_progress.h"

static const struct ow_argument arguments[] = {
    OW_ARGUMENT_CONFIG,
    OW_ARGUMENT_SET,
    OW_ARGUMENT_OUTPUT,
    {.name = "source",
      .value = "TEXT",
      .text = "The source of the message, where ID is a message's (default: all that are known)."},
    {.name = NULL},
};

/* Where the store is, and its hash key. */
static enum ow_status find_store(const struct ow_invocation *invocation, struct ow_arena *arena,
                                 struct ow_explain_options *options, struct ow_err *err)
{
    if (invocation->operand_count == 2) {
        options->path = invocation->operands[1];
        return OW_OK;
    }
    const struct ow_config_source source = ow_config_source_of(invocation);
    struct ow_config config;
    OW_TRY(ow_config_load(&source, &config, err));
    options->path = ow_arena_text(arena, ow_slice_of(config.store_path));
    if (config.hash_key_file != NULL) {
        options->hash_key_file = ow_arena_text(arena, ow_slice_of(config.hash_key_file));
    }
    ow_config_done(&config);
    return OW_OK;
}

/* What the reader of the story has to know about how it was found. */
static void say_limits(const struct ow_explanation *explanation, const char *source)
{
    if (explanation->key_missing) {
        (void)fputs("onceward: the store's hash key is in a file of its own: name the configuration"
                    " (-c FILE) to have claims looked up\n",
                    stderr);
    }
    if (explanation->sources_cut && source == NULL) {
        (void)fprintf(stderr,
                      "onceward: messages come from more sources than the %zu that were tried:"
                      " name one with --source\n",
                      explanation->sources_tried);
    }
    if (explanation->uncomputable != NULL) {
        (void)fprintf(stderr,
                      "onceward: a claim of machine %s has parts that a message id does not give:"
                      " its messages are found by their entity, or in the history\n",
                      explanation->uncomputable);
    }
}

/* FAILED and not DIFFERENT: nothing was compared; there is no answer. */
static enum ow_status say_nothing(const struct ow_explain_options *options,
                                  const struct ow_explanation *explanation)
{
    (void)fprintf(stderr,
                  "onceward: nothing is known of '%s' in '%s': no entity, no row of a record table "
                  "and no message has this id\n",
                  options->id, options->path);
    if (explanation->sources_tried > 0 && options->source == NULL) {
        (void)fprintf(stderr,
                      "onceward: as a message it was looked for under %zu source%s; a message that "
                      "was stale, from a source of which nothing was ever applied, is found with "
                      "--source\n",
                      explanation->sources_tried, explanation->sources_tried == 1 ? "" : "s");
    }
    return OW_FAILED;
}

static int explain(const struct ow_invocation *invocation, enum ow_output output,
                   struct ow_arena *arena)
{
    struct ow_err err;
    struct ow_explanation explanation;
    struct ow_read_progress progress;
    ow_read_progress_init(&progress);
    struct ow_explain_options options = {.id = invocation->operands[0],
                                         .source = ow_invocation_value(invocation, "source"),
                                         .clock = ow_clock_system(),
                                         .progress = ow_read_progress_show,
                                         .context = &progress};
    enum ow_status status = find_store(invocation, arena, &options, &err);
    if (status == OW_OK) {
        status = ow_explain(&options, arena, &explanation, &err);
    }
    ow_read_progress_done(&progress);
    if (status != OW_OK) {
        return ow_command_fail(status, &err);
    }
    const int64_t now_ms = ow_clock_now_ms(&options.clock);
    if (output == OW_OUTPUT_TABLE) {
        ow_explain_print_text(&explanation, now_ms);
    } else {
        OW_JSON *value = ow_explain_print_json(options.id, &explanation, now_ms);
        ow_output_json(output, value);
    }
    say_limits(&explanation, options.source);
    return ow_status_exit_code(explanation.meanings != NULL ? OW_OK
                                                            : say_nothing(&options, &explanation));
}

static int run(int argc, char **argv)
{
    struct ow_invocation invocation;
    int exit_code = 0;
    if (!ow_command_parse(&ow_command_explain, argc, argv, &invocation, &exit_code)) {
        return exit_code;
    }
    enum ow_output output = OW_OUTPUT_TABLE;
    if (!ow_output_parse(ow_invocation_value(&invocation, "output"), &output)) {
        return ow_command_refuse(&ow_command_explain, "-o must be table, json or jsonl");
    }
    if (invocation.operand_count == 0 || invocation.operands[0][0] == '\0') {
        return ow_command_refuse(&ow_command_explain, "expects an id");
    }
    if (invocation.operand_count > 2 ||
        (invocation.operand_count == 2 && ow_invocation_has(&invocation, "config"))) {
        return ow_command_refuse(&ow_command_explain,
                                 "name one id, and one configuration or one database");
    }
    struct ow_arena arena;
    ow_arena_init(&arena, 65536);
    exit_code = explain(&invocation, output, &arena);
    ow_arena_done(&arena);
    return exit_code;
}

const struct ow_command ow_command_explain = {
    .name = "explain",
    .summary = "tell all that is known of an entity, of a row of a record table, or of a message",
    .usage = "ID [-c FILE | DB] [--source TEXT] [-o table|json|jsonl]",
    .arguments = arguments,
    .text =
        "What happened, a line each, in order of the numbers that the store drew: where and "
        "when a message was\n"
        "seen first, what became of it and why, its transition; later sights of it; how long "
        "it was parked; then how\n"
        "things are now: state, what is parked and what it waits for, quarantine, claims. "
        "Where an ID is several\n"
        "things, all are told. Reads through a connection of its own that cannot write: a "
        "worker may go on.\n"
        "A stale record keeps no more than its claim, so it is found by its message id and not "
        "under its entity; records\n"
        "that were read again (a rewind) are counted by partition only.\n"
        "Exit code 1: nothing is known of the ID.\n"
        "\n"
        "-o json prints one object: id, store_id, found, now_ms, sources_tried, sources_cut, "
        "claims_readable,\n"
        "history_read, meanings. Each meaning: kind (entity, record, message or mention), machine, "
        "table, row (state, version,\n"
        "created_at_ms, updated_at_ms, columns; null: not in its table), events. Each event: "
        "ref, outcome,\n"
        "first_outcome (as the ledger keeps it), machine, entity_id, type, source, message_id, "
        "topic, partition,\n"
        "offset, first_seen, event_time_ms, applied (seq, version, machine_version, from, to, "
        "at_ms, via, data,\n"
        "erased_at_ms), "
        "parked (since, until, deadline_ms, waits_for), quarantine and conflicts (id, reason, "
        "detail, status, note,\n"
        "entity_id, topic, partition, offset, first_seen_ms, last_seen_ms, seen, attempts; of "
        "conflicts conflict_ref,\n"
        "which is the ref of the message that it met, and difference: first_kept (whole, data: "
        "what its transition read,\n"
        "nothing, erased or unreadable), fields (field, first, second: JSON as text, cut; null: "
        "absent), more: how many\n"
        "fields differ besides), sightings (cause: same_id, other_channel or stale; topic, "
        "partition, offset,\n"
        "seen_at_ms), claim (is: found, missing, unknown or none; bucket, "
        "key, fingerprint, rule,\n"
        "retention_ms, bucket_opened_at_ms, age_ms). A moment is {least_ms, most_ms}: equal "
        "where it is known. What\n"
        "is not known is null. -o jsonl prints the same object in one line.",
    .run = run,
};
