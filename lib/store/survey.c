#include "store/survey.h"

#include "base/buffer.h"
#include "store/sql.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void close_reader(struct ow_sql *sql)
{
    ow_sql_close(sql);
}

static enum ow_status open_reader(struct ow_sql *sql, const char *path, struct ow_err *err)
{
    if (access(path, R_OK) != 0) {
        return ow_fail(err, OW_TEMPORARY, "there is no store '%s' yet", path);
    }
    return ow_sql_open(sql, path, OW_SQL_READER, err);
}

enum ow_status ow_survey_counters(const char *path, struct ow_survey_counters *ret_counters,
                                  struct ow_err *err)
{
    OW_CLEANUP(close_reader) struct ow_sql sql = {0};
    OW_TRY(open_reader(&sql, path, err));
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(
        &sql,
        "SELECT total(applied), total(duplicate), total(stale), total(parked), total(quarantined), "
        "total(filtered), total(reread), "
        "(SELECT value FROM ow_meta WHERE key = 'epoch') FROM ow_position",
        &statement, err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    OW_ENSURE(row);
    struct ow_survey_counters counters = {0};
    for (int i = 0; i < OW_OUTCOME_COUNT; i++) {
        counters.counts[i] = ow_sql_i64(&statement, i);
        counters.records += counters.counts[i];
    }
    counters.reread = ow_sql_i64(&statement, OW_OUTCOME_COUNT);
    counters.epoch = ow_sql_i64(&statement, OW_OUTCOME_COUNT + 1);
    *ret_counters = counters;
    return OW_OK;
}

/* A name between quotes cannot end them. */
static bool is_name(const char *name)
{
    return name == NULL ||
           (name[0] != '\0' && strlen(name) < 128 && strpbrk(name, "\"'\\") == NULL);
}

static void write_query(const struct ow_survey_query *query, struct ow_buffer *out)
{
    OW_REQUIRE(query->table != NULL && is_name(query->table));
    OW_REQUIRE(is_name(query->by) && is_name(query->sum));
    ow_buffer_text(out, "SELECT ");
    if (query->by == NULL) {
        ow_buffer_text(out, "'', count(*), ");
    } else {
        ow_buffer_printf(out, "\"%s\", count(*), ", query->by);
    }
    if (query->sum == NULL) {
        ow_buffer_text(out, "0");
    } else {
        ow_buffer_printf(out, "coalesce(sum(\"%s\"), 0)", query->sum);
    }
    ow_buffer_printf(out, " FROM \"%s\" GROUP BY 1 ORDER BY 1", query->table);
}

enum ow_status ow_survey_groups(const struct ow_survey_query *query, struct ow_survey_group *groups,
                                size_t capacity, size_t *ret_count, struct ow_err *err)
{
    OW_BUFFER text = {0};
    write_query(query, &text);
    OW_CLEANUP(close_reader) struct ow_sql sql = {0};
    OW_TRY(open_reader(&sql, query->path, err));
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(&sql, ow_buffer_cstr(&text), &statement, err));
    size_t count = 0;
    for (;;) {
        bool row = false;
        OW_TRY(ow_sql_step(&statement, &row, err));
        if (!row || count == capacity) {
            break;
        }
        const struct ow_slice name = ow_sql_slice(&statement, 0);
        struct ow_survey_group *group = &groups[count++];
        *group = (struct ow_survey_group){.rows = ow_sql_i64(&statement, 1),
                                          .sum = ow_sql_i64(&statement, 2)};
        (void)snprintf(group->name, sizeof(group->name), OW_SLICE_FMT, OW_SLICE_ARG(name));
    }
    *ret_count = count;
    return OW_OK;
}
