#include "base/contract.h"
#include "store/internal.h"
#include "store/store_to_2_sql.h"

/* From version i + 1 to i + 2. Each leaves user_version and schema_version behind; a table whose
 * rows a step changes must be among those whose sums opening moves (ow_seal_open_end). */
static const char *const steps[] = {ow_store_to_2_sql};
enum { STEPS = sizeof(steps) / sizeof(steps[0]) };
static_assert(STEPS + 1 == OW_STORE_SCHEMA_VERSION, "a step to each version");

enum ow_status ow_store_migrate(struct ow_sql *sql, int64_t *ret_from, struct ow_err *err)
{
    OW_REQUIRE(ow_sql_in_transaction(sql));
    OW_TRY(ow_sql_query_i64(sql, "PRAGMA user_version", ret_from, err));
    OW_ENSURE(*ret_from >= 1);
    for (size_t done = (size_t)*ret_from - 1; done < STEPS; done++) {
        OW_TRY(ow_sql_exec(sql, steps[done], err));
    }
    return OW_OK;
}
