/*
 * Values for the events that are tried. What is compared with `equals`, or set from one another,
 * gets the same value, so that the plain events of a machine fit together: columns and pointers are
 * put into groups, each with one range. What the machine asks beyond that is prove_fit.c's to meet.
 */
#include "model/prove_guess.h"

struct group {
    size_t parent; /* itself: a group of its own */
    int64_t min, max, length_min, length_max;
    enum ow_type type;
    struct ow_value fixed; /* a constant that it is compared with */
    struct ow_value hint;  /* a constant that a column is set to */
    bool set_by_pointer;
    struct ow_value chosen[2]; /* the usual and the other value that prove_fit.c has laid down */
};

struct ow_prove_guess {
    const struct ow_machine *machine;
    struct ow_arena *arena;
    struct group *groups; /* columns, then the needs of each event type */
    size_t *first;        /* by event type */
};

enum { USUAL_INTEGER = 10, USUAL_LENGTH = 3 };

static size_t root_of(const struct ow_prove_guess *guess, size_t i)
{
    while (guess->groups[i].parent != i) {
        i = guess->groups[i].parent;
    }
    return i;
}

static bool is_place(const struct ow_operand *operand)
{
    return operand->kind == OW_OPERAND_COLUMN || operand->kind == OW_OPERAND_POINTER;
}

static size_t place_of(const struct ow_prove_guess *guess, const struct ow_event_type *type,
                       const struct ow_operand *operand)
{
    const size_t base = operand->kind == OW_OPERAND_COLUMN ? 0 : guess->first[type->index];
    return root_of(guess, base + operand->index);
}

static void narrow(struct group *group, const struct group *by)
{
    group->min = by->min > group->min ? by->min : group->min;
    group->max = by->max < group->max ? by->max : group->max;
    group->length_min = by->length_min > group->length_min ? by->length_min : group->length_min;
    group->length_max = by->length_max < group->length_max ? by->length_max : group->length_max;
    group->type = group->type == OW_TYPE_NULL ? by->type : group->type;
    group->fixed = group->fixed.type == OW_TYPE_NULL ? by->fixed : group->fixed;
    group->hint = group->hint.type == OW_TYPE_NULL ? by->hint : group->hint;
    group->set_by_pointer = group->set_by_pointer || by->set_by_pointer;
}

static void join(struct ow_prove_guess *guess, size_t a, size_t b)
{
    if (a != b) {
        guess->groups[b].parent = a;
        narrow(&guess->groups[a], &guess->groups[b]);
    }
}

/* A comparison of a place with a constant. */
static void compare_constant(struct group *group, enum ow_comparison comparison,
                             const struct ow_value *constant)
{
    if (comparison == OW_COMPARE_EQUALS) {
        group->fixed = *constant;
    } else if (constant->type == OW_TYPE_INTEGER && comparison == OW_COMPARE_AT_MOST) {
        group->max = constant->integer < group->max ? constant->integer : group->max;
    } else if (constant->type == OW_TYPE_INTEGER) {
        group->min = constant->integer > group->min ? constant->integer : group->min;
    }
}

/* The comparison that says the same with its sides the other way round. */
static enum ow_comparison turn(enum ow_comparison comparison)
{
    switch (comparison) {
    case OW_COMPARE_AT_MOST:
        return OW_COMPARE_AT_LEAST;
    case OW_COMPARE_AT_LEAST:
        return OW_COMPARE_AT_MOST;
    case OW_COMPARE_EQUALS:
        break;
    }
    return OW_COMPARE_EQUALS;
}

static void use_requirement(struct ow_prove_guess *guess, const struct ow_event_type *type,
                            const struct ow_requirement *requirement)
{
    const struct ow_operand *left = &requirement->left;
    const struct ow_operand *right = &requirement->right;
    enum ow_comparison comparison = requirement->comparison;
    if (left->kind == OW_OPERAND_CONSTANT) {
        left = &requirement->right;
        right = &requirement->left;
        comparison = turn(comparison);
    }
    if (is_place(left) && is_place(right) && comparison == OW_COMPARE_EQUALS) {
        join(guess, place_of(guess, type, left), place_of(guess, type, right));
    } else if (is_place(left) && right->kind == OW_OPERAND_CONSTANT) {
        compare_constant(&guess->groups[place_of(guess, type, left)], comparison, &right->constant);
    }
}

static void use_transition(struct ow_prove_guess *guess, const struct ow_event_type *type,
                           const struct ow_transition *transition)
{
    for (size_t i = 0; i < transition->requirement_count; i++) {
        use_requirement(guess, type, &transition->requirements[i]);
    }
    for (size_t i = 0; i < transition->set_count; i++) {
        const struct ow_operand *const operand = &transition->sets[i].operand;
        const size_t column = root_of(guess, transition->sets[i].column);
        if (operand->kind == OW_OPERAND_CONSTANT) {
            guess->groups[column].hint = operand->constant;
        } else if (operand->kind == OW_OPERAND_POINTER) {
            guess->groups[column].set_by_pointer = true;
            join(guess, column, place_of(guess, type, operand));
        }
    }
}

