/*
 * erase_record: what a history row whose payload is erased keeps of the rows of record tables that
 * it has made (erased.h): their keys, and hashes of the rows as they are. Private to lib/store.
 *
 * Threads, memory and failure: as erase.h.
 */
#ifndef OW_STORE_ERASE_RECORD_H
#define OW_STORE_ERASE_RECORD_H

#include "model/machine.h"
#include "store/store.h"

#include <jansson.h>

/* Appends a pair for each row that the transition recorded. The hash is empty where there is no
 * such row: it was missing before. */
enum ow_status ow_erase_record_keep(struct ow_store *store, const struct ow_event_type *event,
                                    const struct ow_transition *transition, const json_t *data,
                                    json_t *kept, struct ow_err *err) OW_MUST_USE;
/* Likewise of those that an entity brought when it was taken over (records: of its data); the name
 * of the table comes third. machine: NULL where nobody knows it, which verify tells. */
enum ow_status ow_erase_record_keep_seeded(struct ow_store *store, const struct ow_machine *machine,
                                           const json_t *records, json_t *kept, struct ow_err *err)
    OW_MUST_USE;

#endif
