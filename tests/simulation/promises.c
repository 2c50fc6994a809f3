#include "clock.h"
#include "run.h"
#include "store/verify.h"

#include <stdio.h>

/* What `onceward verify` says of the database. */
void ow_check_promises(struct ow_sim_run *run, char ret_state_hash[65])
{
    struct ow_arena arena;
    struct ow_verification verification;
    struct ow_err err = {.text = ""};
    if (ow_run_is_over(run)) {
        return;
    }
    ow_arena_init(&arena, (size_t)64 * 1024);
    ow_vfs_set_quiet(true);
    const struct ow_verify_options options = {
        .path = run->path, .hash_key_file = run->key_path, .clock = ow_sim_clock()};
    const enum ow_status status = ow_verify_store(&options, &arena, &verification, &err);
    ow_vfs_set_quiet(false);
    if (status != OW_OK) {
        ow_run_fail(run, "verify", "it cannot verify: %s", err.text);
    }
    for (size_t i = 0; status == OW_OK && i < verification.promise_count; i++) {
        const struct ow_promise *promise = &verification.promises[i];
        /* The trigger that makes poison is ours, and verify is right to tell of it. */
        const bool is_trigger =
            run->model.poison != OW_POISON_NONE && strcmp(promise->name, "schema_known") == 0;
        if (promise->broken > 0 && !is_trigger) {
            ow_run_fail(run, "verify", "%s is broken %lld times: %s", promise->name,
                        (long long)promise->broken,
                        promise->examples[0] == NULL ? "" : promise->examples[0]);
        }
    }
    if (status == OW_OK) {
        (void)snprintf(ret_state_hash, 65, "%s", verification.state_hash);
    }
    ow_arena_done(&arena);
}
