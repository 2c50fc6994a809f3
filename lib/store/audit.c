#include "store/audit.h"

#include "store/internal.h"

enum ow_status ow_audit_write(struct ow_store *store, int64_t now_ms, const struct ow_audit *audit,
                              struct ow_err *err)
{
    OW_REQUIRE(ow_sql_in_transaction(&store->sql));
    struct ow_statement *last = ow_store_statement(store, OW_STATEMENT_AUDIT_LAST);
    struct ow_statement *insert = ow_store_statement(store, OW_STATEMENT_AUDIT_INSERT);
    bool row = false;
    OW_TRY(ow_sql_step(last, &row, err));
    OW_ENSURE(row);
    const int64_t id = ow_sql_i64(last, 0) + 1;
    ow_sql_reset(last);
    ow_sql_bind_i64(insert, id);
    ow_sql_bind_i64(insert, now_ms);
    ow_sql_bind_cstr(insert, audit->who);
    ow_sql_bind_cstr(insert, audit->command);
    ow_sql_bind_cstr(insert, audit->subject);
    ow_sql_bind_cstr(insert, audit->detail);
    ow_sql_bind_cstr(insert, audit->why);
    return ow_seal_insert(store, OW_SEAL_AUDIT, id, insert, NULL, err);
}
