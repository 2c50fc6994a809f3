/* The tree: what YAML's core schema makes of a text, what is refused, and where messages point to.
 */
#include "groups.h"
#include "model/tree.h"

#include <stdlib.h>
#include <string.h>

static const char *variable(const char *name, void *context)
{
    (void)context;
    if (strcmp(name, "PORT") == 0) {
        return "9092";
    }
    if (strcmp(name, "EMPTY") == 0) {
        return "";
    }
    return strcmp(name, "NASTY") == 0 ? "a: [b" : NULL;
}

static struct ow_tree parse(const char *text)
{
    struct ow_tree tree;
    struct ow_err err = {{0}};
    if (ow_tree_parse("test.yaml", ow_slice_of(text), variable, NULL, &tree, &err) != OW_OK) {
        fail_msg("%s", err.text);
    }
    return tree;
}

/* The text must be refused with just that message. */
static void refuses(const char *text, const char *message)
{
    struct ow_tree tree;
    struct ow_err err = {{0}};
    assert_int_equal(ow_tree_parse("test.yaml", ow_slice_of(text), variable, NULL, &tree, &err),
                     OW_BAD_CONFIG);
    assert_string_equal(err.text, message);
}

static void is_read_as(const char *text, const char *json)
{
    struct ow_tree tree = parse(text);
    json_t *const expected = json_loads(json, 0, NULL);
    assert_non_null(expected);
    assert_true(json_equal(tree.root, expected));
    json_decref(expected);
    ow_tree_done(&tree);
}

static void scalar__plain__gets_the_core_schemas_type(void **state)
{
    (void)state;
    is_read_as("a: 1\nb: -7\nc: +3\nd: 0x1F\ne: 0o17\nf: 1.5\ng: .5\nh: 1e3\n",
               "{\"a\":1,\"b\":-7,\"c\":3,\"d\":31,\"e\":15,\"f\":1.5,\"g\":0.5,\"h\":1000.0}");
    is_read_as("a: true\nb: False\nc: null\nd: ~\ne:\n",
               "{\"a\":true,\"b\":false,\"c\":null,\"d\":null,\"e\":null}");
}

static void scalar__of_older_yaml__is_a_text(void **state)
{
    (void)state;
    is_read_as("a: yes\nb: off\nc: 1_000\nd: 12:30\ne: 2026-11-22\nf: 1.2.3\n",
               "{\"a\":\"yes\",\"b\":\"off\",\"c\":\"1_000\",\"d\":\"12:30\",\"e\":\"2026-11-22\","
               "\"f\":\"1.2.3\"}");
}

static void scalar__quoted__is_a_text(void **state)
{
    (void)state;
    is_read_as("a: '1'\nb: \"true\"\nc: |\n  null\n",
               "{\"a\":\"1\",\"b\":\"true\",\"c\":\"null\\n\"}");
}

static void json__is_read_like_yaml(void **state)
{
    (void)state;
    is_read_as("{\"a\": {\"b\": [1, \"x\\u00e9\", null]},\n\t\"c\": \"\\/\"}",
               "{\"a\":{\"b\":[1,\"xé\",null]},\"c\":\"/\"}");
}

static void file__empty__is_an_empty_map(void **state)
{
    (void)state;
    is_read_as("", "{}");
    is_read_as("# nothing\n", "{}");
}

static void variable__is_replaced_before_the_scalar_gets_its_type(void **state)
{
    (void)state;
    is_read_as("a: ${PORT}\nb: '${PORT}'\nc: host:${PORT}/x\nd: ${NO_SUCH:7}\ne: ${NO_SUCH:}\nf: "
               "${EMPTY}\n",
               "{\"a\":9092,\"b\":\"9092\",\"c\":\"host:9092/x\",\"d\":7,\"e\":\"\",\"f\":\"\"}");
}

static void variable__with_yaml_in_it__stays_one_text(void **state)
{
    (void)state;
    is_read_as("a: ${NASTY}\n", "{\"a\":\"a: [b\"}");
}

static void variable__escaped__stays_as_it_is(void **state)
{
    (void)state;
    is_read_as("a: $${PORT}\nb: $PORT\nc: 5$\n",
               "{\"a\":\"${PORT}\",\"b\":\"$PORT\",\"c\":\"5$\"}");
}

