#include "model/option.h"

#include "base/limits.h"
#include "base/nearest.h"
#include "base/parse.h"

#include <stdarg.h>
#include <stdio.h>

/* A value that is still to be checked, or filled in. Queues hold these back to back in a buffer. */
struct visit {
    const struct ow_option *option;
    const json_t *value;
    const char *path;
};

struct check {
    const struct ow_tree *tree;
    struct ow_arena arena;
    struct ow_buffer queue;
    size_t done_bytes;
    ow_option_report_fn *report;
    void *context;
    size_t problems;
};

static void push(struct check *check, const struct ow_option *option, const json_t *value,
                 const char *path)
{
    const struct visit visit = {option, value, path};
    ow_buffer_append(&check->queue, &visit, sizeof visit);
}

static void problem(struct check *check, const char *path, const char *format, ...) OW_PRINTF(3, 4);

static void problem(struct check *check, const char *path, const char *format, ...)
{
    struct ow_err err;
    char what[sizeof err.text];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    (void)ow_tree_fail(check->tree, path, &err, "%s", what);
    check->report(check->context, err.text);
    check->problems++;
}

static const char *value_kind(const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "a map";
    case JSON_ARRAY:
        return "a list";
    case JSON_STRING:
        return "a text";
    case JSON_INTEGER:
        return "an integer";
    case JSON_REAL:
        return "a fraction";
    case JSON_TRUE:
    case JSON_FALSE:
        return "true or false";
    case JSON_NULL:
        return "nothing";
    }
    OW_IMPOSSIBLE("a JSON type that jansson does not have");
}

static void problem_expects(struct check *check, const struct visit *visit)
{
    OW_BUFFER expects = {0};
    ow_option_describe(visit->option, &expects);
    const bool quote = visit->option->kind == OW_OPTION_TEXT && !json_is_object(visit->value) &&
                       !json_is_array(visit->value) && !json_is_null(visit->value);
    problem(check, visit->path, "expects %s, not %s%s", ow_buffer_cstr(&expects),
            value_kind(visit->value), quote ? " (quote it)" : "");
}

static bool in_range(const struct ow_option *option, int64_t value)
{
    if (option->min == 0 && option->max == 0) {
        return true;
    }
    return value >= option->min && (option->max == 0 || value <= option->max);
}

static void check_text(struct check *check, const struct visit *visit)
{
    const struct ow_option *const option = visit->option;
    const struct ow_slice text = {(const uint8_t *)json_string_value(visit->value),
                                  json_string_length(visit->value)};
    bool good = in_range(option, (int64_t)ow_slice_characters(text));
    if (good && option->form != NULL) {
        good = option->form->is_form(text);
    }
    if (!good) {
        OW_BUFFER expects = {0};
        ow_option_describe(option, &expects);
        problem(check, visit->path, "'" OW_SLICE_FMT "' is not %s", OW_SLICE_ARG(text),
                ow_buffer_cstr(&expects));
    }
}

static void check_integer(struct check *check, const struct visit *visit)
{
    const int64_t value = json_integer_value(visit->value);
    if (!in_range(visit->option, value) || value > OW_INTEGER_MAX || value < -OW_INTEGER_MAX) {
        OW_BUFFER expects = {0};
        ow_option_describe(visit->option, &expects);
        problem(check, visit->path, "%lld is out of range: expects %s", (long long)value,
                ow_buffer_cstr(&expects));
    }
}

static void check_duration(struct check *check, const struct visit *visit)
{
    int64_t ms = 0;
    if (!ow_parse_duration_ms(ow_slice_of(json_string_value(visit->value)), &ms) ||
        !in_range(visit->option, ms)) {
        OW_BUFFER expects = {0};
        ow_option_describe(visit->option, &expects);
        problem(check, visit->path, "'%s' is not %s", json_string_value(visit->value),
                ow_buffer_cstr(&expects));
    }
}

static bool is_word(const char *const *words, const char *text)
{
    size_t i = 0;
    while (words[i] != NULL && strcmp(words[i], text) != 0) {
        i++;
    }
    return words[i] != NULL;
}

static void check_word(struct check *check, const struct visit *visit)
{
    const char *const text = json_string_value(visit->value);
    if (!is_word(visit->option->words, text)) {
        OW_BUFFER expects = {0};
        ow_option_describe(visit->option, &expects);
        problem(check, visit->path, "'%s' is none of: %s", text, ow_buffer_cstr(&expects));
    }
}