static struct group group_of_need(const struct ow_need *need)
{
    struct group group = {
        .min = -OW_INTEGER_MAX, .max = OW_INTEGER_MAX, .length_max = INT64_MAX, .type = need->type};
    for (size_t i = 0; i < need->range_count; i++) {
        const struct ow_column *const column = need->ranges[i];
        narrow(&group, &(struct group){.min = column->min,
                                       .max = column->max,
                                       .length_min = column->length_min,
                                       .length_max = column->length_max});
    }
    return group;
}

struct ow_prove_guess *ow_prove_guess_new(struct ow_prove *prove)
{
    const struct ow_machine *const machine = prove->machine;
    struct ow_prove_guess *const guess = OW_ARENA_NEW(prove->arena, struct ow_prove_guess);
    *guess = (struct ow_prove_guess){.machine = machine, .arena = prove->arena};
    guess->first = OW_ARENA_ARRAY(prove->arena, machine->event_count, size_t);
    size_t count = machine->entity.column_count;
    for (size_t i = 0; i < machine->event_count; i++) {
        guess->first[i] = count;
        count += machine->events[i].need_count;
    }
    guess->groups = OW_ARENA_ARRAY(prove->arena, count, struct group);
    for (size_t i = 0; i < machine->entity.column_count; i++) {
        guess->groups[i] = group_of_need(&(struct ow_need){.type = OW_TYPE_NULL});
    }
    for (size_t i = 0; i < machine->event_count; i++) {
        for (size_t j = 0; j < machine->events[i].need_count; j++) {
            guess->groups[guess->first[i] + j] = group_of_need(&machine->events[i].needs[j]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        guess->groups[i].parent = i;
    }
    for (size_t i = 0; i < machine->event_count; i++) {
        for (size_t j = 0; j < machine->events[i].transition_count; j++) {
            use_transition(guess, &machine->events[i], &machine->events[i].transitions[j]);
        }
    }
    return guess;
}

static struct ow_value integer_of(const struct group *group, bool other)
{
    int64_t usual = group->fixed.type == OW_TYPE_INTEGER ? group->fixed.integer : USUAL_INTEGER;
    usual = usual < group->min ? group->min : usual;
    usual = usual > group->max ? group->max : usual;
    usual = group->chosen[0].type == OW_TYPE_INTEGER ? group->chosen[0].integer : usual;
    if (!other) {
        return ow_value_integer(usual);
    }
    if (usual < group->max || group->fixed.type == OW_TYPE_INTEGER) {
        return ow_value_integer(usual + 1);
    }
    return usual > group->min ? ow_value_integer(usual - 1) : OW_VALUE_NULL;
}

static struct ow_value text_of(const struct group *group, struct ow_arena *arena, bool other)
{
    int64_t length = USUAL_LENGTH;
    length = length < group->length_min ? group->length_min : length;
    length = length > group->length_max ? group->length_max : length;
    uint8_t *const text = ow_arena_alloc(arena, (size_t)length + 1);
    memset(text, other ? 'b' : 'a', (size_t)length);
    return ow_value_text((struct ow_slice){text, (size_t)length});
}

static bool fits(const struct group *group, const struct ow_value *value)
{
    if (value->type == OW_TYPE_TEXT) {
        const int64_t length = (int64_t)ow_slice_characters(value->text);
        return length >= group->length_min && length <= group->length_max;
    }
    return value->type == OW_TYPE_INTEGER && value->integer >= group->min &&
           value->integer <= group->max;
}

struct ow_value ow_prove_guess_value(const struct ow_prove_guess *guess,
                                     const struct ow_event_type *type, size_t need, bool other)
{
    const struct group *const group =
        &guess->groups[root_of(guess, guess->first[type->index] + need)];
    if (group->chosen[other].type != OW_TYPE_NULL) {
        return group->chosen[other];
    }
    if (!other && group->fixed.type == OW_TYPE_TEXT && fits(group, &group->fixed)) {
        return group->fixed;
    }
    if (!other && !group->set_by_pointer && fits(group, &group->hint)) {
        return group->hint;
    }
    return group->type == OW_TYPE_TEXT ? text_of(group, guess->arena, other)
                                       : integer_of(group, other);
}

struct ow_value *ow_prove_guess_choice(struct ow_prove_guess *guess,
                                       const struct ow_event_type *type, size_t need)
{
    return guess->groups[root_of(guess, guess->first[type->index] + need)].chosen;
}
