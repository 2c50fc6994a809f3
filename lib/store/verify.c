#include "store/verify.h"

#include "store/internal.h"
#include "store/verify_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* The last one stays NULL. */
enum { EXAMPLES = sizeof(((struct ow_promise *)0)->examples) / sizeof(const char *) - 1 };

/* A broken promise on a store that is written to is looked at once more before it is told. */
enum { ATTEMPTS = 2 };

static const struct {
    ow_verify_check *check;
    const char *phase;
} checks[] = {
    {ow_verify_integrity,    "integrity"    },
    {ow_verify_machine_load, "machines"     },
    {ow_verify_schema,       "schema"       },
    {ow_verify_meta,         "meta"         },
    {ow_verify_seals,        "seals"        },
    {ow_verify_begin,        "positions"    },
 /* In the order in which a record moves on, so that none is missed: parked, in quarantine, seen
  as stale, applied. */
    {ow_verify_parked,       "parked"       },
    {ow_verify_quarantine,   "quarantine"   },
    {ow_verify_sightings,    "sightings"    },
    {ow_verify_history,      "history"      },
    {ow_verify_chains,       "chains"       },
    {ow_verify_records,      "business rows"},
    {ow_verify_claims,       "claims"       },
    {ow_verify_filters,      "filters"      },
    {ow_verify_ledger,       "ledger"       },
    {ow_verify_state_hash,   "state hash"   },
};
enum { CHECKS = sizeof(checks) / sizeof(checks[0]) };

void ow_verify_checked(struct ow_verify *verify, enum ow_promise_name promise, int64_t count)
{
    verify->promises[promise].checked += count;
}

void ow_verify_broken(struct ow_verify *verify, enum ow_promise_name promise, const char *format,
                      ...)
{
    struct ow_promise *broken = &verify->promises[promise];
    if (broken->broken < EXAMPLES) {
        char text[512];
        va_list arguments;
        va_start(arguments, format);
        (void)vsnprintf(text, sizeof(text), format, arguments);
        va_end(arguments);
        broken->examples[broken->broken] = ow_arena_text(verify->arena, ow_slice_of(text));
    }
    broken->broken++;
}

void ow_verify_remark(struct ow_verify *verify, const char *text)
{
    for (size_t i = 0; i < OW_VERIFY_NOTES; i++) {
        if (verify->remarks[i] == NULL) {
            verify->remarks[i] = text;
            return;
        }
    }
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

static enum ow_status open_store(struct ow_verify *verify, struct ow_err *err)
{
    const char *path = verify->slices.options.path;
    const char *resolved = NULL;
    OW_TRY(ow_store_open_reader(&verify->sql, path, verify->arena, &resolved, err));
    verify->slices.wal_path = ow_arena_printf(verify->arena, "%s-wal", resolved);
    return ow_sql_exec(&verify->sql, "PRAGMA cache_size = -65536", err);
}

static enum ow_status check_all(struct ow_verify *verify, struct ow_err *err)
{
    OW_TRY(ow_verify_slice_begin(verify, err));
    verify->slices.first_batch = verify->slices.batch;
    for (size_t i = 0; i < CHECKS; i++) {
        verify->slices.progress.phase = checks[i].phase;
        verify->slices.progress.step = (int)i + 1;
        OW_TRY(checks[i].check(verify, err));
        ow_arena_reset(&verify->scratch);
    }
    if (verify->erased > 0) {
        ow_verify_remark(verify,
                         ow_arena_printf(verify->arena,
                                         "the payloads of %" PRId64
                                         " rows were erased: of these, rows and columns are held to"
                                         " what they were then, and not to what they were made of",
                                         verify->erased));
    }
    return OW_OK;
}

static bool is_broken(const struct ow_verify *verify)
{
    for (size_t i = 0; i < OW_PROMISE_COUNT; i++) {
        if (verify->promises[i].broken > 0) {
            return true;
        }
    }
    return false;
}

static enum ow_status run(struct ow_verify *verify, struct ow_err *err)
{
    verify->promises = make_promises(verify->arena);
    enum ow_status status = open_store(verify, err);
    if (status == OW_OK) {
        status = check_all(verify, err);
    }
    if (status != OW_OK && (verify->sql.damaged || is_broken(verify))) {
        /* A damaged file, or one without a table of ours, cannot be read to its end. That is what
         * was found, and no reason to say nothing. */
        ow_verify_broken(verify, OW_PROMISE_INTEGRITY, "the checks could not be finished: %s",
                         err->text);
        verify->unfinished = true;
        return OW_OK;
    }
    return status;
}

static void close_store(struct ow_verify *verify)
{
    ow_verify_slice_end(verify);
    ow_verify_notes_done(&verify->notes);
    ow_verify_machine_done(verify);
    ow_sql_close(&verify->sql);
    ow_buffer_done(&verify->decoder.scratch);
    ow_arena_done(&verify->scratch);
}

static void take_result(const struct ow_verify *verify, struct ow_verification *ret_verification)
{
    *ret_verification = (struct ow_verification){.promises = verify->promises,
                                                 .promise_count = OW_PROMISE_COUNT,
                                                 .slices = verify->slices.count,
                                                 .longest_slice_ns = verify->slices.longest_ns};
    memcpy(ret_verification->state_hash, verify->state_hash, sizeof(verify->state_hash));
    memcpy(ret_verification->notes, verify->remarks, sizeof(verify->remarks));
    ret_verification->ok = !is_broken(verify);
    ret_verification->finished = !verify->unfinished;
}

static struct ow_verify_slices begin_slices(const struct ow_verify_options *options)
{
    struct ow_verify_slices slices = {.options = *options};
    slices.options.slice_ms = options->slice_ms == 0 ? OW_VERIFY_SLICE_MS : options->slice_ms;
    slices.started_ns = ow_clock_elapsed_ns(&options->clock);
    slices.progress.steps = CHECKS;
    return slices;
}

/*
 * Rows that the worker writes are told apart from those that were there. What operators do
 * meanwhile (a rewind into a skipped run splits the ledger) is not: so a broken promise counts on a
 * store that is written to only when a second look finds it too.
 */
enum ow_status ow_verify_store(const struct ow_verify_options *options, struct ow_arena *arena,
                               struct ow_verification *ret_verification, struct ow_err *err)
{
    OW_REQUIRE(options->path != NULL);
    enum ow_status status = OW_OK;
    bool again = true;
    struct ow_verify_slices slices = begin_slices(options);
    for (int attempt = 1; again; attempt++) {
        struct ow_verify verify = {.arena = arena, .slices = slices};
        ow_arena_init(&verify.scratch, 65536);
        status = run(&verify, err);
        close_store(&verify);
        take_result(&verify, ret_verification);
        const bool written = verify.slices.batch != verify.slices.first_batch;
        again = status == OW_OK && !ret_verification->ok && written && attempt < ATTEMPTS;
        slices.count = verify.slices.count;
        slices.longest_ns = verify.slices.longest_ns;
        slices.progress.rows = verify.slices.progress.rows;
    }
    return status == OW_STORE_UNKNOWN ? OW_FAILED : status; /* nothing was being committed */
}

enum ow_status ow_verify(const char *path, struct ow_arena *arena,
                         struct ow_verification *ret_verification, struct ow_err *err)
{
    return ow_verify_store(&(struct ow_verify_options){.path = path, .clock = ow_clock_system()},
                           arena, ret_verification, err);
}
