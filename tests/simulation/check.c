#include "base/buffer.h"
#include "base/contract.h"
#include "counters.h"
#include "run.h"

#include <stdlib.h>

/*
 * The whole database against the model: each table as lines of text, in the order of its keys, and
 * the first line that differs is told.
 */

enum { ROWS_MAX = 1024 };

static const char *text_or_empty(const unsigned char *text)
{
    return text == NULL ? "" : (const char *)text;
}

static bool dump(sqlite3 *handle, const char *sql, struct ow_buffer *out)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(handle, sql, -1, &statement, NULL);
    if (code == SQLITE_OK) {
        const int columns = sqlite3_column_count(statement);
        while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
            for (int i = 0; i < columns; i++) {
                ow_buffer_text(out, i == 0 ? "" : "|");
                ow_buffer_text(out, text_or_empty(sqlite3_column_text(statement, i)));
            }
            ow_buffer_byte(out, '\n');
        }
    }
    if (code != SQLITE_DONE) {
        ow_buffer_printf(out, "%s: %s\n", sql, sqlite3_errmsg(handle));
    }
    (void)sqlite3_finalize(statement);
    return code == SQLITE_DONE;
}

static void number(struct ow_buffer *out, int64_t value)
{
    char digits[24];
    size_t at = sizeof(digits);
    uint64_t rest = value < 0 ? (uint64_t)-value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        digits[--at] = '-';
    }
    ow_buffer_append(out, digits + at, sizeof(digits) - at);
}

/* A column: its text, then a number. */
static void column(struct ow_buffer *out, const char *text, int64_t value)
{
    ow_buffer_text(out, text);
    number(out, value);
}

static void end_line(struct ow_buffer *out)
{
    ow_buffer_byte(out, '\n');
}

static void number_or_empty(struct ow_buffer *out, int64_t value)
{
    ow_buffer_byte(out, '|');
    if (value != 0) {
        number(out, value);
    }
}

static void place(struct ow_buffer *out, const struct ow_logged *logged)
{
    ow_buffer_byte(out, '|');
    ow_buffer_slice(out, logged->record.topic);
    column(out, "|", logged->record.partition);
    column(out, "|", logged->record.offset);
}

static void expect_orders(const struct ow_model *model, struct ow_buffer *out)
{
    for (int i = 0; i < OW_MESSAGE_ORDERS; i++) {
        const struct ow_model_order *order = &model->orders[i];
        if (order->version == 0) {
            continue;
        }
        column(out, "o", i);
        ow_buffer_text(out, "|");
        ow_buffer_text(out, ow_model_state_text(order->state));
        column(out, "|", order->version);
        column(out, "|", order->last_seq);
        column(out, "|", order->amount);
        ow_buffer_text(out, "|");
        ow_buffer_text(out, ow_message_currency_text(order->currency));
        column(out, "|", order->paid);
        column(out, "|", order->refunded);
        column(out, "|", order->created_at_ms);
        column(out, "|", order->updated_at_ms);
        end_line(out);
    }
}

static void expect_rows(const struct ow_model_row *rows, bool payments, struct ow_buffer *out)
{
    for (int i = 0; i < OW_MESSAGE_PAYMENTS; i++) {
        const struct ow_model_row *row = &rows[i];
        if (row->seq == 0) {
            continue;
        }
        column(out, payments ? "p" : "r", i);
        column(out, "|o", row->order);
        column(out, "|", row->amount);
        ow_buffer_text(out, "|");
        ow_buffer_text(out, ow_message_currency_text(row->currency));
        ow_buffer_text(out, payments ? "|" : "");
        ow_buffer_text(out, payments ? ow_message_method_text(row->method) : "");
        column(out, "|", row->seq);
        end_line(out);
    }
}

static void expect_payments(const struct ow_model *model, struct ow_buffer *out)
{
    expect_rows(model->payments, true, out);
}

static void expect_refunds(const struct ow_model *model, struct ow_buffer *out)
{
    expect_rows(model->refunds, false, out);
}

static int compare_history(const void *a, const void *b)
{
    const struct ow_model_history *const *left = a;
    const struct ow_model_history *const *right = b;
    return ((*left)->seq > (*right)->seq) - ((*left)->seq < (*right)->seq);
}

