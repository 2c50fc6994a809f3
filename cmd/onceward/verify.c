/* `onceward verify`: are the promises kept in this store? */
#include "store/verify.h"

#include "config.h"
#include "output.h"
#include "verify_progress.h"
#include "verify_topic.h"

#include <stdio.h>

static const struct ow_argument arguments[] = {
    OW_ARGUMENT_CONFIG, OW_ARGUMENT_SET, OW_ARGUMENT_TOPIC, OW_ARGUMENT_OUTPUT, {.name = NULL},
};

static void print_table(const char *path, const struct ow_verification *verification)
{
    OW_GRID grid = {.column_count = 4};
    ow_grid_row(&grid, (const char *const[]){"PROMISE", "OK", "CHECKED", "BROKEN"});
    for (size_t i = 0; i < verification->promise_count; i++) {
        const struct ow_promise *const promise = &verification->promises[i];
        char checked[24];
        char broken[24];
        (void)snprintf(checked, sizeof(checked), "%lld", (long long)promise->checked);
        (void)snprintf(broken, sizeof(broken), "%lld", (long long)promise->broken);
        const char *const kept = verification->finished ? "yes" : "?";
        ow_grid_row(&grid, (const char *const[]){promise->name, promise->broken == 0 ? kept : "NO",
                                                 checked, broken});
    }
    ow_grid_print(&grid, stdout);
    for (size_t i = 0; i < verification->promise_count; i++) {
        const struct ow_promise *const promise = &verification->promises[i];
        for (size_t k = 0; promise->examples[k] != NULL; k++) {
            printf("%s%s%s%s: ", k == 0 ? "\n" : "", ow_output_colour(stdout, OW_COLOUR_RED),
                   promise->name, ow_output_colour(stdout, OW_COLOUR_NONE));
            ow_output_text(stdout, ow_slice_of(promise->examples[k]));
            printf("\n");
        }
    }
    printf("\n%s%s%s %s\nstate hash %s\n",
           ow_output_colour(stdout, verification->ok ? OW_COLOUR_GREEN : OW_COLOUR_RED),
           verification->ok ? "all promises are kept:" : "promises are broken:",
           ow_output_colour(stdout, OW_COLOUR_NONE), path,
           verification->state_hash[0] == '\0' ? "-" : verification->state_hash);
}

static void print_json(enum ow_output output, const struct ow_verification *verification)
{
    json_t *const promises = json_array();
    for (size_t i = 0; i < verification->promise_count; i++) {
        const struct ow_promise *const promise = &verification->promises[i];
        json_t *const examples = json_array();
        for (size_t k = 0; promise->examples[k] != NULL; k++) {
            /* They quote the store: what is no UTF-8 there is left out rather than made up. */
            json_array_append_new(examples, json_pack("s*", promise->examples[k]));
        }
        json_array_append_new(promises,
                              json_pack("{s:s, s:s, s:b, s:I, s:I, s:o}", "name", promise->name,
                                        "meaning", promise->meaning, "ok", promise->broken == 0,
                                        "checked", (json_int_t)promise->checked, "broken",
                                        (json_int_t)promise->broken, "examples", examples));
    }
    const char *const hash = verification->state_hash;
    json_t *const notes = json_array();
    for (size_t i = 0; verification->notes[i] != NULL; i++) {
        json_array_append_new(notes, json_string(verification->notes[i]));
    }
    OW_JSON *value = json_pack("{s:b, s:b, s:s?, s:o, s:o}", "ok", verification->ok, "finished",
                               verification->finished, "state_hash", hash[0] == '\0' ? NULL : hash,
                               "promises", promises, "notes", notes);
    ow_output_json(output, value);
}

/* The database that was named, or the configuration's. */
static enum ow_status find_store(const struct ow_invocation *invocation, struct ow_arena *arena,
                                 struct ow_verify_options *options, struct ow_err *err)
{
    if (invocation->operand_count == 1) {
        options->path = invocation->operands[0];
        return OW_OK;
    }
    const struct ow_config_source source = ow_config_source_of(invocation);
    struct ow_config config;
    const enum ow_status status = ow_config_load(&source, &config, err);
    if (status == OW_OK) {
        options->path = ow_arena_text(arena, ow_slice_of(config.store_path));
        options->hash_key_file = config.hash_key_file == NULL
                                     ? NULL
                                     : ow_arena_text(arena, ow_slice_of(config.hash_key_file));
    }
    ow_config_done(&config);
    return status;
}

