/* What people read of a table: expectations in messages, help on a terminal, the items of a manual
 * page. */
#include "base/limits.h"
#include "model/option.h"

static void describe_range(const struct ow_option *option, struct ow_buffer *out)
{
    if (option->max != 0) {
        ow_buffer_printf(out, " from %lld to %lld", (long long)option->min, (long long)option->max);
    } else if (option->min != 0) {
        ow_buffer_printf(out, " of at least %lld", (long long)option->min);
    }
    if (option->unit != NULL) {
        ow_buffer_printf(out, " (%s)", option->unit);
    }
}

static void describe_words(const struct ow_option *option, struct ow_buffer *out)
{
    for (size_t i = 0; option->words[i] != NULL; i++) {
        ow_buffer_printf(out, "%s%s", i == 0 ? "" : (option->words[i + 1] == NULL ? " or " : ", "),
                         option->words[i]);
    }
}

static void describe_text(const struct ow_option *option, struct ow_buffer *out)
{
    if (option->form != NULL) {
        ow_buffer_text(out, option->form->says);
    } else if (option->max != 0) {
        ow_buffer_printf(out, "a text of %lld to %lld characters", (long long)option->min,
                         (long long)option->max);
    } else {
        ow_buffer_text(out, option->min > 0 ? "a non-empty text" : "a text");
    }
}

static void describe_collection(const struct ow_option *option, struct ow_buffer *out)
{
    const char *const what = option->kind == OW_OPTION_LIST ? "a list" : "a map";
    ow_buffer_text(out, what);
    if (option->min == 1 && option->max == 0) {
        ow_buffer_text(out, " that is not empty");
    } else if (option->max != 0) {
        ow_buffer_printf(out, " of %lld to %lld entries", (long long)option->min,
                         (long long)option->max);
    }
}

static void describe_one(const struct ow_option *option, struct ow_buffer *out)
{
    switch (option->kind) {
    case OW_OPTION_TEXT:
        describe_text(option, out);
        return;
    case OW_OPTION_INTEGER:
        ow_buffer_text(out, "an integer");
        describe_range(option, out);
        return;
    case OW_OPTION_BOOL:
        ow_buffer_text(out, "true or false");
        return;
    case OW_OPTION_DURATION:
        ow_buffer_text(out, "a duration such as 250ms, 30s, 5m, 72h, 45d");
        return;
    case OW_OPTION_WORD:
        describe_words(option, out);
        return;
    case OW_OPTION_SCALAR:
        ow_buffer_text(out, "a text or a number");
        return;
    case OW_OPTION_OBJECT:
        ow_buffer_text(out, "a map with the keys below");
        return;
    case OW_OPTION_LIST:
    case OW_OPTION_MAP:
        describe_collection(option, out);
        return;
    case OW_OPTION_CHOICE:
        OW_IMPOSSIBLE("a choice in a choice");
    }
}

void ow_option_describe(const struct ow_option *option, struct ow_buffer *out)
{
    if (option->kind != OW_OPTION_CHOICE) {
        describe_one(option, out);
        return;
    }
    OW_BUFFER last = {0};
    for (size_t i = 0; option->choices[i] != NULL; i++) {
        OW_BUFFER one = {0};
        describe_one(option->choices[i], &one);
        if (!ow_slice_equal(ow_buffer_view(&one), ow_buffer_view(&last))) {
            ow_buffer_text(out, i == 0 ? "" : ", or ");
            ow_buffer_slice(out, ow_buffer_view(&one));
        }
        ow_buffer_clear(&last);
        ow_buffer_slice(&last, ow_buffer_view(&one));
    }
}

struct pending {
    const struct ow_option *option;
    const char *path;
};

static void walk_push(struct ow_option_walk *walk, const struct ow_option *option, const char *path)
{
    const struct pending pending = {option, path};
    ow_buffer_append(&walk->pending, &pending, sizeof pending);
}

static void push_members(struct ow_option_walk *walk, const struct ow_option *members,
                         const char *path)
{
    size_t count = 0;
    while (members[count].name != NULL) {
        count++;
    }
    while (count-- > 0) { /* backwards, because the last one in is the first one out */
        const char *const name = members[count].name;
        walk_push(walk, &members[count],
                  path[0] == '\0' ? name : ow_arena_printf(walk->arena, "%s.%s", path, name));
    }
}

static bool is_single(const struct ow_option *option)
{
    return option->kind != OW_OPTION_OBJECT && option->kind != OW_OPTION_MAP &&
           option->kind != OW_OPTION_LIST && option->kind != OW_OPTION_CHOICE;
}