static void expect_history(const struct ow_model *model, struct ow_buffer *out)
{
    static const struct ow_model_history *rows[ROWS_MAX];
    size_t count = 0;
    for (const struct ow_model_history *row = model->history; row != NULL; row = row->next) {
        OW_INVARIANT(count < ROWS_MAX);
        rows[count++] = row;
    }
    qsort(rows, count, sizeof(struct ow_model_history *), compare_history);
    for (size_t i = 0; i < count; i++) {
        const struct ow_model_history *row = rows[i];
        const struct ow_message *message = &row->by->message;
        number(out, row->seq);
        number_or_empty(out, row->first_ref);
        column(out, "|", row->machine_version);
        column(out, "|o", message->order);
        column(out, "|", row->version);
        number_or_empty(out, row->prev_seq);
        ow_buffer_text(out, "|");
        ow_buffer_text(out, ow_message_type_text(message->type));
        ow_buffer_text(out, "|");
        ow_buffer_text(out, ow_message_source_text(message->source));
        column(out, "|m", message->id);
        ow_buffer_text(out, "|");
        ow_buffer_text(out, ow_model_state_text(row->from));
        ow_buffer_text(out, "|");
        ow_buffer_text(out, ow_model_state_text(row->to));
        column(out, "|", message->time_ms >= 0 ? message->time_ms : message->timestamp_ms);
        place(out, row->by);
        ow_buffer_text(out, row->woken ? "|wake\n" : "|kafka\n");
    }
}