static void variable__unknown_or_broken__is_refused(void **state)
{
    (void)state;
    refuses("x:\n  a: ${NO_SUCH}\n",
            "test.yaml:2: x.a: there is no variable 'NO_SUCH' in the environment, and no default");
    refuses("a: ${PORT\n",
            "test.yaml:1: a: a variable is written ${NAME} or ${NAME:default} ($${ stands for ${)");
    refuses("a: ${A-B}\n",
            "test.yaml:1: a: a variable is written ${NAME} or ${NAME:default} ($${ stands for ${)");
}

static void variable__without_a_function__is_a_text(void **state)
{
    (void)state;
    struct ow_tree tree;
    struct ow_err err;
    assert_int_equal(ow_tree_parse("m.yaml", ow_slice_of("a: ${PORT}\n"), NULL, NULL, &tree, &err),
                     OW_OK);
    assert_string_equal(json_string_value(json_object_get(tree.root, "a")), "${PORT}");
    ow_tree_done(&tree);
}

static void key__twice__is_refused(void **state)
{
    (void)state;
    refuses("a: 1\nb: 2\na: 3\n", "test.yaml:3: a: this key comes twice");
    refuses("{\"a\": {\"b\": 1,\n\"b\": 2}}", "test.yaml:2: a.b: this key comes twice");
}

static void anchors_aliases_tags__are_refused(void **state)
{
    (void)state;
    refuses("a: &x 1\n", "test.yaml:1: a: anchors and tags are not supported");
    refuses("a: &x [1]\n", "test.yaml:1: a: anchors and tags are not supported");
    refuses("a: &x {b: 1}\n", "test.yaml:1: a: anchors and tags are not supported");
    refuses("a: *x\n", "test.yaml:1: a: aliases are not supported");
    refuses("a: !!str 1\n", "test.yaml:1: a: anchors and tags are not supported");
    refuses("<<: {a: 1}\n", "test.yaml:1: <<: merge keys are not supported");
}

static void documents__several__are_refused(void **state)
{
    (void)state;
    refuses("a: 1\n---\nb: 2\n", "test.yaml:2: a second document: one file holds one");
}

static void root__that_is_no_map__is_refused(void **state)
{
    (void)state;
    refuses("[1, 2]\n", "test.yaml:1: expects keys with values, not a list or a single value");
    refuses("word\n", "test.yaml:1: expects keys with values, not a list or a single value");
}

static void key__that_is_a_collection__is_refused(void **state)
{
    (void)state;
    refuses("? [1]\n: 2\n", "test.yaml:1: a key must be a text");
}

static void number__beyond_its_type__is_refused(void **state)
{
    (void)state;
    refuses("a: 9223372036854775808\n",
            "test.yaml:1: a: an integer beyond 64 bits (quote it if it is a text)");
    refuses("a: 0xFFFFFFFFFFFFFFFF\n",
            "test.yaml:1: a: an integer beyond 64 bits (quote it if it is a text)");
    refuses("a: 1e999\n", "test.yaml:1: a: a number that is too large");
    refuses("a: .inf\n",
            "test.yaml:1: a: a number that JSON does not have (quote it if it is a text)");
}

