#include "store/internal.h"
#include "store/verify_internal.h"

#include <inttypes.h>

/* A chunk with more rows than that has a snapshot of its own. */
enum { CHUNK_ROWS_SMALL = 4096 };

static void look_at(struct ow_verify *verify, const struct ow_seal_check *check)
{
    const struct ow_seal_form *form = &ow_seal_forms[check->name];
    char key[OW_SEAL_KEY_BYTES];
    ow_seal_key(check->name, check->chunk, key);
    ow_verify_checked(verify, OW_PROMISE_SEALS, check->rows);
    if (check->fits && (check->stored || check->rows == 0)) {
        return;
    }
    if (!check->stored) {
        ow_verify_broken(verify, OW_PROMISE_SEALS,
                         "ow_meta has no '%s': nobody can say whether the %" PRId64
                         " rows of %s are those that were written",
                         key, check->rows, form->table);
    } else {
        ow_verify_broken(verify, OW_PROMISE_SEALS,
                         "%s: '%s' is not the sum of its %" PRId64
                         " rows: another hand has changed, added or deleted one",
                         form->table, key, check->rows);
    }
}

enum ow_status ow_verify_seals(struct ow_verify *verify, struct ow_err *err)
{
    struct ow_seal_cursor cursor = {0};
    struct ow_seal_check check;
    bool found = false;
    int64_t sums = 0;
    OW_TRY(ow_sql_query_i64(&verify->sql, "SELECT count(*) FROM ow_meta WHERE key GLOB 'seal.*'",
                            &sums, err));
    if (sums == 0) {
        /* An older program's, or an operator has accepted what was changed by deleting them all. */
        ow_verify_remark(verify, "the store has no sums over its rows: what no other row derives "
                                 "was not checked. The next start of a worker makes them");
        return OW_OK;
    }
    OW_TRY(ow_seal_next(&verify->sql, &cursor, &check, &found, err));
    while (found) {
        look_at(verify, &check);
        OW_TRY(check.rows > CHUNK_ROWS_SMALL ? ow_verify_turn(verify, err)
                                             : ow_verify_pause(verify, err));
        OW_TRY(ow_seal_next(&verify->sql, &cursor, &check, &found, err));
    }
    return OW_OK;
}
