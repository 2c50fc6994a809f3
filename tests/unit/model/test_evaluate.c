#include "groups.h"
#include "model/evaluate.h"

/* An entity with the columns n (0 to 100), text (1 to 3 characters), empty (an integer, nothing
 * yet). */
static const struct ow_column columns[] = {
    {.name = "n",    .type = OW_TYPE_INTEGER, .min = 0, .max = 100, .length_max = INT64_MAX},
    {.name = "text",
     .type = OW_TYPE_TEXT,
     .min = INT64_MIN,
     .max = INT64_MAX,
     .length_min = 1,
     .length_max = 3},
    {.name = "empty",
     .type = OW_TYPE_INTEGER,
     .min = INT64_MIN,
     .max = INT64_MAX,
     .length_max = INT64_MAX                                                                      },
};
static const struct ow_machine machine = {
    .entity = {.name = "things", .columns = columns, .column_count = 3}
};
static struct ow_value entity_values[3];
static struct ow_value event_values[2]; /* pointers 0 (an integer) and 1 (a text) */
static struct ow_entity entity = {.machine = &machine, .columns = entity_values};
static struct ow_event event = {.values = event_values};

enum { N, TEXT, EMPTY };

static int start(void **state)
{
    (void)state;
    entity_values[N] = ow_value_integer(40);
    entity_values[TEXT] = ow_value_text(OW_SLICE("abc"));
    entity_values[EMPTY] = OW_VALUE_NULL;
    event_values[0] = ow_value_integer(7);
    event_values[1] = ow_value_text(OW_SLICE("\xe2\x82\xac\xe2\x82\xac"));
    return 0;
}

static struct ow_operand column(size_t index)
{
    return (struct ow_operand){.kind = OW_OPERAND_COLUMN, .index = index};
}

static struct ow_operand pointer(size_t index)
{
    return (struct ow_operand){.kind = OW_OPERAND_POINTER, .index = index};
}

static struct ow_operand integer(int64_t value)
{
    return (struct ow_operand){.kind = OW_OPERAND_CONSTANT, .constant = ow_value_integer(value)};
}

static struct ow_operand sum(const struct ow_operand *terms, size_t count)
{
    return (struct ow_operand){.kind = OW_OPERAND_SUM, .terms = terms, .term_count = count};
}

static void assert_value(struct ow_operand operand, struct ow_value expected)
{
    const struct ow_value got = ow_evaluate(&operand, &event, &entity);
    assert_true(ow_value_equal(&got, &expected));
}

static void evaluate__each_operand(void **state)
{
    (void)state;
    assert_value(column(N), ow_value_integer(40));
    assert_value(column(EMPTY), OW_VALUE_NULL);
    assert_value(pointer(0), ow_value_integer(7));
    assert_value(integer(-3), ow_value_integer(-3));
    const struct ow_operand terms[] = {column(N), pointer(0), integer(-3)};
    assert_value(sum(terms, 3), ow_value_integer(44));
}

static void evaluate__a_sum_with_nothing_in_it_or_beyond_64_bits__is_nothing(void **state)
{
    (void)state;
    const struct ow_operand with_null[] = {column(N), column(EMPTY)};
    assert_value(sum(with_null, 2), OW_VALUE_NULL);
    const struct ow_operand too_large[] = {integer(INT64_MAX), integer(1)};
    assert_value(sum(too_large, 2), OW_VALUE_NULL);
    const struct ow_operand with_text[] = {column(N), column(TEXT)};
    assert_value(sum(with_text, 2), OW_VALUE_NULL);
}

static bool holds(struct ow_operand left, enum ow_comparison comparison, struct ow_operand right)
{
    const struct ow_requirement requirement = {
        .left = left, .comparison = comparison, .right = right};
    const struct ow_transition transition = {.requirements = &requirement, .requirement_count = 1};
    return ow_evaluate_requirements(&transition, &event, &entity) == NULL;
}

