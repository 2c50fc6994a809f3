/* The option table beyond what a configuration needs: open ranges, shared tables, choices of
 * objects, defaults of each kind, in messages, help, manual and schema. */
#include "groups.h"
#include "model/json.h"
#include "model/option.h"

#include <stdlib.h>
#include <string.h>

struct target {
    const char *word;
    int64_t number;
    int64_t wait_ms;
    bool on;
    bool off;
};

static bool is_short(struct ow_slice text)
{
    return text.len <= 3;
}

static const char *why_long(struct ow_slice text)
{
    return text.len > 5 ? "is far too long" : "is too long";
}

static const struct ow_option_form told_form = {
    .pattern = "^.{0,3}$", .is_form = is_short, .says = "short", .why = why_long};
static const char *const kinds_a[] = {"circle", NULL};
static const char *const kinds_b[] = {"square", "box", NULL};
static const struct ow_option number = {.name = "<number>", .kind = OW_OPTION_INTEGER};
static const struct ow_option bounded = {.name = "<text>", .kind = OW_OPTION_TEXT, .max = 2};
static const struct ow_option circle_members[] = {
    OW_OPTION("kind", WORD, .words = kinds_a, .required = true, .text = "Which."),
    OW_OPTION("radius", INTEGER, .min = 1, .text = "How wide."),
    OW_OPTION_END,
};
static const struct ow_option square_members[] = {
    OW_OPTION("kind", WORD, .words = kinds_b, .required = true, .text = "Which."),
    OW_OPTION("side", INTEGER, .max = 9, .text = "How long."),
    OW_OPTION_END,
};
static const struct ow_option circle = {
    .name = "circle", .kind = OW_OPTION_OBJECT, .members = circle_members, .shared = "circle"};
static const struct ow_option square = {
    .name = "square", .kind = OW_OPTION_OBJECT, .members = square_members};
static const struct ow_option *const shapes[] = {&circle, &square, NULL};
static const struct ow_option shape = {
    .name = "<shape>", .kind = OW_OPTION_CHOICE, .choices = shapes};
/* Its first member is a word, but not a required one: no tag. */
static const struct ow_option loose_members[] = {
    OW_OPTION("kind", WORD, .words = kinds_a, .text = "Which."),
    OW_OPTION_END,
};
static const struct ow_option loose = {
    .name = "loose", .kind = OW_OPTION_OBJECT, .members = loose_members};
static const struct ow_option *const untagged[] = {&number, &loose, NULL};
static const struct ow_option *const texts[] = {&bounded, &number, NULL};
static const struct ow_option no_members[] = {OW_OPTION_END};

static const struct ow_option members[] = {
    OW_OPTION("word", TEXT, .bind = OW_BIND(struct target, word), .text = ".A word\\text."),
    OW_OPTION("number", INTEGER, .min = 2, .bind = OW_BIND(struct target, number),
              .text = "'A number."),
    OW_OPTION("wait", DURATION, .min = 1, .bind = OW_BIND(struct target, wait_ms),
              .text = "A time."),
    OW_OPTION("on", BOOL, .fallback = "true", .bind = OW_BIND(struct target, on), .text = "On."),
    OW_OPTION("off", BOOL, .bind = OW_BIND(struct target, off), .text = "Off."),
    OW_OPTION("nothing", OBJECT, .members = no_members, .text = "Has no members."),
    OW_OPTION("free", MAP, .item = &number, .text = "Any names."),
    OW_OPTION("told", MAP, .item = &number, .form = &told_form, .min = 1, .text = "Short names."),
    OW_OPTION("bare", LIST, .item = &number, .fallback = "1, 2", .text = "Any length."),
    OW_OPTION("some", LIST, .item = &bounded, .min = 1, .fallback = "[a, b]", .text = "Not empty."),
    OW_OPTION("shapes", LIST, .item = &shape, .text = "Shapes."),
    OW_OPTION("shape", CHOICE, .choices = shapes, .text = "A shape."),
    OW_OPTION("circle", OBJECT, .members = circle_members, .shared = "circle", .text = "Round."),
    OW_OPTION("untagged", CHOICE, .choices = untagged, .text = "A number or a map."),
    OW_OPTION("either", CHOICE, .choices = texts, .text = "A text or a number."),
    OW_OPTION_END,
};
static const struct ow_option root = {.name = "test", .kind = OW_OPTION_OBJECT, .members = members};

