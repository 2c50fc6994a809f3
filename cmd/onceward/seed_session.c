#include "seed_session.h"

#include <inttypes.h>
#include <stdio.h>

enum { TOLD_MAX = 100 };

static enum ow_status open_store(struct ow_seed_session *session, struct ow_err *err)
{
    const struct ow_store_options options = {.path = session->config.store_path,
                                             .hash_key_file = session->config.hash_key_file,
                                             .clock = ow_clock_system()};
    OW_TRY(ow_store_open(&options, &session->config.machines, &session->store, err));
    const struct ow_apply_options apply = {
        .store = session->store,
        .machines = &session->config.machines,
        .clock = options.clock,
        .record_bytes_max = (size_t)session->config.record_bytes,
        .claim_skew_ms = session->config.claim_skew_ms,
    };
    return ow_apply_open(&session->apply, &apply, err);
}

enum ow_status ow_seed_session_open(struct ow_seed_session *session,
                                    const struct ow_invocation *invocation, struct ow_err *err)
{
    *session = (struct ow_seed_session){.invocation = invocation};
    const struct ow_config_source source = ow_config_source_of(invocation);
    ow_arena_init(&session->arena, (size_t)1 << 20);
    ow_read_progress_init(&session->progress);
    OW_TRY(ow_config_load(&source, &session->config, err));
    return open_store(session, err);
}

void ow_seed_session_close(struct ow_seed_session *session)
{
    ow_read_progress_done(&session->progress);
    if (session->apply.options.store != NULL) {
        ow_apply_close(&session->apply);
    }
    ow_store_close(session->store);
    ow_config_done(&session->config);
    ow_arena_done(&session->arena);
}

enum ow_status ow_seed_session_bad(struct ow_seed_session *session, const char *name,
                                   int64_t number, const char *problem, int64_t written,
                                   struct ow_err *err)
{
    if (!ow_invocation_has(session->invocation, "skip-bad")) {
        return ow_fail(err, OW_FAILED,
                       "%s:%" PRId64 ": %s (the first %" PRId64
                       " rows are done with; what is there already is skipped when all are given "
                       "again)",
                       name, number, problem, written);
    }
    session->bad++;
    if (session->bad <= TOLD_MAX) {
        (void)fprintf(stderr, "onceward: %s:%" PRId64 ": ", name, number);
        ow_output_text(stderr, ow_slice_of(problem));
        (void)fputs(session->bad < TOLD_MAX ? "\n" : "\nonceward: more bad rows are only counted\n",
                    stderr);
    }
    return OW_OK;
}

void ow_seed_session_print(enum ow_output output, const struct ow_seed_count *counts)
{
    OW_JSON *object = json_object();
    for (; counts->name != NULL; counts++) {
        if (output == OW_OUTPUT_TABLE) {
            printf("%-8s  %" PRId64 "\n", counts->name, counts->count);
        } else {
            (void)json_object_set_new(object, counts->name, json_integer(counts->count));
        }
    }
    if (output != OW_OUTPUT_TABLE) {
        ow_output_json(output, object);
    }
}
