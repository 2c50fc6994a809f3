#include "store/internal.h"
#include "store/verify_internal.h"

#include <inttypes.h>

/*
 * The schema against one that is made anew in memory from store.sql and the stored machines. What
 * begins with "ow_" must be just that. The machines' tables must have their columns and indexes;
 * an operator may hang triggers and indexes of his own on them, and have tables besides.
 */

struct object {
    struct ow_slice type, name, sql;
    bool seen;
    struct object *next;
};

/* All of a schema, into the scratch arena. */
static enum ow_status list_objects(struct ow_verify *verify, struct ow_sql *sql,
                                   struct object **ret_list, struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(sql,
                          "SELECT type, name, coalesce(sql, '') FROM sqlite_schema ORDER BY name",
                          &statement, err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    struct object **end = ret_list;
    while (row) {
        *end = OW_ARENA_NEW(&verify->scratch, struct object);
        (*end)->type = ow_sql_copy(&statement, 0, &verify->scratch);
        (*end)->name = ow_sql_copy(&statement, 1, &verify->scratch);
        (*end)->sql = ow_sql_copy(&statement, 2, &verify->scratch);
        end = &(*end)->next;
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return OW_OK;
}

static bool begins_with(struct ow_slice text, const char *prefix)
{
    const size_t len = strlen(prefix);
    return text.len >= len && memcmp(text.ptr, prefix, len) == 0;
}

static bool is_ours(struct ow_slice name)
{
    return begins_with(name, "ow_");
}

/* The columns of a table with their types, in the order of their names. */
static enum ow_status list_columns(struct ow_verify *verify, struct ow_sql *sql,
                                   struct ow_slice table, struct ow_slice *ret_list,
                                   struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(sql,
                          "SELECT group_concat(name || ' ' || type || ' ' || pk) FROM"
                          " (SELECT name, type, pk FROM pragma_table_xinfo(?) ORDER BY name)",
                          &statement, err));
    ow_sql_bind_text(&statement, table);
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    *ret_list = row ? ow_sql_copy(&statement, 0, &verify->scratch) : (struct ow_slice){0};
    return OW_OK;
}

static struct object *find(struct object *list, const struct object *wanted)
{
    while (list != NULL && !(ow_slice_equal(list->type, wanted->type) &&
                             ow_slice_equal(list->name, wanted->name))) {
        list = list->next;
    }
    return list;
}

/* An object that must be there. */
static enum ow_status check_one(struct ow_verify *verify, struct ow_sql *model,
                                const struct object *wanted, struct object *found,
                                struct ow_err *err)
{
    ow_verify_checked(verify, OW_PROMISE_SCHEMA, 1);
    if (found == NULL) {
        ow_verify_broken(verify, OW_PROMISE_SCHEMA,
                         "the " OW_SLICE_FMT " " OW_SLICE_FMT " is missing",
                         OW_SLICE_ARG(wanted->type), OW_SLICE_ARG(wanted->name));
        return OW_OK;
    }
    found->seen = true;
    bool equal = !is_ours(wanted->name) || ow_slice_equal(found->sql, wanted->sql);
    if (equal && ow_slice_equals_text(wanted->type, "table")) {
        struct ow_slice has = {0};
        struct ow_slice should = {0};
        OW_TRY(list_columns(verify, &verify->sql, wanted->name, &has, err));
        OW_TRY(list_columns(verify, model, wanted->name, &should, err));
        equal = ow_slice_equal(has, should);
    }
    if (!equal) {
        ow_verify_broken(verify, OW_PROMISE_SCHEMA,
                         "the " OW_SLICE_FMT " " OW_SLICE_FMT " is not as the program makes it",
                         OW_SLICE_ARG(wanted->type), OW_SLICE_ARG(wanted->name));
    }
    return OW_OK;
}

/* What is there besides: nothing of our name, and no trigger or index on our tables. */
static enum ow_status check_strays(struct ow_verify *verify, const struct object *list,
                                   struct ow_err *err)
{
    for (const struct object *object = list; object != NULL; object = object->next) {
        if (!object->seen && is_ours(object->name)) {
            ow_verify_broken(verify, OW_PROMISE_SCHEMA,
                             "the " OW_SLICE_FMT " " OW_SLICE_FMT " is not the program's",
                             OW_SLICE_ARG(object->type), OW_SLICE_ARG(object->name));
        }
    }
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(&verify->sql,
                          "SELECT type, name, tbl_name FROM sqlite_schema WHERE type IN ('index',"
                          " 'trigger') AND tbl_name GLOB 'ow_*' AND name NOT GLOB 'ow_*'"
                          " AND name NOT GLOB 'sqlite_autoindex_*'",
                          &statement, err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        ow_verify_broken(
            verify, OW_PROMISE_SCHEMA,
            "the " OW_SLICE_FMT " " OW_SLICE_FMT " on " OW_SLICE_FMT " is not the program's",
            OW_SLICE_ARG(ow_sql_slice(&statement, 0)), OW_SLICE_ARG(ow_sql_slice(&statement, 1)),
            OW_SLICE_ARG(ow_sql_slice(&statement, 2)));
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return OW_OK;
}

static enum ow_status compare(struct ow_verify *verify, struct ow_sql *model, struct ow_err *err)
{
    struct object *wanted = NULL;
    struct object *list = NULL;
    OW_TRY(list_objects(verify, model, &wanted, err));
    OW_TRY(list_objects(verify, &verify->sql, &list, err));
    for (const struct object *object = wanted; object != NULL; object = object->next) {
        OW_TRY(check_one(verify, model, object, find(list, object), err));
    }
    return check_strays(verify, list, err);
}

/* As the store made it: each machine's versions one after the other. */
static enum ow_status make_model(struct ow_verify *verify, struct ow_sql *model, struct ow_err *err)
{
    OW_TRY(ow_sql_exec(model, "BEGIN", err));
    OW_TRY(ow_store_create_schema(model, 0, err));
    for (struct ow_verify_machine *machine = verify->machines; machine != NULL;
         machine = machine->next) {
        for (struct ow_verify_version *version = machine->versions; version != NULL;
             version = version->next) {
            OW_TRY(ow_store_machines(model, &version->machines, err));
        }
    }
    return OW_OK;
}

enum ow_status ow_verify_schema(struct ow_verify *verify, struct ow_err *err)
{
    struct ow_sql model = {0};
    OW_TRY(ow_sql_open(&model, ":memory:", OW_SQL_OWNER, err));
    enum ow_status status = make_model(verify, &model, err);
    if (status == OW_OK) {
        status = compare(verify, &model, err);
    }
    ow_sql_close(&model);
    return status;
}