static struct ow_tree parse(const char *text)
{
    struct ow_tree tree;
    struct ow_err err = {{0}};
    if (ow_tree_parse("t.yaml", ow_slice_of(text), NULL, NULL, &tree, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
    return tree;
}

static void refuses(const char *text, const char *message)
{
    struct ow_tree tree = parse(text);
    struct ow_err err = {{0}};
    assert_int_equal(ow_option_check(&root, &tree, &err), OW_BAD_CONFIG);
    assert_string_equal(err.text, message);
    ow_tree_done(&tree);
}

static void accepts(const char *text)
{
    struct ow_tree tree = parse(text);
    struct ow_err err = {{0}};
    if (ow_option_check(&root, &tree, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
    ow_tree_done(&tree);
}

static void check__ranges_open_at_one_end__hold_at_the_other(void **state)
{
    (void)state;
    accepts("number: 2\nshape: { kind: box, side: 0 }\nfree: {}\nbare: []\neither: ''\n");
    accepts("number: 9007199254740992\nwait: 1ms\nshape: { kind: circle, radius: 1 }\n");
    refuses("number: 1\n", "t.yaml:1: number: 1 is out of range: expects an integer of at least 2");
    refuses("number: 9007199254740993\n", "t.yaml:1: number: 9007199254740993 is out of range: "
                                          "expects an integer of at least 2");
    refuses("untagged: -9007199254740993\n",
            "t.yaml:1: untagged: -9007199254740993 is out of range: expects an integer");
    refuses("shape: { kind: square, side: -1 }\n",
            "t.yaml:1: shape.side: -1 is out of range: expects an integer from 0 to 9");
    refuses("wait: 0s\n",
            "t.yaml:1: wait: '0s' is not a duration such as 250ms, 30s, 5m, 72h, 45d");
    refuses("either: abc\n", "t.yaml:1: either: 'abc' is not a text of 0 to 2 characters");
    refuses("some: []\n", "t.yaml:1: some: has 0 entries, expects a list that is not empty");
    refuses("told: {}\n", "t.yaml:1: told: has 0 entries, expects a map that is not empty");
}

static void check__wrong_type__names_what_is_there(void **state)
{
    (void)state;
    refuses("word: []\n", "t.yaml:1: word: expects a text, not a list");
    refuses("word: {}\n", "t.yaml:1: word: expects a text, not a map");
    refuses("word: false\n", "t.yaml:1: word: expects a text, not true or false (quote it)");
    refuses("word: 1.5\n", "t.yaml:1: word: expects a text, not a fraction (quote it)");
    refuses("bare: {}\n", "t.yaml:1: bare: expects a list, not a map");
    refuses("free: []\n", "t.yaml:1: free: expects a map, not a list");
    refuses("nothing: true\n",
            "t.yaml:1: nothing: expects a map with the keys below, not true or false");
}

static void check__names_of_a_map__are_held_to_its_form(void **state)
{
    (void)state;
    accepts("free: { any name at all: 1 }\ntold: { abc: 1 }\n");
    refuses("told: { abcd: 1 }\n", "t.yaml:1: told.abcd: is too long");
    refuses("told: { abcdef: 1 }\n", "t.yaml:1: told.abcdef: is far too long");
}

static void check__object_without_members__knows_no_key(void **state)
{
    (void)state;
    accepts("nothing: {}\n");
    refuses("nothing: { x: 1 }\n", "t.yaml:1: nothing.x: unknown key (known here: none)");
}

static void check__choice_of_objects__is_told_apart_by_its_tag(void **state)
{
    (void)state;
    accepts("shapes: [ { kind: circle, radius: 2 }, { kind: square, side: 2 } ]\n");
    refuses("shape: { radius: 1 }\n",
            "t.yaml:1: shape: the key 'kind' is missing (one of: circle, square, box)");
    refuses("shape: { kind: oval }\n",
            "t.yaml:1: shape.kind: 'oval' is none of: circle, square, box");
    refuses("shape: { kind: 1 }\n",
            "t.yaml:1: shape.kind: expects one of: circle, square, box; not an integer");
    refuses("shape: { kind: box, radius: 1 }\n",
            "t.yaml:1: shape.radius: unknown key (known here: kind, side)");
    refuses("shape: 1\n", "t.yaml:1: shape: expects a map with the keys below, not an integer");
    accepts("untagged: {}\n");
    refuses("untagged: { kind: oval }\n", "t.yaml:1: untagged.kind: 'oval' is none of: circle");
    refuses("untagged: []\n",
            "t.yaml:1: untagged: expects an integer, or a map with the keys below, not a list");
}

static void bind__without_value_and_default__is_nothing(void **state)
{
    (void)state;
    struct ow_arena arena;
    struct target target = {.word = "x", .number = 7, .wait_ms = 7, .off = true};
    struct ow_tree tree = parse("");
    ow_arena_init(&arena, 256);
    ow_option_bind(&root, &tree, &arena, &target);
    assert_null(target.word);
    assert_int_equal(target.number, 0);
    assert_int_equal(target.wait_ms, 0);
    assert_true(target.on);
    assert_false(target.off);
    ow_tree_done(&tree);
    tree = parse("word: w\nnumber: 5\nwait: 2s\non: false\noff: true\n");
    ow_option_bind(&root, &tree, &arena, &target);
    assert_string_equal(target.word, "w");
    assert_int_equal(target.number, 5);
    assert_int_equal(target.wait_ms, 2000);
    assert_false(target.on);
    assert_true(target.off);
    ow_tree_done(&tree);
    ow_arena_done(&arena);
}

/* --set PATH=VALUE on an empty file: the tree afterwards, or the message. */
static void set_gives(const char *file, const char *path, const char *value, const char *expected)
{
    struct ow_tree tree = parse(file);
    struct ow_err err = {{0}};
    if (ow_option_set(&root, &tree, path, value, &err) != OW_OK) {
        assert_string_equal(err.text, expected);
    } else {
        char *const text = json_dumps(tree.root, JSON_COMPACT);
        assert_string_equal(text, expected);
        free(text);
    }
    ow_tree_done(&tree);
}

static void set__takes_the_type_that_the_option_has(void **state)
{
    (void)state;
    set_gives("", "on", "true", "{\"on\":true}");
    set_gives("", "on", "false", "{\"on\":false}");
    set_gives("", "on", "maybe", "{\"on\":\"maybe\"}"); /* the check will refuse it */
    set_gives("", "word", "false", "{\"word\":\"false\"}");
    set_gives("", "number", "-5", "{\"number\":-5}");
    set_gives("", "number", "5x", "{\"number\":\"5x\"}");
    set_gives("", "some", "", "{\"some\":[]}");
    set_gives("", "some", "a,,b", "{\"some\":[\"a\",\"\",\"b\"]}");
    set_gives("", "free.a.b/c", "1", "{\"free\":{\"a.b/c\":1}}");
    set_gives("free: { a: 2 }\n", "free.b", "1", "{\"free\":{\"a\":2,\"b\":1}}");
    set_gives("free: wrong\n", "free.b", "1", "{\"free\":{\"b\":1}}"); /* it goes before the file */
}

static void set__what_it_cannot_set__is_refused_by_name(void **state)
{
    (void)state;
    set_gives("", "zzzzzzzz", "1", "--set zzzzzzzz: unknown key 'zzzzzzzz'");
    set_gives("", "numbr", "1", "--set numbr: unknown key 'numbr' (did you mean 'number'?)");
    set_gives("", "nothing.x", "1", "--set nothing.x: unknown key 'x'");
    set_gives("", "shape", "1", "--set shape: 'shape' is no group of keys, or only for the file");
    set_gives("", "shape.kind", "1",
              "--set shape.kind: 'shape' is no group of keys, or only for the file");
    set_gives("", "free", "1", "--set free: 'free' is a group of keys, name one of them");
}

static void has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("no '%s' in:\n%s", part, text);
    }
}

static void help__says_what_each_kind_expects(void **state)
{
    (void)state;
    OW_BUFFER out = {0};
    ow_option_help(&root, &out);
    const char *const text = ow_buffer_cstr(&out);
    has(text, "  word\n      .A word\\text.\n      a text\n");
    has(text, "  number\n      'A number.\n      an integer of at least 2\n");
    has(text, "  on\n      On.\n      true or false, default true\n");
    has(text, "  free\n      Any names.\n      a map\n");
    has(text, "  told\n      Short names.\n      a map that is not empty\n");
    has(text, "  bare\n      Any length.\n      a list, default 1, 2\n");
    has(text, "  shape\n      A shape.\n      a map with the keys below\n");
    has(text, "      a text of 0 to 2 characters, or an integer\n");
    has(text, "  shapes[].side\n");
    has(text, "  shape.side\n");
    /* The shared one is entered once, where it comes first. */
    has(text, "  shapes[].radius\n");
    assert_null(strstr(text, "  shape.radius\n"));
    assert_null(strstr(text, "  circle.radius\n"));
}

static void manual__escapes_what_roff_would_take_for_a_request(void **state)
{
    (void)state;
    OW_BUFFER out = {0};
    ow_option_manual(&root, &out);
    const char *const text = ow_buffer_cstr(&out);
    has(text, ".It Sy word\n\\&.A word\\etext.\n.br\nExpects a text.\n");
    has(text, ".It Sy number\n\\&'A number.\n");
}

/* The schema's part at a pointer, as text. */
static void schema_has(const json_t *schema, const char *at, const char *expected)
{
    struct ow_arena arena;
    struct ow_pointer pointer;
    OW_BUFFER text = {0};
    ow_arena_init(&arena, 256);
    assert_true(ow_pointer_parse(&arena, at, &pointer));
    const json_t *const found = ow_pointer_get(&pointer, schema);
    if (found == NULL) {
        fail_msg("nothing at %s", at);
    }
    ow_json_canonical(&text, found, NULL, NULL, 0);
    assert_string_equal(ow_buffer_cstr(&text), expected);
    ow_arena_done(&arena);
}

static void schema__has_ranges_defaults_and_shared_parts(void **state)
{
    (void)state;
    json_t *const schema = ow_option_schema(&root, "test");
    schema_has(schema, "/properties/number/minimum", "2");
    schema_has(schema, "/properties/number/maximum", "9007199254740992");
    schema_has(schema, "/properties/shape/anyOf/1/properties/side/minimum", "0");
    schema_has(schema, "/properties/shape/anyOf/1/properties/side/maximum", "9");
    schema_has(schema, "/properties/wait/pattern", "\"^0*[1-9][0-9]*(ms|s|m|h|d)$\"");
    schema_has(schema, "/properties/on/default", "true");
    schema_has(schema, "/properties/bare/default", "[\"1\",\"2\"]");
    schema_has(schema, "/properties/some/default", "[\"a\",\"b\"]");
    schema_has(schema, "/properties/some/items/maxLength", "2");
    schema_has(schema, "/properties/told/propertyNames/pattern", "\"^.{0,3}$\"");
    schema_has(schema, "/properties/free",
               "{\"additionalProperties\":{\"maximum\":9007199254740992,\"minimum\":"
               "-9007199254740992,\"type\":\"integer\"},"
               "\"description\":\"Any names.\",\"type\":\"object\"}");
    schema_has(schema, "/properties/circle",
               "{\"$ref\":\"#/$defs/circle\",\"description\":\"Round.\"}");
    schema_has(schema, "/$defs/circle/required", "[\"kind\"]");
    json_decref(schema);
}

int ow_test_option_kinds(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(check__ranges_open_at_one_end__hold_at_the_other),
        cmocka_unit_test(check__wrong_type__names_what_is_there),
        cmocka_unit_test(check__names_of_a_map__are_held_to_its_form),
        cmocka_unit_test(check__object_without_members__knows_no_key),
        cmocka_unit_test(check__choice_of_objects__is_told_apart_by_its_tag),
        cmocka_unit_test(bind__without_value_and_default__is_nothing),
        cmocka_unit_test(set__takes_the_type_that_the_option_has),
        cmocka_unit_test(set__what_it_cannot_set__is_refused_by_name),
        cmocka_unit_test(help__says_what_each_kind_expects),
        cmocka_unit_test(manual__escapes_what_roff_would_take_for_a_request),
        cmocka_unit_test(schema__has_ranges_defaults_and_shared_parts),
    };
    return cmocka_run_group_tests_name("option_kinds", tests, NULL, NULL);
}