static void requirement__each_comparison_at_its_edge(void **state)
{
    (void)state;
    assert_true(holds(column(N), OW_COMPARE_EQUALS, integer(40)));
    assert_false(holds(column(N), OW_COMPARE_EQUALS, integer(41)));
    assert_true(holds(column(N), OW_COMPARE_AT_MOST, integer(40)));
    assert_false(holds(column(N), OW_COMPARE_AT_MOST, integer(39)));
    assert_true(holds(column(N), OW_COMPARE_AT_LEAST, integer(40)));
    assert_false(holds(column(N), OW_COMPARE_AT_LEAST, integer(41)));
    assert_true(holds(column(TEXT), OW_COMPARE_EQUALS, column(TEXT)));
    assert_false(holds(column(TEXT), OW_COMPARE_EQUALS, pointer(1)));
}

static void requirement__nothing_or_another_type__never_holds(void **state)
{
    (void)state;
    assert_false(holds(column(EMPTY), OW_COMPARE_EQUALS, column(EMPTY)));
    assert_false(holds(column(EMPTY), OW_COMPARE_AT_MOST, integer(1)));
    assert_false(holds(column(N), OW_COMPARE_EQUALS, column(TEXT)));
    assert_false(holds(column(TEXT), OW_COMPARE_AT_MOST, column(TEXT)));
}

static void requirements__the_first_that_does_not_hold__is_named(void **state)
{
    (void)state;
    const struct ow_requirement requirements[] = {
        {.left = integer(1), .comparison = OW_COMPARE_EQUALS, .right = integer(1)},
        {.left = integer(1), .comparison = OW_COMPARE_EQUALS, .right = integer(2)},
        {.left = integer(1), .comparison = OW_COMPARE_EQUALS, .right = integer(3)},
    };
    const struct ow_transition transition = {.requirements = requirements, .requirement_count = 3};
    assert_ptr_equal(ow_evaluate_requirements(&transition, &event, &entity), &requirements[1]);
}

static void columns__set_and_add__see_the_entity_as_it_was(void **state)
{
    (void)state;
    const struct ow_assignment sets[] = {
        {.column = EMPTY, .operand = column(N) },
        {.column = TEXT,  .operand = pointer(1)}
    };
    const struct ow_assignment adds[] = {
        {.column = N, .operand = pointer(0)},
        {.column = N, .operand = column(N) }
    };
    const struct ow_transition transition = {
        .sets = sets, .set_count = 2, .adds = adds, .add_count = 2};
    struct ow_value after[3];
    assert_null(ow_evaluate_columns(&transition, &event, &entity, after));
    assert_int_equal(after[N].integer, 87);
    assert_true(ow_slice_equal(after[TEXT].text, event_values[1].text));
    assert_int_equal(after[EMPTY].integer, 40);
    assert_int_equal(entity_values[N].integer, 40);
}

static void columns__outside_the_declared_range__is_named(void **state)
{
    (void)state;
    struct ow_value after[3];
    const struct {
        size_t column;
        struct ow_operand operand;
        bool add;
        bool good;
    } cases[] = {
        {N,     integer(60),                 true,  true },
        {N,     integer(61),                 true,  false},
        {N,     integer(-40),                true,  true },
        {N,     integer(-41),                true,  false},
        {N,     integer(INT64_MAX),          true,  false},
        {N,     integer(100),                false, true },
        {N,     integer(101),                false, false},
        {N,     column(EMPTY),               false, false},
        {EMPTY, integer(OW_INTEGER_MAX),     true,  true }, /* nothing yet counts as 0 */
        {EMPTY, integer(OW_INTEGER_MAX + 1), true,  false},
        {EMPTY, column(EMPTY),               true,  false},
        {TEXT,  pointer(1),                  false, true }, /* two characters in six bytes */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct ow_assignment assignment = {.column = cases[i].column,
                                                 .operand = cases[i].operand};
        const struct ow_transition transition = {.sets = &assignment,
                                                 .set_count = cases[i].add ? 0 : 1,
                                                 .adds = &assignment,
                                                 .add_count = cases[i].add ? 1 : 0};
        const struct ow_column *outside = ow_evaluate_columns(&transition, &event, &entity, after);
        if (outside != (cases[i].good ? NULL : &columns[cases[i].column])) {
            fail_msg("case %zu", i);
        }
    }
}

