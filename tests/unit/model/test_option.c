/* The option table: a table of one option of each kind, and what it makes of good and bad trees. */
#include "groups.h"
#include "model/option.h"

#include <stdlib.h>
#include <string.h>

struct target {
    const char *name;
    const char *colour;
    int64_t count;
    int64_t wait_ms;
    bool loud;
};

static bool is_short(struct ow_slice text)
{
    return text.len <= 3;
}

static const struct ow_option_form short_form = {
    .pattern = "^.{0,3}$", .is_form = is_short, .says = "a text of three letters at most"};
static const char *const colours[] = {"red", "green", NULL};
static const char *const one_of[] = {"left", "right", NULL};
static const struct ow_option item = {.name = "<item>", .kind = OW_OPTION_TEXT, .min = 1};
static const struct ow_option any = {.name = "<any>", .kind = OW_OPTION_SCALAR};
static const struct ow_option pair_members[] = {
    OW_OPTION("left", INTEGER, .text = "Left."),
    OW_OPTION("right", INTEGER, .text = "Right."),
    OW_OPTION_END,
};
static const struct ow_option pair = {
    .name = "<pair>", .kind = OW_OPTION_OBJECT, .members = pair_members, .exactly_one = one_of};
static const struct ow_option *const choices[] = {&item, &pair, NULL};
static const struct ow_option group_members[] = {
    OW_OPTION("colour", WORD, .words = colours, .fallback = "red",
              .bind = OW_BIND(struct target, colour), .text = "A colour."),
    OW_OPTION("count", INTEGER, .min = 1, .max = 9, .fallback = "3", .unit = "things",
              .bind = OW_BIND(struct target, count), .text = "A count."),
    OW_OPTION("wait", DURATION, .min = 0, .max = 60000, .fallback = "5s",
              .bind = OW_BIND(struct target, wait_ms), .text = "A time."),
    OW_OPTION("loud", BOOL, .fallback = "false", .inert = true,
              .bind = OW_BIND(struct target, loud), .text = "Whether."),
    OW_OPTION_END,
};
static const struct ow_option members[] = {
    OW_OPTION("name", TEXT, .form = &short_form, .required = true,
              .bind = OW_BIND(struct target, name), .text = "A name."),
    OW_OPTION("group", OBJECT, .members = group_members, .text = "A group."),
    OW_OPTION("list", LIST, .item = &item, .min = 1, .max = 2, .text = "A list."),
    OW_OPTION("map", MAP, .item = &any, .form = &short_form, .text = "A map."),
    OW_OPTION("choice", CHOICE, .choices = choices, .text = "A choice."),
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

static void check__everything_in_its_place__is_accepted(void **state)
{
    (void)state;
    accepts("name: abc\n");
    accepts("name: abc\ngroup: { colour: green, count: 9, wait: 1m, loud: true }\nlist: [a, "
            "b]\nmap: { a: 1, b: x, c: 1.5 }\n"
            "choice: word\n");
    accepts("name: abc\nchoice: { left: 1 }\n");
}

static void check__unknown_key__names_the_nearest_known_one(void **state)
{
    (void)state;
    refuses("name: abc\ngruop: {}\n", "t.yaml:2: gruop: unknown key (did you mean 'group'?)");
    refuses("name: abc\ngroup:\n  zzz: 1\n",
            "t.yaml:3: group.zzz: unknown key (known here: colour, count, wait, loud)");
}

static void check__required_key_missing__is_refused(void **state)
{
    (void)state;
    refuses("group: {}\n", "t.yaml: the key 'name' is missing");
}

static void check__wrong_type__says_what_is_expected(void **state)
{
    (void)state;
    refuses("name: 1\n",
            "t.yaml:1: name: expects a text of three letters at most, not an integer (quote it)");
    refuses("name: abc\ngroup: 1\n",
            "t.yaml:2: group: expects a map with the keys below, not an integer");
    refuses("name: abc\ngroup: { count: x }\n",
            "t.yaml:2: group.count: expects an integer from 1 to 9 (things), not a text");
    refuses("name: abc\ngroup: { count: 1.0 }\n",
            "t.yaml:2: group.count: expects an integer from 1 to 9 (things), not a fraction");
    refuses("name: abc\ngroup: { loud: 1 }\n",
            "t.yaml:2: group.loud: expects true or false, not an integer");
    refuses("name: abc\nlist: a\n", "t.yaml:2: list: expects a list of 1 to 2 entries, not a text");
    refuses("name: abc\nmap: { a: true }\n",
            "t.yaml:2: map.a: expects a text or a number, not true or false");
    refuses(
        "name: abc\nchoice: 1\n",
        "t.yaml:2: choice: expects a non-empty text, or a map with the keys below, not an integer");
    refuses("name:\n", "t.yaml:1: name: expects a text of three letters at most, not nothing");
}

static void check__out_of_range__is_refused(void **state)
{
    (void)state;
    refuses("name: abcd\n", "t.yaml:1: name: 'abcd' is not a text of three letters at most");
    refuses("name: abc\ngroup: { count: 10 }\n",
            "t.yaml:2: group.count: 10 is out of range: expects an integer from 1 to 9 (things)");
    refuses("name: abc\ngroup: { wait: 2m }\n",
            "t.yaml:2: group.wait: '2m' is not a duration such as 250ms, 30s, 5m, 72h, 45d");
    refuses("name: abc\ngroup: { colour: blue }\n",
            "t.yaml:2: group.colour: 'blue' is none of: red or green");
    refuses("name: abc\nlist: []\n",
            "t.yaml:2: list: has 0 entries, expects a list of 1 to 2 entries");
    refuses("name: abc\nmap: { abcd: 1 }\n",
            "t.yaml:2: map.abcd: 'abcd' is not a text of three letters at most");
    refuses("name: abc\nchoice: { left: 9007199254740993 }\n",
            "t.yaml:2: choice.left: 9007199254740993 is out of range: expects an integer");
}

static void check__exactly_one__counts(void **state)
{
    (void)state;
    refuses("name: abc\nchoice: {}\n", "t.yaml:2: choice: needs exactly one of: left, right");
    refuses("name: abc\nchoice: { left: 1, right: 2 }\n",
            "t.yaml:2: choice: needs exactly one of: left, right");
}

static void count_one(void *context, const char *text)
{
    (void)text;
    *(size_t *)context += 1;
}

static void problems__are_all_told(void **state)
{
    (void)state;
    struct ow_tree tree = parse("nmae: x\ngroup: { count: 99, wait: soon }\nlist: [1, a, b]\n");
    size_t told = 0;
    /* nmae, name missing, count, wait, three entries, the first of them no text */
    assert_int_equal(ow_option_problems(&root, &tree, count_one, &told), 6);
    assert_int_equal(told, 6);
    ow_tree_done(&tree);
}

static void bind__fills_in_values_and_defaults(void **state)
{
    (void)state;
    struct ow_tree tree = parse("name: abc\ngroup: { wait: 1s, loud: true }\n");
    struct ow_arena arena;
    struct target target = {0};
    ow_arena_init(&arena, 256);
    ow_option_bind(&root, &tree, &arena, &target);
    assert_string_equal(target.name, "abc");
    assert_string_equal(target.colour, "red");
    assert_int_equal(target.count, 3);
    assert_int_equal(target.wait_ms, 1000);
    assert_true(target.loud);
    ow_tree_done(&tree);
    tree = parse("name: x\n");
    ow_option_bind(&root, &tree, &arena, &target);
    assert_int_equal(target.wait_ms, 5000);
    assert_false(target.loud);
    ow_tree_done(&tree);
    ow_arena_done(&arena);
}

static void set__goes_before_the_file(void **state)
{
    (void)state;
    struct ow_tree tree = parse("name: abc\ngroup: { count: 1 }\n");
    struct ow_err err = {{0}};
    assert_int_equal(ow_option_set(&root, &tree, "group.count", "7", &err), OW_OK);
    assert_int_equal(ow_option_set(&root, &tree, "group.loud", "true", &err), OW_OK);
    assert_int_equal(ow_option_set(&root, &tree, "map.a.b", "12", &err), OW_OK);
    assert_int_equal(ow_option_set(&root, &tree, "list", "x,y", &err), OW_OK);
    json_t *const expected = json_loads(
        "{\"name\":\"abc\",\"group\":{\"count\":7,\"loud\":true},\"map\":{\"a.b\":\"12\"},"
        "\"list\":[\"x\",\"y\"]}",
        0, NULL);
    assert_true(json_equal(tree.root, expected));
    json_decref(expected);
    assert_int_equal(ow_option_check(&root, &tree, &err), OW_OK);
    ow_tree_done(&tree);
}

static void set__wrong__is_refused_by_name(void **state)
{
    (void)state;
    struct ow_tree tree = parse("name: abc\n");
    struct ow_err err = {{0}};
    assert_int_equal(ow_option_set(&root, &tree, "group.cuont", "7", &err), OW_BAD_CONFIG);
    assert_string_equal(err.text, "--set group.cuont: unknown key 'cuont' (did you mean 'count'?)");
    assert_int_equal(ow_option_set(&root, &tree, "group", "7", &err), OW_BAD_CONFIG);
    assert_string_equal(err.text, "--set group: 'group' is a group of keys, name one of them");
    assert_int_equal(ow_option_set(&root, &tree, "name.x", "7", &err), OW_BAD_CONFIG);
    assert_int_equal(ow_option_set(&root, &tree, "name", "\xff", &err), OW_BAD_CONFIG);
    assert_non_null(strstr(err.text, "not UTF-8")); /* the file's value must not stay in silence */
    assert_int_equal(ow_option_set(&root, &tree, "group.count", "many", &err), OW_OK);
    assert_int_equal(ow_option_check(&root, &tree, &err), OW_BAD_CONFIG);
    assert_string_equal(err.text,
                        "--set: group.count: expects an integer from 1 to 9 (things), not a text");
    ow_tree_done(&tree);
}

static void help__has_each_option_once(void **state)
{
    (void)state;
    OW_BUFFER out = {0};
    ow_option_help(&root, &out);
    const char *const text = ow_buffer_cstr(&out);
    assert_non_null(strstr(
        text, "  group.count\n      A count.\n      an integer from 1 to 9 (things), default 3\n"));
    assert_non_null(strstr(text, "true or false, default false; has no effect yet"));
    assert_non_null(strstr(text, "  choice.left\n"));
    OW_BUFFER manual = {0};
    ow_option_manual(&root, &manual);
    assert_non_null(strstr(ow_buffer_cstr(&manual), ".It Sy group.count\nA count.\n"));
}

static void schema__says_the_same_as_the_table(void **state)
{
    (void)state;
    json_t *const schema = ow_option_schema(&root, "test");
    const json_t *const properties = json_object_get(schema, "properties");
    const json_t *const group = json_object_get(json_object_get(properties, "group"), "properties");
    const json_t *const count = json_object_get(group, "count");
    assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
    assert_int_equal(json_array_size(json_object_get(schema, "required")), 1);
    assert_int_equal(json_integer_value(json_object_get(count, "maximum")), 9);
    assert_int_equal(json_integer_value(json_object_get(count, "default")), 3);
    assert_int_equal(
        json_array_size(json_object_get(json_object_get(properties, "choice"), "anyOf")), 2);
    json_decref(schema);
}

int ow_test_option(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check__everything_in_its_place__is_accepted),
        cmocka_unit_test(check__unknown_key__names_the_nearest_known_one),
        cmocka_unit_test(check__required_key_missing__is_refused),
        cmocka_unit_test(check__wrong_type__says_what_is_expected),
        cmocka_unit_test(check__out_of_range__is_refused),
        cmocka_unit_test(check__exactly_one__counts),
        cmocka_unit_test(problems__are_all_told),
        cmocka_unit_test(bind__fills_in_values_and_defaults),
        cmocka_unit_test(set__goes_before_the_file),
        cmocka_unit_test(set__wrong__is_refused_by_name),
        cmocka_unit_test(help__has_each_option_once),
        cmocka_unit_test(schema__says_the_same_as_the_table),
    };
    return cmocka_run_group_tests_name("option", tests, NULL, NULL);
}
