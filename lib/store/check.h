/*
 * check: a look at a store without changing it, for `onceward check`.
 *
 * Reads through a connection of its own (mode=ro), so a worker may go on. Threads: the caller's.
 */
#ifndef OW_STORE_CHECK_H
#define OW_STORE_CHECK_H

#include "base/check.h"
#include "model/machine.h"

/* Says whether the store could be opened by `run`: place, form, machines, hash key; or whether it
 * would be created. */
void ow_store_check(const char *path, const char *hash_key_file, const struct ow_machines *machines,
                    const struct ow_check *check);

/* Of the SQLite that is linked: "3.40.1"; the source id names its very check-in. */
const char *ow_store_library_version(void);
const char *ow_store_library_source_id(void);

#endif