static void row_equal__same_table_key_and_values__and_nothing_less(void **state)
{
    (void)state;
    static const struct ow_column row_columns[] = {{.name = "a"}, {.name = "b"}};
    static const struct ow_table table = {
        .name = "rows", .key = "k", .columns = row_columns, .column_count = 2};
    static const struct ow_table other = {
        .name = "others", .key = "k", .columns = row_columns, .column_count = 2};
    const struct ow_operand operands[] = {pointer(0), column(TEXT)};
    const struct ow_recording recording = {.table = &table, .key = pointer(1), .columns = operands};
    struct ow_value values[] = {ow_value_integer(7), ow_value_text(OW_SLICE("abc"))};
    struct ow_row row = {.table = &table, .key = event_values[1].text, .columns = values};
    assert_true(ow_evaluate_row_equal(&recording, &row, &event, &entity));
    values[0].integer = 8;
    assert_false(ow_evaluate_row_equal(&recording, &row, &event, &entity));
    values[0].integer = 7;
    row.key = OW_SLICE("x");
    assert_false(ow_evaluate_row_equal(&recording, &row, &event, &entity));
    row.key = event_values[1].text;
    row.table = &other;
    assert_false(ow_evaluate_row_equal(&recording, &row, &event, &entity));
}

static void requirement__nothing_on_the_right__never_holds(void **state)
{
    (void)state;
    assert_false(holds(integer(1), OW_COMPARE_EQUALS, column(EMPTY)));
    assert_false(holds(integer(1), OW_COMPARE_AT_LEAST, column(EMPTY)));
    assert_false(holds(column(TEXT), OW_COMPARE_AT_LEAST, column(TEXT)));
}

/* Whether the column takes the constant. */
static bool takes(size_t index, struct ow_value value)
{
    const struct ow_assignment set = {
        .column = index, .operand = {.kind = OW_OPERAND_CONSTANT, .constant = value}
    };
    const struct ow_transition transition = {.sets = &set, .set_count = 1};
    struct ow_value out[3];
    return ow_evaluate_columns(&transition, &event, &entity, out) == NULL;
}

static void columns__a_set_value__is_held_to_both_ends_of_the_range(void **state)
{
    (void)state;
    assert_false(takes(N, ow_value_integer(-1)));
    assert_true(takes(N, ow_value_integer(0)));
    assert_true(takes(N, ow_value_integer(100)));
    assert_false(takes(N, ow_value_integer(101)));
    assert_false(takes(TEXT, ow_value_text(OW_SLICE(""))));
    assert_true(takes(TEXT, ow_value_text(OW_SLICE("x"))));
    assert_true(takes(TEXT, ow_value_text(OW_SLICE("\xc3\xa4\xc3\xb6\xc3\xbc"))));
    assert_false(takes(TEXT, ow_value_text(OW_SLICE("wxyz"))));
    assert_true(takes(EMPTY, ow_value_integer(OW_INTEGER_MAX)));
    assert_false(takes(EMPTY, ow_value_integer(OW_INTEGER_MAX + 1)));
    assert_true(takes(EMPTY, ow_value_integer(-OW_INTEGER_MAX)));
    assert_false(takes(EMPTY, ow_value_integer(-OW_INTEGER_MAX - 1)));
    assert_false(takes(N, OW_VALUE_NULL));
}

int ow_test_evaluate(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(evaluate__each_operand, start),
        cmocka_unit_test_setup(evaluate__a_sum_with_nothing_in_it_or_beyond_64_bits__is_nothing,
                               start),
        cmocka_unit_test_setup(requirement__each_comparison_at_its_edge, start),
        cmocka_unit_test_setup(requirement__nothing_or_another_type__never_holds, start),
        cmocka_unit_test_setup(requirements__the_first_that_does_not_hold__is_named, start),
        cmocka_unit_test_setup(columns__set_and_add__see_the_entity_as_it_was, start),
        cmocka_unit_test_setup(columns__outside_the_declared_range__is_named, start),
        cmocka_unit_test_setup(row_equal__same_table_key_and_values__and_nothing_less, start),
        cmocka_unit_test(requirement__nothing_on_the_right__never_holds),
        cmocka_unit_test(columns__a_set_value__is_held_to_both_ends_of_the_range),
    };
    return cmocka_run_group_tests_name("evaluate", tests, NULL, NULL);
}