/* Whether a shared table was entered before; notes it. */
static bool entered_before(struct ow_option_walk *walk, const char *shared)
{
    if (shared == NULL) {
        return false;
    }
    for (size_t i = 0; i < walk->entered_count; i++) {
        if (strcmp(walk->entered[i], shared) == 0) {
            return true;
        }
    }
    OW_REQUIRE(walk->entered_count < sizeof walk->entered / sizeof *walk->entered);
    walk->entered[walk->entered_count++] = shared;
    return false;
}

static void push_children(struct ow_option_walk *walk, const struct ow_option *option,
                          const char *path)
{
    if (entered_before(walk, option->shared)) {
        return;
    }
    if (option->kind == OW_OPTION_OBJECT) {
        push_members(walk, option->members, path);
    } else if (option->kind == OW_OPTION_MAP) {
        walk_push(walk, option->item,
                  ow_arena_printf(walk->arena, "%s.%s", path, option->item->name));
    } else if (option->kind == OW_OPTION_LIST && !is_single(option->item)) {
        walk_push(walk, option->item, ow_arena_printf(walk->arena, "%s[]", path));
    } else if (option->kind == OW_OPTION_CHOICE) {
        size_t count = 0;
        while (option->choices[count] != NULL) {
            count++;
        }
        while (count-- > 0) {
            if (!is_single(option->choices[count])) {
                walk_push(walk, option->choices[count], path);
            }
        }
    }
}

void ow_option_walk_begin(struct ow_option_walk *walk, const struct ow_option *root,
                          struct ow_arena *arena)
{
    *walk = (struct ow_option_walk){.arena = arena};
    push_children(walk, root, "");
}

bool ow_option_walk_next(struct ow_option_walk *walk)
{
    if (walk->pending.len == 0) {
        return false;
    }
    struct pending pending;
    walk->pending.len -= sizeof pending;
    memcpy(&pending, walk->pending.ptr + walk->pending.len, sizeof pending);
    walk->option = pending.option;
    walk->path = pending.path;
    push_children(walk, pending.option, pending.path);
    return true;
}

void ow_option_walk_done(struct ow_option_walk *walk)
{
    ow_buffer_done(&walk->pending);
}

/* "an integer from 1 to 65536 (records), default 4096; no effect yet" */
static void append_facts(const struct ow_option *option, struct ow_buffer *out)
{
    ow_option_describe(option, out);
    if (option->fallback != NULL) {
        ow_buffer_printf(out, ", default %s", option->fallback);
    }
    if (option->required) {
        ow_buffer_text(out, ", required");
    }
    if (option->inert) {
        ow_buffer_text(out, "; has no effect yet");
    }
}

void ow_option_help(const struct ow_option *root, struct ow_buffer *out)
{
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    struct ow_option_walk walk;
    ow_option_walk_begin(&walk, root, &arena);
    while (ow_option_walk_next(&walk)) {
        if (walk.option->text == NULL) {
            continue;
        }
        ow_buffer_printf(out, "  %s\n      %s\n      ", walk.path, walk.option->text);
        append_facts(walk.option, out);
        ow_buffer_text(out, "\n");
    }
    ow_option_walk_done(&walk);
    ow_arena_done(&arena);
}

/* mdoc takes a line that begins with a dot or quote for a request, and a backslash for an escape.
 */
static void append_roff(struct ow_buffer *out, const char *text)
{
    if (text[0] == '.' || text[0] == '\'') {
        ow_buffer_text(out, "\\&");
    }
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\\') {
            ow_buffer_text(out, "\\e");
        } else {
            ow_buffer_byte(out, (uint8_t)*at);
        }
    }
}

void ow_option_manual(const struct ow_option *root, struct ow_buffer *out)
{
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    struct ow_option_walk walk;
    ow_option_walk_begin(&walk, root, &arena);
    ow_buffer_text(out, ".Bl -tag -width indent\n");
    while (ow_option_walk_next(&walk)) {
        if (walk.option->text == NULL) {
            continue;
        }
        OW_BUFFER facts = {0};
        append_facts(walk.option, &facts);
        ow_buffer_text(out, ".It Sy ");
        append_roff(out, walk.path);
        ow_buffer_text(out, "\n");
        append_roff(out, walk.option->text);
        ow_buffer_text(out, "\n.br\nExpects ");
        append_roff(out, ow_buffer_cstr(&facts));
        ow_buffer_text(out, ".\n");
    }
    ow_buffer_text(out, ".El\n");
    ow_option_walk_done(&walk);
    ow_arena_done(&arena);
}
