/*
 * file: a small file as bytes.
 *
 * Threads: any. Failure: BAD_CONFIG with the file's name: what cannot be read was named by the
 * configuration.
 */
#ifndef OW_CMD_FILE_H
#define OW_CMD_FILE_H

#include "base/buffer.h"
#include "base/status.h"

/* Appends the whole file, which must be a regular one or a pipe of at most bytes_max bytes. */
enum ow_status ow_file_read(const char *path, size_t bytes_max, struct ow_buffer *out,
                            struct ow_err *err) OW_MUST_USE;
bool ow_file_exists(const char *path);

#endif
