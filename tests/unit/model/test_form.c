/* The forms of machine_form.h, each at its edges: what is just right, and what is just wrong. */
#include "groups.h"
#include "model/machine_form.h"

#include <string.h>

static const char *text_of(char letter, size_t len)
{
    static char text[256];
    assert_true(len < sizeof text);
    memset(text, letter, len);
    text[len] = '\0';
    return text;
}

static void takes(const struct ow_option_form *form, const char *text)
{
    if (!form->is_form(ow_slice_of(text))) {
        fail_msg("'%s' is refused as %s", text, form->says);
    }
}

static void refuses(const struct ow_option_form *form, const char *text)
{
    if (form->is_form(ow_slice_of(text))) {
        fail_msg("'%s' passes as %s", text, form->says);
    }
}

/* Words that a form takes, then words that it refuses; each list ends with NULL. */
static void judges(const struct ow_option_form *form, const char *const *right,
                   const char *const *wrong)
{
    for (size_t i = 0; right[i] != NULL; i++) {
        takes(form, right[i]);
    }
    for (size_t i = 0; wrong[i] != NULL; i++) {
        refuses(form, wrong[i]);
    }
}

#define WORDS(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void machine__letters_digits_and_two_signs__begin_with_a_letter(void **state)
{
    (void)state;
    judges(&ow_form_machine, WORDS("a", "Z", "a1_-", "AZaz09"),
           WORDS("", "1a", "_a", "-a", "a.b", "a b", "\xc3\xa4", "a{", "a@", "a`", "a["));
    takes(&ow_form_machine, text_of('a', 63));
    refuses(&ow_form_machine, text_of('a', 64));
}

static void table__is_an_sql_name_that_is_not_ours(void **state)
{
    (void)state;
    judges(
        &ow_form_table, WORDS("a", "_", "_1", "a_9", "ow", "owx", "sqlite", "my_ow_x"),
        WORDS("", "1a", "A", "aB", "a-b", "a{", "a`", "a/", "ow_", "ow_x", "sqlite_", "sqlite_x"));
    takes(&ow_form_table, text_of('z', 63));
    refuses(&ow_form_table, text_of('z', 64));
}

static void column__is_a_name_that_no_table_has_of_itself(void **state)
{
    (void)state;
    judges(&ow_form_column, WORDS("a", "states", "seq_", "versions"),
           WORDS("", "A", "ow_x", "sqlite_x"));
    for (size_t i = 0; ow_form_reserved_columns[i] != NULL; i++) {
        refuses(&ow_form_column, ow_form_reserved_columns[i]);
        takes(&ow_form_table, ow_form_reserved_columns[i]); /* it is the meaning, not the form */
    }
}

static void state__is_a_name_other_than_none_and_same(void **state)
{
    (void)state;
    judges(&ow_form_state, WORDS("a", "a.b", "A-1_x", "None", "samed"),
           WORDS("", "1", ".a", "a b", "none", "same"));
    takes(&ow_form_state, text_of('s', 63));
    refuses(&ow_form_state, text_of('s', 64));
}

static void type__is_any_text_that_is_not_empty(void **state)
{
    (void)state;
    judges(&ow_form_type, WORDS("a", " ", "payment.succeeded/v2"), WORDS(""));
}

static void topic__is_what_kafka_takes(void **state)
{
    (void)state;
    judges(&ow_form_topic, WORDS("a", "...", "a.b_c-9", ".a", "-"),
           WORDS("", ".", "..", "a/b", "a b", "\xc3\xa4"));
    takes(&ow_form_topic, text_of('t', 249));
    refuses(&ow_form_topic, text_of('t', 250));
}

static void pointer__is_rfc_6901_but_not_the_whole_document(void **state)
{
    (void)state;
    judges(&ow_form_pointer, WORDS("/", "//", "/a/b", "/a~0b~1", "/~1", "/0"),
           WORDS("", "a", "#/a", "/~", "/a~", "/a~2", "/~/a"));
}

static void part__is_an_attribute_or_a_place(void **state)
{
    (void)state;
    judges(&ow_form_part,
           WORDS("type", "source", "id", "time", "subject", "entity", "key", "header:x", "/a"),
           WORDS("", "types", "header:", "header", "Header:x", "data", "a/b"));
    judges(&ow_form_place, WORDS("key", "header:x", "header::", "/a"),
           WORDS("", "keys", "header:", "subject", "type", "/~"));
    judges(&ow_form_entity, WORDS("subject", "key", "header:x", "/a"),
           WORDS("", "id", "entity", "header:", "subjects"));
}

int ow_test_form(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(machine__letters_digits_and_two_signs__begin_with_a_letter),
        cmocka_unit_test(table__is_an_sql_name_that_is_not_ours),
        cmocka_unit_test(column__is_a_name_that_no_table_has_of_itself),
        cmocka_unit_test(state__is_a_name_other_than_none_and_same),
        cmocka_unit_test(type__is_any_text_that_is_not_empty),
        cmocka_unit_test(topic__is_what_kafka_takes),
        cmocka_unit_test(pointer__is_rfc_6901_but_not_the_whole_document),
        cmocka_unit_test(part__is_an_attribute_or_a_place),
    };
    return cmocka_run_group_tests_name("form", tests, NULL, NULL);
}
