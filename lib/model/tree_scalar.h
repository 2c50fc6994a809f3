/*
 * tree_scalar: the text of a YAML scalar: its variables, and its type by the core schema. For
 * tree_yaml.c alone.
 *
 * Threads: pure. Memory: the caller's buffer, jansson values with one reference.
 */
#ifndef OW_MODEL_TREE_SCALAR_H
#define OW_MODEL_TREE_SCALAR_H

#include "base/buffer.h"
#include "model/tree.h"

/*
 * Appends text with each ${VAR} and ${VAR:default} replaced. False: *ret_why (valid until the next
 * call with this buffer) says which one is not there or not well-formed.
 */
bool ow_tree_scalar_resolve(struct ow_slice text, ow_tree_variable_fn *variable, void *context,
                            struct ow_buffer *out, const char **ret_why);

/* A plain scalar as null, bool, integer, real or text. NULL: *ret_why says what JSON cannot hold.
 */
json_t *ow_tree_scalar_plain(struct ow_slice text, const char **ret_why);

#endif
