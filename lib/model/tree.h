/*
 * tree: YAML (core schema, no anchors, aliases, tags or duplicate keys) or JSON text read into one
 * jansson tree, which remembers the line of every key, so that an error can name file, line and
 * key.
 *
 * Threads: pure, no I/O: the caller reads the file. Memory: _done gives all back.
 * Failure: BAD_CONFIG with "FILE:LINE: …". Limits: depth 32, 1 MiB of text. Trust: an operator's
 * file, not a hostile one.
 */
#ifndef OW_MODEL_TREE_H
#define OW_MODEL_TREE_H

#include "base/arena.h"
#include "base/status.h"

#include <jansson.h>

struct ow_tree {
    char *file;    /* name for messages */
    json_t *root;  /* an object */
    json_t *lines; /* path such as "/kafka/start" (RFC 6901 escapes) → line, 1-based */
};

/*
 * Resolves ${VAR} and ${VAR:default} in scalars before they get a type; returns NULL where there is
 * no such variable.
 * "$${" stays "${". A NULL function leaves texts alone (machine files).
 */
typedef const char *ow_tree_variable_fn(const char *name, void *context);

enum ow_status ow_tree_parse(const char *file, struct ow_slice text, ow_tree_variable_fn *variable,
                             void *context, struct ow_tree *ret_tree, struct ow_err *err)
    OW_MUST_USE;
/*
 * The same of canonical JSON that we have written ourselves (ow_machine.text), without lines. YAML
 * cannot hold all that JSON can: a DEL or a line separator in a text, a key of over 1,024 bytes.
 */
enum ow_status ow_tree_parse_json(const char *file, struct ow_slice text, struct ow_tree *ret_tree,
                                  struct ow_err *err) OW_MUST_USE;
/* "0.2.5": of the libyaml that is linked. */
const char *ow_tree_library_version(void);
void ow_tree_done(struct ow_tree *tree);

/* The path of a member: parent, '/', and name with RFC 6901's escapes. Memory: the arena's. */
const char *ow_tree_path(struct ow_arena *arena, const char *parent, const char *name);

/* Notes where path stands: a line, or OW_TREE_LINE_SET for what a `--set` on the command line put
 * there. */
enum { OW_TREE_LINE_SET = -1 };
void ow_tree_set_line(struct ow_tree *tree, const char *path, int line);

/* The line of a path, or of its nearest parent that has one; 0 where none. */
int ow_tree_line(const struct ow_tree *tree, const char *path);

/* BAD_CONFIG with "FILE:LINE: KEY: text", KEY being the path with dots ("kafka.start"). */
enum ow_status ow_tree_fail(const struct ow_tree *tree, const char *path, struct ow_err *err,
                            const char *format, ...) OW_PRINTF(4, 5);

#endif
