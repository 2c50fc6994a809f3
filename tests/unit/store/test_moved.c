/* A store whose file is not where it was opened is written no more: nobody would find what it
 * holds.
 */
#include "groups.h"
#include "store/internal.h"
#include "support/store/store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static const char data[] = "\"amount\":1,\"currency\":\"EUR\"";

static void begin_is_refused(struct ow_fixture *fixture)
{
    struct ow_world world = {.next_ref = 0};
    assert_int_equal(ow_store_begin(fixture->store, &world, &fixture->err), OW_UNSAFE);
    assert_non_null(strstr(fixture->err.text, "was moved, deleted or replaced"));
    ow_store_rollback(fixture->store);
}

static void store_begin__file_was_renamed_and_put_back__goes_on(void **state)
{
    struct ow_fixture *fixture = *state;
    char away[192];
    (void)snprintf(away, sizeof(away), "%s.away", fixture->path);
    assert_int_equal(ow_fixture_event(fixture, "e1", "order.created", "o1", data),
                     OW_OUTCOME_APPLIED);
    assert_int_equal(rename(fixture->path, away), 0);
    begin_is_refused(fixture);
    assert_int_equal(rename(away, fixture->path), 0);
    assert_int_equal(ow_fixture_event(fixture, "e1", "order.created", "o1", data),
                     OW_OUTCOME_DUPLICATE);
}

static void store_begin__another_file_lies_there__is_refused_and_leaves_it_alone(void **state)
{
    struct ow_fixture *fixture = *state;
    char text[8] = "";
    assert_int_equal(unlink(fixture->path), 0);
    FILE *other = fopen(fixture->path, "wx");
    assert_non_null(other);
    assert_true(fputs("other", other) >= 0);
    assert_int_equal(fclose(other), 0);
    begin_is_refused(fixture);
    ow_store_close(fixture->store);
    fixture->store = NULL;
    other = fopen(fixture->path, "r");
    assert_non_null(other);
    assert_non_null(fgets(text, sizeof(text), other));
    assert_string_equal(text, "other");
    assert_int_equal(fclose(other), 0);
}

static int start(void **state)
{
    static struct ow_fixture fixture;
    ow_fixture_init(&fixture);
    ow_fixture_open(&fixture);
    *state = &fixture;
    return 0;
}

static int stop(void **state)
{
    ow_fixture_done(*state);
    return 0;
}

int ow_test_moved(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(store_begin__file_was_renamed_and_put_back__goes_on),
        TEST(store_begin__another_file_lies_there__is_refused_and_leaves_it_alone),
    };
#undef TEST
    return cmocka_run_group_tests_name("moved", tests, NULL, NULL);
}
