/*
 * option: the one table of what a file may say. A table checks and reads a tree, prints help and
 * manual pages, and makes the JSON Schema, so that none of them can differ. The configuration
 * (cmd/onceward/config_table.c) and the machine file (model/machine_option.c) are such tables.
 *
 * A table is an array of struct ow_option that ends with an entry without a name; tables nest.
 * Tables never contain themselves, so everything that walks them ends.
 *
 * Threads: tables are constant. Memory: as each function says. Failure: BAD_CONFIG with file, line
 * and key.
 */
#ifndef OW_MODEL_OPTION_H
#define OW_MODEL_OPTION_H

#include "base/arena.h"
#include "base/buffer.h"
#include "model/tree.h"

enum ow_option_kind {
    OW_OPTION_TEXT,
    OW_OPTION_INTEGER,
    OW_OPTION_BOOL,
    OW_OPTION_DURATION, /* "45d", bound as milliseconds */
    OW_OPTION_WORD,     /* one of words */
    OW_OPTION_SCALAR,   /* a text or a number, verbatim */
    OW_OPTION_OBJECT,   /* members */
    OW_OPTION_LIST,     /* of item */
    OW_OPTION_MAP,      /* free names, each with an item */
    OW_OPTION_CHOICE    /* one of choices: told apart by JSON type; objects by their first member, a
                           word */
};

/* What a text must look like: the same thing said to C, to a JSON Schema, and to people. */
struct ow_option_form {
    const char *pattern; /* ECMA 262, anchored; what it cannot say is_form checks beyond it */
    bool (*is_form)(struct ow_slice text);
    const char *says; /* "a JSON pointer such as /data/amount" */
    const char *(*why)(
        struct ow_slice text); /* says more about a text that is not of the form; may be NULL */
};

struct ow_option {
    const char *name; /* as a member; NULL ends a table. Items and choices carry a name for the
                         manual: "<state>" */
    enum ow_option_kind kind;
    bool required;
    bool inert;           /* accepted, and has no effect yet */
    const char *text;     /* one line for people */
    const char *fallback; /* the default as it would be written; NULL: none */
    const char *unit;
    /* INTEGER, DURATION (ms): the range; TEXT: characters; LIST, MAP: how many. Both 0: no range;
     * max 0: no upper end. */
    int64_t min, max;
    const char *const *words;          /* WORD, NULL-terminated */
    const struct ow_option_form *form; /* TEXT; MAP: of its names */
    const struct ow_option *members;   /* OBJECT */
    const char *const
        *exactly_one; /* OBJECT: of these members one must be there and no other; NULL-terminated */
    const struct ow_option *item;           /* LIST, MAP */
    const struct ow_option *const *choices; /* CHOICE, NULL-terminated */
    const char
        *shared; /* a name under which the schema and the manual describe this once, or NULL */
    size_t bind; /* OW_BIND(struct, field), 0: not bound. See ow_option_bind */
};

/* The entries of a table: OW_OPTION("level", WORD, .words = levels, .text = "…"), and its end. */
#define OW_OPTION(option_name, option_kind, ...)                                                   \
    {                                                                                              \
        .name = (option_name), .kind = OW_OPTION_##option_kind, __VA_ARGS__                        \
    }
#define OW_OPTION_END                                                                              \
    {                                                                                              \
        .name = NULL                                                                               \
    }
#define OW_BIND(type, field) (offsetof(type, field) + 1)

/* Says each problem of a tree through report, in no promised order; returns how many there were. */
typedef void ow_option_report_fn(void *context, const char *text);
size_t ow_option_problems(const struct ow_option *root, const struct ow_tree *tree,
                          ow_option_report_fn *report, void *context);
/* The first problem, if any. root is an OBJECT. */
enum ow_status ow_option_check(const struct ow_option *root, const struct ow_tree *tree,
                               struct ow_err *err) OW_MUST_USE;

/* Sets one value from text: "kafka.properties.bootstrap.servers". Lists are separated by commas.
 * Check afterwards. */
enum ow_status ow_option_set(const struct ow_option *root, struct ow_tree *tree, const char *path,
                             const char *value, struct ow_err *err) OW_MUST_USE;

/*
 * Fills target from a checked tree, or from the defaults: TEXT and WORD into const char * (NULL:
 * absent, no default), INTEGER and DURATION into int64_t, BOOL into bool. Only what hangs under
 * objects. Texts are the arena's.
 */
void ow_option_bind(const struct ow_option *root, const struct ow_tree *tree,
                    struct ow_arena *arena, void *target);

/* Walks a table and its tables depth first, as it is written; each shared one is entered once. */
struct ow_option_walk {
    struct ow_arena *arena;
    struct ow_buffer pending;
    const char *entered[16];
    size_t entered_count;
    const struct ow_option *option; /* the current one */
    const char *path;               /* "entity.columns.<column>.type" */
};
void ow_option_walk_begin(struct ow_option_walk *walk, const struct ow_option *root,
                          struct ow_arena *arena);
bool ow_option_walk_next(struct ow_option_walk *walk);
void ow_option_walk_done(struct ow_option_walk *walk);

/* Appends what an option expects: "an integer from 1 to 4096", "a duration (such as 72h)",
 * "earliest or latest". */
void ow_option_describe(const struct ow_option *option, struct ow_buffer *out);

/* Appends one paragraph for each option, for a terminal; or the items of an mdoc list, for a manual
 * page. */
void ow_option_help(const struct ow_option *root, struct ow_buffer *out);
void ow_option_manual(const struct ow_option *root, struct ow_buffer *out);

/* A JSON Schema (2020-12). The caller owns it. */
json_t *ow_option_schema(const struct ow_option *root, const char *title);

#endif
