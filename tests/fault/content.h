/*
 * content: what a store file holds, as text, read by a connection of its own; and whether it is
 * sound.
 *
 * Threads: one. Memory: the caller's buffer. Failure: a text that says what is wrong.
 */
#ifndef OW_FAULT_CONTENT_H
#define OW_FAULT_CONTENT_H

#include "base/buffer.h"

enum ow_content_kind {
    OW_CONTENT_EXACT,  /* every row of every table */
    OW_CONTENT_SETTLED /* without what depends on where batches ended: buckets, epochs, sums */
};

enum ow_content_found {
    OW_CONTENT_READ,
    OW_CONTENT_BUSY, /* the only connection has it for itself: it makes the file, or closes it */
    OW_CONTENT_BAD   /* the file cannot be read, and out says why */
};

/* Appends it. A file without a store in it is empty. */
enum ow_content_found ow_content_read(const char *path, enum ow_content_kind kind,
                                      struct ow_buffer *out);
/* SQLite's integrity_check, and the same connection's content, EXACT. A WAL is left as it is. */
enum ow_content_found ow_content_check(const char *path, struct ow_buffer *out);
/* What `onceward verify` says; false: out says what is broken. */
bool ow_content_verify(const char *path, struct ow_buffer *out);
/* The first line in which two differ. */
void ow_content_difference(const char *expected, const char *got, struct ow_buffer *out);

#endif
