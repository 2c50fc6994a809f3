/*
 * explain_print: the story of an id on stdout: a timeline for people, one JSON object for programs.
 *
 * Threads: the main thread.
 */
#ifndef OW_CMD_EXPLAIN_PRINT_H
#define OW_CMD_EXPLAIN_PRINT_H

#include "output.h"
#include "store/explain.h"

/* now_ms: what ages are counted to. */
void ow_explain_print_text(const struct ow_explanation *explanation, int64_t now_ms);
/* Some lines of it: a quarantine row as it is now. */
void ow_explain_print_quarantine(const struct ow_explain_quarantine *row);
/* The object that `explain --help` describes; one reference for the caller. */
json_t *ow_explain_print_json(const char *id, const struct ow_explanation *explanation,
                              int64_t now_ms);

#endif
