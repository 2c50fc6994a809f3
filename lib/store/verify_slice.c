#include "store/verify_slice.h"

#include "store/verify_internal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * A WAL is written from its beginning again only when all of it lies in the database and no
 * snapshot is held. With one snapshot after the other that moment never comes, and a worker that
 * writes fast would fill the disk: so where the WAL has grown beyond what the worker lets it
 * (checkpoints at 64 MiB), the next snapshot waits for that moment.
 */
static const int64_t wal_bytes_max = INT64_C(96) << 20;
enum { WAIT_STEP_MS = 2, WAIT_QUIET_MS = 500, WAIT_MS = 2000 };

/* At offset 12 of a WAL: the number of checkpoints and a salt, both new in each round. */
enum { ROUND_OFFSET = 12 };

static void look_at_wal(const struct ow_verify_slices *slices, struct ow_verify_wal *ret_wal)
{
    *ret_wal = (struct ow_verify_wal){0};
    const int fd = open(slices->wal_path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd < 0) {
        return; /* there is none */
    }
    /* SQLite holds no lock on this file, so closing it takes none away. */
    if (fstat(fd, &status) == 0 &&
        pread(fd, ret_wal->round, sizeof(ret_wal->round), ROUND_OFFSET) >= 0) {
        ret_wal->bytes = status.st_size;
        ret_wal->changed = status.st_mtim;
    }
    (void)close(fd);
}

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool ow_verify_slice_outdated(const struct ow_verify *verify)
{
    struct ow_verify_wal now;
    look_at_wal(&verify->slices, &now);
    return now.bytes != verify->slices.wal.bytes ||
           !is_same_time(&now.changed, &verify->slices.wal.changed);
}

/* Until the worker begins the WAL anew, or does not write. */
static void wait_for_wal(struct ow_verify_slices *slices)
{
    struct ow_verify_wal before;
    struct ow_verify_wal now;
    look_at_wal(slices, &before);
    now = before;
    int quiet_ms = 0;
    for (int waited_ms = 0; waited_ms < WAIT_MS && quiet_ms < WAIT_QUIET_MS;
         waited_ms += WAIT_STEP_MS) {
        if (now.bytes <= wal_bytes_max || is_same_time(&now.changed, &slices->idle) ||
            memcmp(now.round, slices->wal.round, sizeof(now.round)) != 0) {
            return;
        }
        (void)sqlite3_sleep(WAIT_STEP_MS);
        look_at_wal(slices, &now);
        quiet_ms = is_same_time(&now.changed, &before.changed) ? quiet_ms + WAIT_STEP_MS : 0;
        before = now;
    }
    slices->idle = now.changed;
}

enum ow_status ow_verify_slice_begin(struct ow_verify *verify, struct ow_err *err)
{
    struct ow_verify_slices *slices = &verify->slices;
    OW_REQUIRE(!slices->open);
    slices->begun_ns = ow_clock_elapsed_ns(&slices->options.clock);
    look_at_wal(slices, &slices->wal);
    OW_TRY(ow_sql_exec(&verify->sql, "BEGIN", err));
    slices->open = true;
    /* The first read takes the snapshot. */
    OW_TRY(ow_sql_query_i64(&verify->sql, "SELECT value FROM ow_meta WHERE key = 'batch'",
                            &slices->batch, err));
    return ow_sql_query_i64(&verify->sql, "SELECT value FROM ow_meta WHERE key = 'next_ref'",
                            &slices->next_ref, err);
}

void ow_verify_slice_end(struct ow_verify *verify)
{
    struct ow_verify_slices *slices = &verify->slices;
    for (struct ow_verify_cursor *cursor = slices->cursors; cursor != NULL; cursor = cursor->next) {
        ow_sql_reset(&cursor->statement);
        cursor->open = false;
    }
    if (!slices->open) {
        return;
    }
    ow_sql_rollback(&verify->sql); /* nothing was written */
    slices->open = false;
    const int64_t now_ns = ow_clock_elapsed_ns(&slices->options.clock);
    if (now_ns - slices->begun_ns > slices->longest_ns) {
        slices->longest_ns = now_ns - slices->begun_ns;
    }
    slices->count++;
    slices->progress.elapsed_ns = now_ns - slices->started_ns;
    if (slices->options.between != NULL) {
        slices->options.between(&slices->progress, slices->options.context);
    }
}

