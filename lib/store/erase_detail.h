/*
 * erase_detail: conflicts of other entities with a message of the one that is erased: their detail
 * says what that message said. Private to lib/store.
 *
 * Threads, failure: as in store.h. Memory: none.
 */
#ifndef OW_STORE_ERASE_DETAIL_H
#define OW_STORE_ERASE_DETAIL_H

#include "base/slice.h"
#include "base/status.h"

struct ow_store;

/* In transactions of its own. The payloads of such rows are the other entity's, and stay. */
enum ow_status ow_erase_detail(struct ow_store *store, struct ow_slice entity, int64_t *ret_rows,
                               struct ow_err *err) OW_MUST_USE;

#endif