static const struct ow_option *find_member(const struct ow_option *members, const char *name)
{
    for (const struct ow_option *member = members; member->name != NULL; member++) {
        if (strcmp(member->name, name) == 0) {
            return member;
        }
    }
    return NULL;
}

static void problem_unknown(struct check *check, const struct ow_option *option, const char *path,
                            const char *name)
{
    struct ow_nearest nearest = {.word = name};
    for (const struct ow_option *member = option->members; member->name != NULL; member++) {
        ow_nearest_offer(&nearest, member->name);
    }
    if (nearest.best != NULL) {
        problem(check, path, "unknown key (did you mean '%s'?)", nearest.best);
        return;
    }
    OW_BUFFER known = {0};
    for (const struct ow_option *member = option->members; member->name != NULL; member++) {
        ow_buffer_printf(&known, "%s%s", member == option->members ? "" : ", ", member->name);
    }
    problem(check, path, "unknown key (known here: %s)",
            known.len == 0 ? "none" : ow_buffer_cstr(&known));
}

static void check_exactly_one(struct check *check, const struct visit *visit)
{
    OW_BUFFER names = {0};
    size_t there = 0;
    for (const char *const *name = visit->option->exactly_one; *name != NULL; name++) {
        ow_buffer_printf(&names, "%s%s", names.len == 0 ? "" : ", ", *name);
        there += json_object_get(visit->value, *name) != NULL ? 1 : 0;
    }
    if (there != 1) {
        problem(check, visit->path, "needs exactly one of: %s", ow_buffer_cstr(&names));
    }
}

static void check_object(struct check *check, const struct visit *visit)
{
    const struct ow_option *const option = visit->option;
    const char *name = NULL;
    json_t *unused = NULL;
    json_object_foreach((json_t *)(uintptr_t)visit->value, name, unused)
    {
        if (find_member(option->members, name) == NULL) {
            problem_unknown(check, option, ow_tree_path(&check->arena, visit->path, name), name);
        }
    }
    if (option->exactly_one != NULL) {
        check_exactly_one(check, visit);
    }
    for (const struct ow_option *member = option->members; member->name != NULL; member++) {
        const json_t *const value = json_object_get(visit->value, member->name);
        if (value != NULL) {
            push(check, member, value, ow_tree_path(&check->arena, visit->path, member->name));
        } else if (member->required) {
            problem(check, visit->path, "the key '%s' is missing", member->name);
        }
    }
}

static void check_count(struct check *check, const struct visit *visit, size_t count)
{
    if (!in_range(visit->option, (int64_t)count)) {
        OW_BUFFER expects = {0};
        ow_option_describe(visit->option, &expects);
        problem(check, visit->path, "has %zu entries, expects %s", count, ow_buffer_cstr(&expects));
    }
}

static void check_list(struct check *check, const struct visit *visit)
{
    const size_t count = json_array_size(visit->value);
    check_count(check, visit, count);
    for (size_t i = 0; i < count; i++) {
        push(check, visit->option->item, json_array_get(visit->value, i),
             ow_arena_printf(&check->arena, "%s/%zu", visit->path, i));
    }
}

static void check_map(struct check *check, const struct visit *visit)
{
    check_count(check, visit, json_object_size(visit->value));
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)(uintptr_t)visit->value, name, value)
    {
        const char *const path = ow_tree_path(&check->arena, visit->path, name);
        const struct ow_option_form *const form = visit->option->form;
        if (form != NULL && !form->is_form(ow_slice_of(name))) {
            if (form->why != NULL) {
                problem(check, path, "%s", form->why(ow_slice_of(name)));
            } else {
                problem(check, path, "'%s' is not %s", name, form->says);
            }
        }
        push(check, visit->option->item, value, path);
    }
}

static bool type_fits(const struct ow_option *option, const json_t *value)
{
    switch (option->kind) {
    case OW_OPTION_TEXT:
    case OW_OPTION_DURATION:
    case OW_OPTION_WORD:
        return json_is_string(value);
    case OW_OPTION_INTEGER:
        return json_is_integer(value);
    case OW_OPTION_BOOL:
        return json_is_boolean(value);
    case OW_OPTION_SCALAR:
        return json_is_string(value) || json_is_number(value);
    case OW_OPTION_OBJECT:
    case OW_OPTION_MAP:
        return json_is_object(value);
    case OW_OPTION_LIST:
        return json_is_array(value);
    case OW_OPTION_CHOICE:
        return true; /* a choice in a choice: it says itself what it expects */
    }
    OW_IMPOSSIBLE("an option kind that is none");
}

/* The first member of an object choice may be its tag: a word that says which one is meant. NULL:
 * it has none. */
