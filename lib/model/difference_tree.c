#include "base/contract.h"
#include "model/difference_internal.h"

#include <stdio.h>
#include <stdlib.h>

/* Two containers of a kind that stand at the same place, and how far they are compared. */
struct level {
    struct level *parent;
    const json_t *first, *second;
    const char **names; /* objects: the members of both, by bytes; NULL: arrays */
    size_t count, at;   /* at: the next one */
};

static bool is_container(const json_t *value)
{
    return json_is_object(value) || json_is_array(value);
}

/* Of what is no pair of containers. */
static bool is_equal(const json_t *first, const json_t *second)
{
    if (first == NULL || second == NULL || is_container(first) || is_container(second)) {
        return first == second;
    }
    OW_BUFFER left = {0};
    OW_BUFFER right = {0};
    ow_json_canonical(&left, first, NULL, NULL, 0);
    ow_json_canonical(&right, second, NULL, NULL, 0);
    return ow_slice_equal(ow_buffer_view(&left), ow_buffer_view(&right));
}

static struct ow_slice canonical(struct ow_buffer *out, const json_t *value)
{
    if (value == NULL) {
        return (struct ow_slice){0};
    }
    ow_json_canonical(out, value, NULL, NULL, 0);
    return ow_buffer_view(out);
}

static void tell_values(struct ow_differing *differing, struct ow_slice name, const json_t *first,
                        const json_t *second)
{
    OW_BUFFER left = {0};
    OW_BUFFER right = {0};
    ow_difference_text_add(differing, name, canonical(&left, first), canonical(&right, second));
}

/* The step that a level is at, as a pointer has it. */
static struct ow_slice step_of(const struct level *level, char digits[24])
{
    if (level->names != NULL) {
        return ow_slice_of(level->names[level->at - 1]);
    }
    (void)snprintf(digits, 24, "%zu", level->at - 1);
    return ow_slice_of(digits);
}

static size_t depth_of(const struct level *level)
{
    size_t depth = 0;
    for (; level != NULL; level = level->parent) {
        depth++;
    }
    return depth;
}

/* Whether a pointer that goes through base leads to where the levels are. */
static bool leads_here(const struct ow_pointer *pointer, const struct ow_pointer *base,
                       const struct level *level)
{
    if (pointer->step_count != base->step_count + depth_of(level)) {
        return false;
    }
    for (size_t i = pointer->step_count; i > base->step_count; i--, level = level->parent) {
        char digits[24];
        OW_INVARIANT(level != NULL); /* depth_of counted the parents */
        if (!ow_slice_equal(step_of(level, digits), pointer->steps[i - 1])) {
            return false;
        }
    }
    for (size_t i = 0; i < base->step_count; i++) {
        if (!ow_slice_equal(pointer->steps[i], base->steps[i])) {
            return false;
        }
    }
    return true;
}

/* The fingerprint leaves it out, or it is told as the entity id. */
static bool is_left_out(const struct ow_differing *differing, const struct ow_pointer *base,
                        const struct level *level)
{
    for (size_t i = 0; i < differing->rule->ignore_count; i++) {
        if (leads_here(&differing->rule->ignore[i], base, level)) {
            return true;
        }
    }
    return differing->entity != NULL && leads_here(differing->entity, base, level);
}

static struct ow_slice name_of(struct ow_differing *differing, const struct ow_pointer *base,
                               const struct level *level)
{
    OW_BUFFER out = {0};
    const size_t depth = depth_of(level);
    const struct level **const way =
        OW_ARENA_ARRAY(&differing->scratch, depth, const struct level *);
    for (size_t i = depth; i > 0; i--, level = level->parent) {
        way[i - 1] = level;
    }
    ow_buffer_text(&out, base->text);
    for (size_t i = 0; i < depth && out.len <= OW_DIFFERENCE_NAME_BYTES_MAX; i++) {
        char digits[24];
        const struct ow_slice step = step_of(way[i], digits);
        ow_buffer_byte(&out, '/');
        for (size_t k = 0; k < step.len; k++) {
            if (step.ptr[k] == '~' || step.ptr[k] == '/') {
                ow_buffer_text(&out, step.ptr[k] == '~' ? "~0" : "~1");
            } else {
                ow_buffer_byte(&out, step.ptr[k]);
            }
        }
    }
    return ow_arena_copy(&differing->scratch, ow_buffer_view(&out));
}

static int compare_names(const void *a, const void *b)
{
    const char *const *left = a;
    const char *const *right = b;
    return strcmp(*left, *right);
}

static size_t list_names(const char **names, const json_t *object)
{
    size_t count = 0;
    const char *name = NULL;
    json_t *member = NULL;
    json_object_foreach((json_t *)(uintptr_t)object, name, member)
    {
        names[count++] = name;
    }
    return count;
}

static struct level *enter(struct ow_differing *differing, struct level *parent,
                           const json_t *first, const json_t *second)
{
    struct level *const level = OW_ARENA_NEW(&differing->scratch, struct level);
    *level = (struct level){.parent = parent, .first = first, .second = second};
    if (json_is_array(first)) {
        const size_t counts[] = {json_array_size(first), json_array_size(second)};
        level->count = counts[0] > counts[1] ? counts[0] : counts[1];
        return level;
    }
    const size_t most = json_object_size(first) + json_object_size(second);
    level->names = OW_ARENA_ARRAY(&differing->scratch, most + 1, const char *);
    size_t count = list_names(level->names, first);
    count += list_names(level->names + count, second);
    qsort(level->names, count, sizeof(*level->names), compare_names);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(level->names[i], level->names[level->count - 1]) != 0) {
            level->names[level->count++] = level->names[i];
        }
    }
    return level;
}

static const json_t *member_of(const struct level *level, const json_t *container)
{
    return level->names == NULL ? json_array_get(container, level->at - 1)
                                : json_object_get(container, level->names[level->at - 1]);
}

static bool are_containers(const json_t *first, const json_t *second)
{
    return (json_is_object(first) && json_is_object(second)) ||
           (json_is_array(first) && json_is_array(second));
}

void ow_difference_tree(struct ow_differing *differing, const struct ow_pointer *base,
                        const json_t *first, const json_t *second)
{
    struct level *level = NULL;
    if (are_containers(first, second)) {
        level = enter(differing, NULL, first, second);
    } else if (!is_equal(first, second)) {
        tell_values(differing, ow_slice_of(base->text), first, second);
    }
    while (level != NULL) {
        if (level->at == level->count) {
            level = level->parent;
            continue;
        }
        level->at++;
        const json_t *const left = member_of(level, level->first);
        const json_t *const right = member_of(level, level->second);
        if (is_left_out(differing, base, level)) {
            continue;
        }
        if (are_containers(left, right)) {
            level = enter(differing, level, left, right);
        } else if (!is_equal(left, right)) {
            tell_values(differing, name_of(differing, base, level), left, right);
        }
    }
}
