/*
 * json: what we need of JSON beyond jansson: strict parsing, pointers (RFC 6901), the canonical
 * form of DESIGN 5.
 *
 * Threads: pure. Memory: jansson's values are reference counted by the caller; out of memory
 * aborts, in jansson too (see arena.h). Trust: input is hostile; depth is bounded by jansson
 * (2048), duplicate members at any depth are refused.
 */
#ifndef OW_MODEL_JSON_H
#define OW_MODEL_JSON_H

#include "base/arena.h"
#include "base/buffer.h"
#include "model/value.h"

#include <jansson.h>

/* A parsed JSON pointer: "" is the whole document. */
struct ow_pointer {
    const char *text;             /* "/data/amount" */
    const struct ow_slice *steps; /* unescaped */
    size_t step_count;
};

/* Parses bytes as one JSON text. NULL on failure; detail then says why (owned by the arena). */
json_t *ow_json_parse(struct ow_slice bytes, struct ow_arena *arena, const char **ret_detail);

/* False where text is no JSON pointer. Memory: the arena's. */
bool ow_pointer_parse(struct ow_arena *arena, const char *text, struct ow_pointer *ret_pointer);
/* The value there (borrowed), or NULL where there is none. */
const json_t *ow_pointer_get(const struct ow_pointer *pointer, const json_t *root);

/*
 * Appends the canonical form: members sorted by bytes, no white space, integers exact, reals as
 * %.17g, strings with only '"', '\\' and control characters escaped. ignore: pointers (relative to
 * base) whose values are left out; base: the pointer at which value stands in the document (NULL:
 * the document itself).
 */
void ow_json_canonical(struct ow_buffer *out, const json_t *value, const struct ow_pointer *base,
                       const struct ow_pointer *ignore, size_t ignore_count);
/* Appends a string in that form, with quotes. */
void ow_json_canonical_text(struct ow_buffer *out, struct ow_slice text);
/* Appends null, an integer or a string. */
void ow_json_canonical_value(struct ow_buffer *out, const struct ow_value *value);

/* json_decref for OW_CLEANUP. */
void ow_json_release(json_t **value);
#define OW_JSON OW_CLEANUP(ow_json_release) json_t

#endif