static void nesting__of_more_than_32_levels__is_refused(void **state)
{
    (void)state;
    char text[256];
    (void)snprintf(text, sizeof text, "a: %.31s%.31s\n", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
                   "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    struct ow_tree tree = parse(text);
    ow_tree_done(&tree);
    (void)snprintf(text, sizeof text, "a: [%.31s%.31s]\n", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
                   "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    struct ow_err err;
    assert_int_equal(ow_tree_parse("t", ow_slice_of(text), NULL, NULL, &tree, &err), OW_BAD_CONFIG);
    assert_non_null(strstr(err.text, "nested deeper than 32 levels"));
}

static void syntax__broken__names_the_line(void **state)
{
    (void)state;
    struct ow_tree tree;
    struct ow_err err;
    assert_int_equal(
        ow_tree_parse("t.yaml", ow_slice_of("a: 1\nb: [1, 2\nc: 3\n"), NULL, NULL, &tree, &err),
        OW_BAD_CONFIG);
    assert_memory_equal(err.text, "t.yaml:3: ", 10);
    assert_int_equal(ow_tree_parse("t.yaml", ow_slice_of("a: \"\xff\"\n"), NULL, NULL, &tree, &err),
                     OW_BAD_CONFIG);
    assert_int_equal(ow_tree_parse("t.yaml", ow_slice_of("a: \"\\0\"\n"), NULL, NULL, &tree, &err),
                     OW_BAD_CONFIG);
    assert_string_equal(err.text, "t.yaml:1: a: a text with a NUL character");
}

static void line__of_a_path__is_its_own_or_its_parents(void **state)
{
    (void)state;
    struct ow_tree tree = parse("a:\n  b/c:\n    - 1\n    - x: 2\n");
    assert_int_equal(ow_tree_line(&tree, "/a"), 1);
    assert_int_equal(ow_tree_line(&tree, "/a/b~1c"), 2);
    assert_int_equal(ow_tree_line(&tree, "/a/b~1c/0"), 3);
    assert_int_equal(ow_tree_line(&tree, "/a/b~1c/1/x"), 4);
    assert_int_equal(ow_tree_line(&tree, "/a/b~1c/1/nope/deeper"), 4);
    assert_int_equal(ow_tree_line(&tree, "/nope"), 0);
    struct ow_err err;
    assert_int_equal(ow_tree_fail(&tree, "/a/b~1c", &err, "is %s", "wrong"), OW_BAD_CONFIG);
    assert_string_equal(err.text, "test.yaml:2: a.b/c: is wrong");
    ow_tree_done(&tree);
}

static void scalar__almost_a_number__is_a_text(void **state)
{
    (void)state;
    is_read_as("a: +\nb: 1e\nc: 1e+\nd: .\ne: -.\nf: 1.5x\ng: 0x\nh: 0xG\ni: 0o8\nj: 1x\nk: 0b1\n",
               "{\"a\":\"+\",\"b\":\"1e\",\"c\":\"1e+\",\"d\":\".\",\"e\":\"-.\",\"f\":\"1.5x\","
               "\"g\":\"0x\",\"h\":\"0xG\",\"i\":\"0o8\",\"j\":\"1x\",\"k\":\"0b1\"}");
    is_read_as("a: 1.\nb: -1.25E-2\nc: 0xaF\nd: 0x7FFFFFFFFFFFFFFF\ne: -9223372036854775808\n",
               "{\"a\":1.0,\"b\":-0.0125,\"c\":175,\"d\":9223372036854775807,"
               "\"e\":-9223372036854775808}");
}

static void number__of_over_127_characters__is_refused(void **state)
{
    (void)state;
    char text[256];
    (void)snprintf(text, sizeof text, "a: 0.%0125d\n", 1);
    struct ow_tree tree = parse(text);
    assert_true(json_is_real(json_object_get(tree.root, "a")));
    ow_tree_done(&tree);
    (void)snprintf(text, sizeof text, "a: 0.%0126d\n", 1);
    refuses(text, "test.yaml:1: a: a number of over 127 characters");
    refuses("a: 0x8000000000000000\n",
            "test.yaml:1: a: an integer beyond 64 bits (quote it if it is a text)");
    refuses("a: 0x10000000000000000\n",
            "test.yaml:1: a: an integer beyond 64 bits (quote it if it is a text)");
}

static void variable__name__is_of_letters_digits_and_underscores(void **state)
{
    (void)state;
    is_read_as("a: ${_x9Z:d}\nb: $\nc: '$${'\nd: ${A:${B}\n",
               "{\"a\":\"d\",\"b\":\"$\",\"c\":\"${\",\"d\":\"${B\"}");
    static const char form[] =
        "test.yaml:1: a: a variable is written ${NAME} or ${NAME:default} ($${ stands for ${)";
    refuses("a: ${}\n", form);
    refuses("a: ${:7}\n", form);
    refuses("a: ${A\n", form);
    refuses("a: ${A`}\n", form);
    refuses("a: ${A[}\n", form);
    char text[300];
    (void)snprintf(text, sizeof text, "a: ${%0255d:d}\n", 0);
    is_read_as(text, "{\"a\":\"d\"}");
    (void)snprintf(text, sizeof text, "a: ${%0256d:d}\n", 0);
    refuses(text, form);
}

static void key__with_pointer_signs__is_named_as_it_was_written(void **state)
{
    (void)state;
    refuses("a~b/c:\n  d: 1\n  d: 2\n", "test.yaml:3: a~b/c.d: this key comes twice");
    refuses("\"a\\0b\": 1\n", "test.yaml:1: a: a key with a NUL character");
    struct ow_arena arena;
    ow_arena_init(&arena, 256);
    assert_string_equal(ow_tree_path(&arena, "/x", "a~b/c"), "/x/a~0b~1c");
    ow_arena_done(&arena);
    struct ow_tree tree = parse("x: { a~1b: 1 }\n");
    struct ow_err err;
    assert_int_equal(ow_tree_line(&tree, "/x/a~01b"), 1);
    (void)ow_tree_fail(&tree, "/x/a~01b", &err, "is wrong");
    assert_string_equal(err.text, "test.yaml:1: x.a~1b: is wrong");
    (void)ow_tree_fail(&tree, "/x/a~2~", &err, "is wrong"); /* no escapes: as it stands */
    assert_string_equal(err.text, "test.yaml:1: x.a~2~: is wrong");
    ow_tree_set_line(&tree, "/set", OW_TREE_LINE_SET);
    (void)ow_tree_fail(&tree, "/set", &err, "is wrong");
    assert_string_equal(err.text, "--set: set: is wrong");
    (void)ow_tree_fail(&tree, "", &err, "is wrong");
    assert_string_equal(err.text, "test.yaml: is wrong");
    ow_tree_done(&tree);
}

static void tags_of_collections__are_refused(void **state)
{
    (void)state;
    refuses("a: !!seq [1]\n", "test.yaml:1: a: anchors and tags are not supported");
    refuses("a: !!map {b: 1}\n", "test.yaml:1: a: anchors and tags are not supported");
    refuses("? {b: 1}\n: 2\n", "test.yaml:1: a key must be a text");
}

static void root__that_is_null__is_an_empty_map(void **state)
{
    (void)state;
    is_read_as("---\n", "{}");
    is_read_as("null\n", "{}");
    is_read_as("~\n...\n", "{}");
    refuses("---\n---\na: 1\n", "test.yaml:2: a second document: one file holds one");
}

static void text__of_more_than_1_mib__is_refused(void **state)
{
    (void)state;
    const size_t limit = (size_t)1 << 20;
    char *const text = malloc(limit + 1);
    assert_non_null(text);
    memset(text, ' ', limit + 1);
    text[0] = '#'; /* one long comment */
    struct ow_tree tree;
    struct ow_err err;
    const struct ow_slice fits = {(const uint8_t *)text, limit};
    const struct ow_slice larger = {(const uint8_t *)text, limit + 1};
    assert_int_equal(ow_tree_parse("t", fits, NULL, NULL, &tree, &err), OW_OK);
    ow_tree_done(&tree);
    assert_int_equal(ow_tree_parse("t", larger, NULL, NULL, &tree, &err), OW_BAD_CONFIG);
    assert_string_equal(err.text, "t: larger than 1 MiB");
    free(text);
}

int ow_test_tree(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalar__plain__gets_the_core_schemas_type),
        cmocka_unit_test(scalar__of_older_yaml__is_a_text),
        cmocka_unit_test(scalar__quoted__is_a_text),
        cmocka_unit_test(json__is_read_like_yaml),
        cmocka_unit_test(file__empty__is_an_empty_map),
        cmocka_unit_test(variable__is_replaced_before_the_scalar_gets_its_type),
        cmocka_unit_test(variable__with_yaml_in_it__stays_one_text),
        cmocka_unit_test(variable__escaped__stays_as_it_is),
        cmocka_unit_test(variable__unknown_or_broken__is_refused),
        cmocka_unit_test(variable__without_a_function__is_a_text),
        cmocka_unit_test(key__twice__is_refused),
        cmocka_unit_test(anchors_aliases_tags__are_refused),
        cmocka_unit_test(documents__several__are_refused),
        cmocka_unit_test(root__that_is_no_map__is_refused),
        cmocka_unit_test(key__that_is_a_collection__is_refused),
        cmocka_unit_test(number__beyond_its_type__is_refused),
        cmocka_unit_test(nesting__of_more_than_32_levels__is_refused),
        cmocka_unit_test(syntax__broken__names_the_line),
        cmocka_unit_test(line__of_a_path__is_its_own_or_its_parents),
        cmocka_unit_test(scalar__almost_a_number__is_a_text),
        cmocka_unit_test(number__of_over_127_characters__is_refused),
        cmocka_unit_test(variable__name__is_of_letters_digits_and_underscores),
        cmocka_unit_test(key__with_pointer_signs__is_named_as_it_was_written),
        cmocka_unit_test(tags_of_collections__are_refused),
        cmocka_unit_test(root__that_is_null__is_an_empty_map),
        cmocka_unit_test(text__of_more_than_1_mib__is_refused),
    };
    return cmocka_run_group_tests_name("tree", tests, NULL, NULL);
}
