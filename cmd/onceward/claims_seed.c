#include "claims_seed.h"

#include "seed_input.h"

#include <stdlib.h>

enum ow_status ow_claims_seed_flush(struct ow_claims_seed *seed, struct ow_err *err)
{
    size_t claimed = 0;
    if (seed->count > 0) {
        OW_TRY(ow_seed_claims(&seed->session.apply, seed->list, seed->count, &claimed, err));
    }
    seed->claimed += (int64_t)claimed;
    seed->known += (int64_t)(seed->count - claimed);
    seed->count = 0;
    seed->written = seed->read;
    ow_arena_reset(&seed->session.arena);
    return OW_OK;
}

enum ow_status ow_claims_seed_add(struct ow_claims_seed *seed, const struct ow_seed_claim *claim,
                                  struct ow_err *err)
{
    seed->list[seed->count++] = *claim;
    return seed->count < OW_CLAIMS_SEED_BATCH ? OW_OK : ow_claims_seed_flush(seed, err);
}

/* Whether it would be pruned by now. */
static bool is_expired(const struct ow_claims_seed *seed, const struct ow_seed_claim *claim)
{
    const int64_t now_ms = ow_clock_now_ms(&seed->session.apply.options.clock);
    return claim->at_ms != OW_SEED_NO_TIME && claim->at_ms < now_ms - claim->retention_ms;
}

static enum ow_status take_row(struct ow_claims_seed *seed, const struct ow_seed_input *input,
                               const json_t *row, const char *problem, struct ow_err *err)
{
    struct ow_seed_session *session = &seed->session;
    struct ow_seed_claim claim;
    seed->read++;
    if (problem == NULL) {
        problem = ow_seed_read_claim(&session->config.machines, ow_store_hash_key(session->store),
                                     row, &session->arena, &claim);
    }
    if (problem != NULL) {
        return ow_seed_session_bad(session, ow_seed_input_name(input), ow_seed_input_number(input),
                                   problem, seed->written, err);
    }
    if (is_expired(seed, &claim)) {
        seed->expired++;
        return OW_OK;
    }
    claim.record =
        (struct ow_record){.topic = OW_SLICE(OW_SEED_NAME), .offset = ow_seed_input_number(input)};
    return ow_claims_seed_add(seed, &claim, err);
}

static enum ow_status take_rows(struct ow_claims_seed *seed, struct ow_seed_input *input,
                                struct ow_err *err)
{
    for (;;) {
        OW_JSON *row = NULL;
        const char *problem = NULL;
        int64_t goal = 0;
        OW_TRY(ow_seed_input_next(input, &seed->session.arena, &row, &problem, err));
        if (row == NULL && problem == NULL) {
            return ow_claims_seed_flush(seed, err);
        }
        OW_TRY(take_row(seed, input, row, problem, err));
        const int64_t done = ow_seed_input_done(input, &goal);
        ow_read_progress_show(&seed->session.progress, "seeding claims", done, goal);
    }
}

static enum ow_status seed_rows(struct ow_claims_seed *seed, struct ow_err *err)
{
    struct ow_seed_input *input = NULL;
    OW_TRY(ow_seed_input_open(seed->session.invocation, &input, err));
    const enum ow_status status = take_rows(seed, input, err);
    ow_seed_input_close(input);
    return status;
}

int ow_claims_seed(const struct ow_invocation *invocation, enum ow_output output)
{
    const bool from_topic = ow_invocation_has(invocation, "from-topic");
    const char *mistake = ow_seed_input_mistake(invocation, from_topic);
    if (mistake != NULL) {
        return ow_command_refuse(invocation->command,
                                 "%s: --from-topic, --from-jsonl FILE, or --from-sqlite DB --sql "
                                 "QUERY",
                                 mistake);
    }
    struct ow_claims_seed seed = {.count = 0};
    struct ow_err err;
    seed.list = calloc(OW_CLAIMS_SEED_BATCH, sizeof(*seed.list));
    if (seed.list == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    enum ow_status status = ow_seed_session_open(&seed.session, invocation, &err);
    if (status == OW_OK) {
        status = from_topic ? ow_claims_seed_topic(&seed, &err) : seed_rows(&seed, &err);
    }
    ow_seed_session_close(&seed.session);
    free(seed.list);
    if (status != OW_OK) {
        return ow_command_fail(status, &err);
    }
    ow_seed_session_print(output, (const struct ow_seed_count[]){
                                      {"read",     seed.read       },
                                      {"claimed",  seed.claimed    },
                                      {"known",    seed.known      },
                                      {"expired",  seed.expired    },
                                      {"filtered", seed.filtered   },
                                      {"bad",      seed.session.bad},
                                      {NULL,       0               }
    });
    return 0;
}
