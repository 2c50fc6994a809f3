/*
 * explain_machine: the machines that a store was used with, compiled from the texts in it: no file
 * is needed, and old rows are read by old versions. Private to lib/store.
 *
 * Threads: one. Memory: the list is the arena's, the machines are their own until _done. Failure:
 * UNSAFE or BAD_CONFIG where a stored text is no machine.
 */
#ifndef OW_STORE_EXPLAIN_MACHINE_H
#define OW_STORE_EXPLAIN_MACHINE_H

#include "model/machine.h"
#include "store/sql.h"

struct ow_explain_version {
    struct ow_machines machines;
    struct ow_machine *machine;
    struct ow_explain_version *next; /* by name and version */
};

struct ow_explain_machines {
    struct ow_explain_version *versions; /* all */
    struct ow_machines newest;           /* of each machine */
};

/* machines is zeroed before. Fingerprint rules get their numbers; 0 where the store has none. Call
 * _done in any case. */
enum ow_status ow_explain_machine_load(struct ow_explain_machines *machines, struct ow_sql *sql,
                                       struct ow_arena *arena, struct ow_err *err);
void ow_explain_machine_done(struct ow_explain_machines *machines);
/* NULL: the store has no such version. */
const struct ow_machine *ow_explain_machine_of(const struct ow_explain_machines *machines,
                                               struct ow_slice name, int64_t version);

#endif
