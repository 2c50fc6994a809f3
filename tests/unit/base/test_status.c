#include "base/status.h"
#include "groups.h"

#include <string.h>

static void status__each__has_text_action_and_exit_code(void **state)
{
    (void)state;
    static const struct {
        enum ow_status status;
        enum ow_action action;
        int exit_code;
    } rows[] = {
        {OW_OK,             OW_ACTION_NONE,       0 },
        {OW_FAILED,         OW_ACTION_STOP,       1 },
        {OW_BAD_CONFIG,     OW_ACTION_STOP,       2 },
        {OW_DIFFERENT,      OW_ACTION_STOP,       3 },
        {OW_UNSAFE,         OW_ACTION_STOP,       4 },
        {OW_TEMPORARY,      OW_ACTION_STOP,       75},
        {OW_STORE_UNKNOWN,  OW_ACTION_STOP,       75},
        {OW_STORE_FULL,     OW_ACTION_RETRY,      75},
        {OW_RECORD_REFUSED, OW_ACTION_QUARANTINE, 1 },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(strlen(ow_status_text(rows[i].status)) > 0);
        assert_int_equal(ow_status_action(rows[i].status), rows[i].action);
        assert_int_equal(ow_status_exit_code(rows[i].status), rows[i].exit_code);
    }
}

static void fail__writes_the_text_and_gives_the_status_back(void **state)
{
    (void)state;
    struct ow_err err;
    assert_int_equal(ow_fail(&err, OW_UNSAFE, "cannot open '%s'", "x"), OW_UNSAFE);
    assert_string_equal(err.text, "cannot open 'x'");
    assert_int_equal(ow_fail_within(&err, OW_FAILED, "%s[%d]", "topic", 3), OW_FAILED);
    assert_string_equal(err.text, "topic[3]: cannot open 'x'");
}

static void fail__a_text_that_is_too_long__is_cut(void **state)
{
    (void)state;
    struct ow_err err;
    (void)ow_fail(&err, OW_FAILED, "%02000d", 1);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
    (void)ow_fail_within(&err, OW_FAILED, "%02000d", 1);
    assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static enum ow_status try_it(enum ow_status status, int *steps)
{
    OW_TRY(status);
    (*steps)++;
    return OW_OK;
}

static void try__returns_what_is_not_ok(void **state)
{
    (void)state;
    int steps = 0;
    assert_int_equal(try_it(OW_OK, &steps), OW_OK);
    assert_int_equal(try_it(OW_TEMPORARY, &steps), OW_TEMPORARY);
    assert_int_equal(steps, 1);
}

int ow_test_status(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(status__each__has_text_action_and_exit_code),
        cmocka_unit_test(fail__writes_the_text_and_gives_the_status_back),
        cmocka_unit_test(fail__a_text_that_is_too_long__is_cut),
        cmocka_unit_test(try__returns_what_is_not_ok),
    };
    return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
