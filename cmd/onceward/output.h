/*
 * output: data on stdout, as a table for people or as JSON for programs.
 *
 * Threads: the main thread. Colours only on a terminal, and not under NO_COLOR.
 */
#ifndef OW_CMD_OUTPUT_H
#define OW_CMD_OUTPUT_H

#include "base/buffer.h"

#include <jansson.h>

#include <stdio.h>

enum ow_output { OW_OUTPUT_TABLE, OW_OUTPUT_JSON, OW_OUTPUT_JSONL };

/* text: the value of -o, NULL for the default. False where it is none of table, json, jsonl. */
bool ow_output_parse(const char *text, enum ow_output *ret_output);

/* Prints a value: indented (JSON), in one line (JSONL; an array with a line for each element). */
void ow_output_json(enum ow_output output, const json_t *value);

/*
 * Prints a text that may come from a message: control characters, which could colour, overwrite or
 * add lines on a terminal, are '?'. JSON escapes them by itself.
 */
void ow_output_text(FILE *out, struct ow_slice text);

/* A table for a terminal: columns as wide as their widest cell. */
struct ow_grid {
    size_t column_count;
    size_t row_count;       /* the header included */
    struct ow_buffer cells; /* NUL-terminated, one after the other */
};
/* Appends a row of column_count texts; the first row is the header. */
void ow_grid_row(struct ow_grid *grid, const char *const *texts);
void ow_grid_print(const struct ow_grid *grid, FILE *out);
void ow_grid_done(struct ow_grid *grid);
#define OW_GRID OW_CLEANUP(ow_grid_done) struct ow_grid

enum ow_colour {
    OW_COLOUR_NONE,
    OW_COLOUR_BOLD,
    OW_COLOUR_DIM,
    OW_COLOUR_RED,
    OW_COLOUR_GREEN,
    OW_COLOUR_YELLOW
};
/* The escape sequence that begins a colour on out, or "" where there are no colours. NONE ends one.
 */
const char *ow_output_colour(FILE *out, enum ow_colour colour);

#endif
