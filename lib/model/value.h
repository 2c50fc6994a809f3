/*
 * value: what a business column can hold: an integer or a text, or nothing.
 */
#ifndef OW_MODEL_VALUE_H
#define OW_MODEL_VALUE_H

#include "base/slice.h"

enum ow_type { OW_TYPE_NULL, OW_TYPE_INTEGER, OW_TYPE_TEXT };

struct ow_value {
    enum ow_type type;
    int64_t integer;
    struct ow_slice text;
};

#define OW_VALUE_NULL ((struct ow_value){.type = OW_TYPE_NULL})

static inline struct ow_value ow_value_integer(int64_t integer)
{
    return (struct ow_value){.type = OW_TYPE_INTEGER, .integer = integer};
}

static inline struct ow_value ow_value_text(struct ow_slice text)
{
    return (struct ow_value){.type = OW_TYPE_TEXT, .text = text};
}

/* Same type and same content; NULL equals NULL. */
static inline bool ow_value_equal(const struct ow_value *a, const struct ow_value *b)
{
    if (a->type != b->type) {
        return false;
    }
    if (a->type == OW_TYPE_INTEGER) {
        return a->integer == b->integer;
    }
    return a->type == OW_TYPE_NULL || ow_slice_equal(a->text, b->text);
}

#endif
