#include "base/nearest.h"

#include <string.h>

enum { WORD_MAX = 63 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

size_t ow_nearest_distance(const char *a, const char *b)
{
    const size_t a_len = strlen(a);
    const size_t b_len = strlen(b);
    if (a_len > WORD_MAX || b_len > WORD_MAX) {
        return WORD_MAX;
    }
    size_t rows[3][WORD_MAX + 1]; /* the row, the one before, the one before that (for swaps) */
    size_t *row = rows[0];
    size_t *before = rows[1];
    size_t *oldest = rows[2];
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
        before[j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t *const free_row = oldest;
        oldest = before;
        before = row;
        row = free_row;
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            const size_t cost = a[i - 1] == b[j - 1] ? 0 : 1;
            row[j] = least(before[j - 1] + cost, least(before[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = least(row[j], oldest[j - 2] + 1);
            }
        }
    }
    return row[b_len];
}

void ow_nearest_offer(struct ow_nearest *nearest, const char *known)
{
    const size_t distance = ow_nearest_distance(nearest->word, known);
    const size_t third = strlen(nearest->word) / 3;
    if (distance > (third < 1 ? 1 : third)) {
        return;
    }
    if (nearest->best == NULL || distance < nearest->distance) {
        nearest->best = known;
        nearest->distance = distance;
    }
}
