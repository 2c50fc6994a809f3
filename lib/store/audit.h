/*
 * audit: what people have decided (ow_audit): a row in the transaction that does it.
 *
 * Threads: the store's owner. Memory: the caller's. Failure: as the store's. Trust: texts are an
 * operator's; they are bound, and told as text.
 */
#ifndef OW_STORE_AUDIT_H
#define OW_STORE_AUDIT_H

#include "store/store.h"

struct ow_audit {
    const char *who;     /* a person, or the name of the process' user */
    const char *command; /* "positions set" */
    const char *subject; /* what it was done to: "topic[partition]" */
    const char *detail;  /* JSON: what was changed */
    const char *why;
};

/* Between ow_store_begin and _commit. */
enum ow_status ow_audit_write(struct ow_store *store, int64_t now_ms, const struct ow_audit *audit,
                              struct ow_err *err) OW_MUST_USE;

#endif