/* What could not be looked at is said, and is no fault. */
static void print_notes(const struct ow_verification *verification)
{
    for (size_t i = 0; verification->notes[i] != NULL; i++) {
        (void)fprintf(stderr, "onceward: %s\n", verification->notes[i]);
    }
}

static enum ow_status check(const struct ow_invocation *invocation, struct ow_arena *arena,
                            struct ow_verify_options *options,
                            struct ow_verification *ret_verification, struct ow_err *err)
{
    struct ow_verify_bar bar;
    OW_TRY(find_store(invocation, arena, options, err));
    ow_verify_bar_init(&bar);
    struct ow_verify_options watched = *options;
    watched.clock = ow_clock_system();
    watched.between = ow_verify_bar_show;
    watched.context = &bar;
    const enum ow_status status = ow_verify_store(&watched, arena, ret_verification, err);
    ow_verify_bar_done(&bar);
    return status == OW_OK && ow_invocation_has(invocation, "topic")
               ? ow_verify_topic_add(invocation, arena, ret_verification, err)
               : status;
}

static int verify(const struct ow_invocation *invocation, enum ow_output output,
                  struct ow_arena *arena)
{
    struct ow_err err;
    struct ow_verify_options options = {.path = NULL};
    struct ow_verification verification;
    const enum ow_status status = check(invocation, arena, &options, &verification, &err);
    if (status != OW_OK) {
        return ow_command_fail(status, &err);
    }
    print_notes(&verification);
    if (output == OW_OUTPUT_TABLE) {
        print_table(options.path, &verification);
    } else {
        print_json(output, &verification);
    }
    return ow_status_exit_code(verification.ok ? OW_OK : OW_DIFFERENT);
}

static int run(int argc, char **argv)
{
    struct ow_invocation invocation;
    int exit_code = 0;
    if (!ow_command_parse(&ow_command_verify, argc, argv, &invocation, &exit_code)) {
        return exit_code;
    }
    enum ow_output output = OW_OUTPUT_TABLE;
    if (!ow_output_parse(ow_invocation_value(&invocation, "output"), &output)) {
        return ow_command_refuse(&ow_command_verify, "-o must be table, json or jsonl");
    }
    if (invocation.operand_count > 1 ||
        (invocation.operand_count == 1 && ow_invocation_has(&invocation, "config"))) {
        return ow_command_refuse(&ow_command_verify, "name one configuration or one database");
    }
    if (invocation.operand_count == 1 && ow_invocation_has(&invocation, "topic")) {
        return ow_command_refuse(&ow_command_verify,
                                 "--topic needs a configuration: it says where the topics are");
    }
    struct ow_arena arena;
    ow_arena_init(&arena, 65536);
    exit_code = verify(&invocation, output, &arena);
    ow_arena_done(&arena);
    return exit_code;
}

const struct ow_command ow_command_verify = {
    .name = "verify",
    .summary = "prove the promises on a store, from its rows alone",
    .usage = "[-c FILE [--topic] | DB] [-o table|json|jsonl]",
    .arguments = arguments,
    .text = "Reads the database of the configuration, or the one named, through a connection of "
            "its own that cannot\n"
            "write: a worker may go on meanwhile, for no snapshot is held for long. Checks that "
            "positions, ledger, claims,\n"
            "history and business tables belong together, and prints a hash of the business state "
            "that does not depend on\n"
            "the way of the records. Where a worker writes too fast for one state to be read, the "
            "hash is \"-\" (JSON: null).\n"
            "Exit code 3: a promise is broken; the first broken rows are named. A file too damaged "
            "to be read to its end is\n"
            "such a case: \"?\" (JSON: finished false) where nothing broken was seen until then.",
    .run = run,
};
