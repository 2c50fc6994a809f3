/*
 * manual: the manual pages, made of the command and option tables (mdoc).
 *
 * Threads: the main thread.
 */
#ifndef OW_CMD_MANUAL_H
#define OW_CMD_MANUAL_H

#include "base/buffer.h"

void ow_manual_commands(struct ow_buffer *out); /* onceward(1) */
void ow_manual_config(struct ow_buffer *out);   /* onceward.yaml(5) */
void ow_manual_machine(struct ow_buffer *out);  /* onceward-machine(5) */

#endif