static int compare_refs(const void *a, const void *b)
{
    const int64_t left = *(const int64_t *)a;
    const int64_t right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

static void expect_claims(const struct ow_model *model, struct ow_buffer *out)
{
    static int64_t refs[OW_MESSAGE_SOURCES * OW_MESSAGE_IDS];
    size_t count = 0;
    for (int source = 0; source < OW_MESSAGE_SOURCES; source++) {
        for (int id = 0; id < OW_MESSAGE_IDS; id++) {
            if (model->claims[source][id].ref != 0) {
                refs[count++] = model->claims[source][id].ref;
            }
        }
    }
    qsort(refs, count, sizeof(int64_t), compare_refs);
    for (size_t i = 0; i < count; i++) {
        number(out, refs[i]);
        end_line(out);
    }
}

static int compare_parked(const void *a, const void *b)
{
    const struct ow_model_parked *const *left = a;
    const struct ow_model_parked *const *right = b;
    return ((*left)->id > (*right)->id) - ((*left)->id < (*right)->id);
}

static void expect_parked(const struct ow_model *model, struct ow_buffer *out)
{
    static const struct ow_model_parked *rows[ROWS_MAX];
    size_t count = 0;
    for (int i = 0; i < OW_MESSAGE_ORDERS; i++) {
        for (const struct ow_model_parked *row = model->orders[i].parked; row != NULL;
             row = row->next) {
            if (!row->gone) {
                OW_INVARIANT(count < ROWS_MAX);
                rows[count++] = row;
            }
        }
    }
    qsort(rows, count, sizeof(struct ow_model_parked *), compare_parked);
    for (size_t i = 0; i < count; i++) {
        number(out, rows[i]->id);
        column(out, "|o", rows[i]->by->message.order);
        ow_buffer_text(out, "|");
        ow_buffer_text(out, ow_message_type_text(rows[i]->by->message.type));
        place(out, rows[i]->by);
        end_line(out);
    }
}

static int compare_quarantine(const void *a, const void *b)
{
    const struct ow_model_quarantine *const *left = a;
    const struct ow_model_quarantine *const *right = b;
    return ((*left)->id > (*right)->id) - ((*left)->id < (*right)->id);
}

static void expect_quarantine(const struct ow_model *model, struct ow_buffer *out)
{
    static const struct ow_model_quarantine *rows[ROWS_MAX];
    size_t count = 0;
    for (const struct ow_model_quarantine *row = model->quarantine; row != NULL; row = row->next) {
        OW_INVARIANT(count < ROWS_MAX);
        rows[count++] = row;
    }
    qsort(rows, count, sizeof(struct ow_model_quarantine *), compare_quarantine);
    for (size_t i = 0; i < count; i++) {
        number(out, rows[i]->id);
        ow_buffer_text(out, "|");
        ow_buffer_text(out, rows[i]->reason);
        place(out, rows[i]->by);
        column(out, "|", rows[i]->seen);
        number_or_empty(out, rows[i]->conflict_ref);
        ow_buffer_text(out, "|0|open\n");
    }
}

static void expect_sightings(const struct ow_model *model, struct ow_buffer *out)
{
    for (const struct ow_model_sighting *row = model->sightings; row != NULL; row = row->next) {
        number(out, row->ref);
        ow_buffer_text(out, "|");
        ow_buffer_text(out, row->cause);
        place(out, row->by);
        end_line(out);
    }
}

static const char *ledger_text(int what)
{
    static const char *const texts[] = {"applied",     "duplicate", "stale",  "parked",
                                        "quarantined", "filtered",  "skipped"};
    return texts[what];
}

/* Runs of one outcome. By partition, for the model does not know the order of topics. */
static void expect_ledger(const struct ow_model_partition *partition, struct ow_buffer *out)
{
    int64_t at = partition->first;
    while (at >= 0 && at < partition->high) {
        const int64_t first = at;
        const int what = partition->ledger[first] & ~OW_LEDGER_GAP;
        int64_t records = 0;
        for (; at < partition->high && (partition->ledger[at] & ~OW_LEDGER_GAP) == what; at++) {
            records += what != OW_LEDGER_SKIPPED && partition->ledger[at] == what;
        }
        number(out, first);
        column(out, "|", at - 1);
        ow_buffer_text(out, "|");
        ow_buffer_text(out, ledger_text(what));
        column(out, "|", records);
        end_line(out);
    }
}

static size_t line_end(struct ow_slice text, size_t at)
{
    while (at < text.len && text.ptr[at] != '\n') {
        at++;
    }
    return at;
}

/* Tells the first line that differs. */
static void compare(struct ow_sim_run *run, const char *table, struct ow_buffer *expected,
                    struct ow_buffer *got)
{
    const struct ow_slice left = ow_buffer_view(expected);
    const struct ow_slice right = ow_buffer_view(got);
    size_t at = 0;
    if (left.len == right.len && (left.len == 0 || memcmp(left.ptr, right.ptr, left.len) == 0)) {
        return;
    }
    for (;;) {
        const size_t left_end = line_end(left, at);
        const size_t right_end = line_end(right, at);
        if (left_end != right_end || left_end == left.len ||
            memcmp(left.ptr + at, right.ptr + at, left_end - at) != 0) {
            ow_run_fail(run, table, "expected '%.*s', got '%.*s'",
                        at < left.len ? (int)(left_end - at) : 0,
                        at < left.len ? (const char *)left.ptr + at : "",
                        at < right.len ? (int)(right_end - at) : 0,
                        at < right.len ? (const char *)right.ptr + at : "");
            return;
        }
        at = left_end + 1;
    }
}

static void check_table(struct ow_sim_run *run, sqlite3 *handle, const char *table, const char *sql,
                        void (*expect)(const struct ow_model *model, struct ow_buffer *out))
{
    OW_BUFFER expected = {0};
    OW_BUFFER got = {0};
    if (run->result->failed) {
        return;
    }
    expect(&run->model, &expected);
    (void)dump(handle, sql, &got);
    compare(run, table, &expected, &got);
}

static void check_ledgers(struct ow_sim_run *run, sqlite3 *handle)
{
    for (size_t i = 0; i < run->broker.log_count && !run->result->failed; i++) {
        OW_BUFFER expected = {0};
        OW_BUFFER got = {0};
        OW_BUFFER sql = {0};
        const struct ow_log *log = &run->broker.logs[i];
        expect_ledger(&run->model.partitions[i], &expected);
        ow_buffer_printf(&sql,
                         "SELECT first_offset, last_offset, outcome, records FROM ow_ledger WHERE"
                         " topic = '%s' AND partition = %d ORDER BY first_offset",
                         log->topic, (int)log->partition);
        (void)dump(handle, ow_buffer_cstr(&sql), &got);
        compare(run, "ow_ledger", &expected, &got);
    }
}

static void check_tables(struct ow_sim_run *run, sqlite3 *handle)
{
    static const struct {
        const char *table, *sql;
        void (*expect)(const struct ow_model *model, struct ow_buffer *out);
    } tables[] = {
        {"orders",
         "SELECT order_id, state, version, last_seq, amount_minor, currency, paid_minor,"
         " refunded_minor, created_at_ms, updated_at_ms FROM orders"
         " ORDER BY CAST(substr(order_id, 2) AS INTEGER)",                              expect_orders    },
        {"payments",
         "SELECT payment_id, order_id, amount_minor, currency, method, seq FROM payments"
         " ORDER BY CAST(substr(payment_id, 2) AS INTEGER)",                            expect_payments  },
        {"refunds",
         "SELECT refund_id, order_id, amount_minor, currency, seq FROM refunds"
         " ORDER BY CAST(substr(refund_id, 2) AS INTEGER)",                             expect_refunds   },
        {"ow_history",
         "SELECT seq, first_ref, machine_version, entity_id, version, prev_seq, event_type,"
         " source, message_id, from_state, to_state, event_time_ms, topic, partition, offset,"
         " via FROM ow_history ORDER BY seq",                                           expect_history   },
        {"ow_claims",
         "SELECT ref FROM ow_claims c JOIN ow_bucket b USING (bucket) WHERE b.bucket >="
         " coalesce((SELECT value FROM ow_meta WHERE key = 'pruned_below.' || b.class), 0)"
         " ORDER BY ref",                                                               expect_claims    },
        {"ow_parked",
         "SELECT id, entity_id, event_type, topic, partition, offset FROM ow_parked"
         " ORDER BY id",                                                                expect_parked    },
        {"ow_quarantine",
         "SELECT id, reason, topic, partition, offset, seen, conflict_ref, attempts, status"
         " FROM ow_quarantine ORDER BY id",                                             expect_quarantine},
        {"ow_sighting",
         "SELECT ref, cause, topic, partition, offset FROM ow_sighting ORDER BY rowid", expect_sightings },
    };
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        check_table(run, handle, tables[i].table, tables[i].sql, tables[i].expect);
    }
    check_ledgers(run, handle);
}

