#include "store/verify.h"

#include "store/internal.h"
#include "store/verify_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

/* The last one stays NULL. */
enum { EXAMPLES = sizeof(((struct ow_promise *)0)->examples) / sizeof(const char *) - 1 };

static enum ow_status check_all(struct ow_verify *verify, struct ow_err *err);

void ow_verify_checked(struct ow_verify *verify, enum ow_promise_name promise, int64_t count)
{
    verify->promises[promise].checked += count;
}

void ow_verify_broken(struct ow_verify *verify, enum ow_promise_name promise, const char *format,
                      ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    struct ow_promise *broken = &verify->promises[promise];
    if (broken->broken < EXAMPLES) {
        broken->examples[broken->broken] = ow_arena_text(verify->arena, ow_slice_of(text));
    }
    broken->broken++;
}

static struct ow_promise *make_promises(struct ow_arena *arena)
{
    static const struct ow_promise table[OW_PROMISE_COUNT] = {
#define OW_PROMISE_ROW(id, text, sentence)                                                         \
    [OW_PROMISE_##id] = {.name = (text), .meaning = (sentence)},
        OW_PROMISE_TABLE(OW_PROMISE_ROW)
#undef OW_PROMISE_ROW
    };
    struct ow_promise *promises = OW_ARENA_ARRAY(arena, OW_PROMISE_COUNT, struct ow_promise);
    memcpy(promises, table, sizeof(table));
    return promises;
}

static enum ow_status open_store(struct ow_verify *verify, const char *path, struct ow_err *err)
{
    const char *resolved = NULL;
    bool exists = false;
    OW_TRY(ow_store_path_check(path, verify->arena, &resolved, &exists, err));
    if (!exists) {
        return ow_fail(err, OW_BAD_CONFIG, "there is no store '%s'", path);
    }
    return ow_sql_open(&verify->sql, resolved, OW_SQL_READER, err);
}

static enum ow_status run(struct ow_verify *verify, const char *path, struct ow_err *err)
{
    enum ow_store_kind kind = OW_STORE_KIND_EMPTY;
    OW_TRY(open_store(verify, path, err));
    OW_TRY(ow_store_identify(&verify->sql, path, &kind, err));
    if (kind == OW_STORE_KIND_EMPTY) {
        return ow_fail(err, OW_UNSAFE, "'%s' is empty: no store of onceward", path);
    }
    /* Sorting may need more than memory has. One snapshot for all: a worker may go on meanwhile. */
    OW_TRY(ow_sql_exec(&verify->sql, "PRAGMA temp_store = FILE; PRAGMA cache_size = -65536; BEGIN",
                       err));
    const enum ow_status status = check_all(verify, err);
    if (status != OW_OK && verify->promises[OW_PROMISE_INTEGRITY].broken > 0) {
        /* A damaged file cannot be read to its end. That is what was found, and no reason to say
         * nothing. */
        ow_verify_broken(verify, OW_PROMISE_INTEGRITY, "the checks could not be finished: %s",
                         err->text);
        return OW_OK;
    }
    return status;
}

enum ow_status ow_verify(const char *path, struct ow_arena *arena,
                         struct ow_verification *ret_verification, struct ow_err *err)
{
    struct ow_verify verify = {.arena = arena, .promises = make_promises(arena)};
    ow_arena_init(&verify.scratch, 65536);
    const enum ow_status status = run(&verify, path, err);
    ow_verify_machine_done(&verify);
    ow_sql_rollback(&verify.sql);
    ow_sql_close(&verify.sql);
    ow_arena_done(&verify.scratch);
    if (status != OW_OK) {
        return status == OW_STORE_UNKNOWN ? OW_FAILED : status; /* nothing was being committed */
    }
    *ret_verification = (struct ow_verification){
        .ok = true, .promises = verify.promises, .promise_count = OW_PROMISE_COUNT};
    memcpy(ret_verification->state_hash, verify.state_hash, sizeof(verify.state_hash));
    for (size_t i = 0; i < OW_PROMISE_COUNT; i++) {
        ret_verification->ok = ret_verification->ok && verify.promises[i].broken == 0;
    }
    return OW_OK;
}

static enum ow_status check_all(struct ow_verify *verify, struct ow_err *err)
{
    static enum ow_status (*const checks[])(struct ow_verify * verify, struct ow_err * err) = {
        ow_verify_integrity, ow_verify_machine_load,  ow_verify_counters,     ow_verify_ledger,
        ow_verify_outcomes,  ow_verify_claims_unique, ow_verify_claims_owned, ow_verify_refs,
        ow_verify_history,   ow_verify_records,       ow_verify_parked,       ow_verify_state_hash,
    };
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        OW_TRY(checks[i](verify, err));
        ow_arena_reset(&verify->scratch);
    }
    return OW_OK;
}

enum ow_status ow_verify_integrity(struct ow_verify *verify, struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(&verify->sql, "PRAGMA integrity_check", &statement, err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    ow_verify_checked(verify, OW_PROMISE_INTEGRITY, 1);
    while (row) {
        const struct ow_slice text = ow_sql_slice(&statement, 0);
        if (!ow_slice_equals_text(text, "ok")) {
            ow_verify_broken(verify, OW_PROMISE_INTEGRITY, OW_SLICE_FMT, OW_SLICE_ARG(text));
        }
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return OW_OK;
}