static const struct ow_option *tag_of(const struct ow_option *option)
{
    const bool has_tag = option->kind == OW_OPTION_OBJECT &&
                         option->members->kind == OW_OPTION_WORD && option->members->required;
    return has_tag ? option->members : NULL;
}

static bool tag_fits(const struct ow_option *option, const json_t *value)
{
    const struct ow_option *const tag = tag_of(option);
    if (tag == NULL) {
        return true;
    }
    const char *const word = json_string_value(json_object_get(value, tag->name));
    return word != NULL && is_word(tag->words, word);
}

/* The type fits some choice, but its tag is missing or none of theirs. */
static void problem_tag(struct check *check, const struct visit *visit, const struct ow_option *tag)
{
    const json_t *const given = json_object_get(visit->value, tag->name);
    OW_BUFFER words = {0};
    for (const struct ow_option *const *choice = visit->option->choices; *choice != NULL;
         choice++) {
        const struct ow_option *const other = tag_of(*choice);
        for (size_t i = 0; other != NULL && other->words[i] != NULL; i++) {
            ow_buffer_printf(&words, "%s%s", words.len == 0 ? "" : ", ", other->words[i]);
        }
    }
    if (given == NULL) {
        problem(check, visit->path, "the key '%s' is missing (one of: %s)", tag->name,
                ow_buffer_cstr(&words));
        return;
    }
    const char *const path = ow_tree_path(&check->arena, visit->path, tag->name);
    if (json_is_string(given)) {
        problem(check, path, "'%s' is none of: %s", json_string_value(given),
                ow_buffer_cstr(&words));
    } else {
        problem(check, path, "expects one of: %s; not %s", ow_buffer_cstr(&words),
                value_kind(given));
    }
}

static void check_choice(struct check *check, const struct visit *visit)
{
    const struct ow_option *near = NULL;
    bool fits = false;
    for (const struct ow_option *const *choice = visit->option->choices; !fits && *choice != NULL;
         choice++) {
        if (type_fits(*choice, visit->value)) {
            near = *choice;
            fits = tag_fits(*choice, visit->value);
        }
    }
    if (near == NULL) {
        problem_expects(check, visit);
    } else if (fits) {
        push(check, near, visit->value, visit->path);
    } else {
        problem_tag(check, visit, tag_of(near));
    }
}

static void check_visit(struct check *check, const struct visit *visit)
{
    if (!type_fits(visit->option, visit->value)) {
        problem_expects(check, visit);
        return;
    }
    switch (visit->option->kind) {
    case OW_OPTION_TEXT:
        check_text(check, visit);
        return;
    case OW_OPTION_DURATION:
        check_duration(check, visit);
        return;
    case OW_OPTION_WORD:
        check_word(check, visit);
        return;
    case OW_OPTION_INTEGER:
        check_integer(check, visit);
        return;
    case OW_OPTION_OBJECT:
        check_object(check, visit);
        return;
    case OW_OPTION_MAP:
        check_map(check, visit);
        return;
    case OW_OPTION_LIST:
        check_list(check, visit);
        return;
    case OW_OPTION_CHOICE:
        check_choice(check, visit);
        return;
    case OW_OPTION_BOOL:
    case OW_OPTION_SCALAR:
        return;
    }
}

size_t ow_option_problems(const struct ow_option *root, const struct ow_tree *tree,
                          ow_option_report_fn *report, void *context)
{
    OW_REQUIRE(root->kind == OW_OPTION_OBJECT);
    struct check check = {.tree = tree, .report = report, .context = context};
    ow_arena_init(&check.arena, 4096);
    push(&check, root, tree->root, "");
    while (check.done_bytes < check.queue.len) {
        struct visit visit;
        memcpy(&visit, check.queue.ptr + check.done_bytes, sizeof visit);
        check.done_bytes += sizeof visit;
        check_visit(&check, &visit);
    }
    ow_buffer_done(&check.queue);
    ow_arena_done(&check.arena);
    return check.problems;
}

struct first_problem {
    bool found;
    struct ow_err *err;
};

static void keep_first(void *context, const char *text)
{
    struct first_problem *const first = context;
    if (!first->found) {
        first->found = true;
        (void)ow_fail(first->err, OW_BAD_CONFIG, "%s", text);
    }
}

enum ow_status ow_option_check(const struct ow_option *root, const struct ow_tree *tree,
                               struct ow_err *err)
{
    struct first_problem first = {.err = err};
    return ow_option_problems(root, tree, keep_first, &first) == 0 ? OW_OK : OW_BAD_CONFIG;
}