enum ow_status ow_verify_turn(struct ow_verify *verify, struct ow_err *err)
{
    ow_verify_slice_end(verify);
    wait_for_wal(&verify->slices);
    return ow_verify_slice_begin(verify, err);
}

bool ow_verify_slice_due(const struct ow_verify *verify)
{
    const struct ow_verify_slices *slices = &verify->slices;
    return ow_clock_elapsed_ns(&slices->options.clock) - slices->begun_ns >=
           slices->options.slice_ms * 1000000;
}

enum ow_status ow_verify_pause(struct ow_verify *verify, struct ow_err *err)
{
    verify->slices.progress.rows++;
    return ow_verify_slice_due(verify) ? ow_verify_turn(verify, err) : OW_OK;
}

enum ow_status ow_verify_cursor_open(struct ow_verify_cursor *cursor, struct ow_verify *verify,
                                     const char *text, struct ow_err *err)
{
    OW_TRY(ow_sql_prepare(&verify->sql, text, &cursor->statement, err));
    cursor->verify = verify;
    cursor->from = INT64_MIN;
    cursor->next = verify->slices.cursors;
    verify->slices.cursors = cursor;
    return OW_OK;
}

void ow_verify_cursor_done(struct ow_verify_cursor *cursor)
{
    if (cursor->verify != NULL) {
        struct ow_verify_cursor **link = &cursor->verify->slices.cursors;
        while (*link != cursor) {
            link = &(*link)->next;
        }
        *link = cursor->next;
    }
    ow_sql_finalize(&cursor->statement);
    ow_buffer_done(&cursor->bytes);
    *cursor = (struct ow_verify_cursor){0};
}

static void bind(struct ow_verify_cursor *cursor)
{
    for (size_t i = 0; i < cursor->fixed_count; i++) {
        ow_sql_bind_value(&cursor->statement, &cursor->fixed[i]);
    }
    const struct ow_slice bytes =
        cursor->bytes.len == 0 ? OW_SLICE("") : ow_buffer_view(&cursor->bytes);
    if (cursor->by == OW_VERIFY_BY_NUMBER) {
        ow_sql_bind_i64(&cursor->statement, cursor->from);
    } else if (cursor->by == OW_VERIFY_BY_TEXT) {
        ow_sql_bind_text(&cursor->statement, bytes);
    } else {
        ow_sql_bind_blob(&cursor->statement, bytes);
    }
}

/* The least key behind that of the present row: the next number, or the bytes with a NUL more. */
static void remember(struct ow_verify_cursor *cursor)
{
    if (cursor->by == OW_VERIFY_BY_NUMBER) {
        const int64_t number = ow_sql_i64(&cursor->statement, 0);
        cursor->ended = number == INT64_MAX;
        cursor->from = cursor->ended ? number : number + 1;
        return;
    }
    ow_buffer_clear(&cursor->bytes);
    ow_buffer_slice(&cursor->bytes, ow_sql_slice(&cursor->statement, 0));
    ow_buffer_byte(&cursor->bytes, 0);
}

enum ow_status ow_verify_cursor_next(struct ow_verify_cursor *cursor, bool *ret_row,
                                     struct ow_err *err)
{
    *ret_row = false;
    if (!cursor->open) {
        if (cursor->ended) {
            return OW_OK;
        }
        bind(cursor);
        cursor->open = true;
    }
    OW_TRY(ow_sql_step(&cursor->statement, ret_row, err));
    if (*ret_row) {
        remember(cursor);
    } else {
        cursor->open = false;
        cursor->ended = true;
    }
    return OW_OK;
}