static sqlite3 *open_reader(const char *path)
{
    sqlite3 *handle = NULL;
    const int code =
        sqlite3_open_v2(path, &handle, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    OW_INVARIANT(code == SQLITE_OK);
    return handle;
}

void ow_check_all(struct ow_sim_run *run)
{
    if (ow_run_is_over(run)) {
        return;
    }
    ow_vfs_set_quiet(true);
    sqlite3 *handle = open_reader(run->path);
    check_tables(run, handle);
    (void)sqlite3_close(handle);
    ow_vfs_set_quiet(false);
}

void ow_check_worst(struct ow_sim_run *run, const struct ow_partition_offset *list, size_t count)
{
    ow_vfs_set_quiet(true);
    ow_count(OW_SOMETIMES_WORST);
    ow_vfs_make_worst(run->path, run->worst_path);
    sqlite3 *handle = open_reader(run->worst_path);
    sqlite3_stmt *statement = NULL;
    (void)sqlite3_prepare_v2(
        handle, "SELECT next_offset FROM ow_position WHERE topic = ? AND partition = ?", -1,
        &statement, NULL);
    for (size_t i = 0; i < count && !run->result->failed; i++) {
        (void)sqlite3_bind_text(statement, 1, list[i].topic, -1, SQLITE_STATIC);
        (void)sqlite3_bind_int(statement, 2, list[i].partition);
        const int64_t next =
            sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
        if (next < list[i].offset) {
            ow_run_fail(run, "durable_first",
                        "%s[%d]: offset %lld is committed to the group, and a power cut now would"
                        " leave the position at %lld",
                        list[i].topic, (int)list[i].partition, (long long)list[i].offset,
                        (long long)next);
        }
        (void)sqlite3_reset(statement);
    }
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(handle);
    ow_vfs_remove(run->worst_path);
    ow_vfs_set_quiet(false);
}
