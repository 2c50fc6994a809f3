/*
 * nearest: the known word that somebody may have meant: "unknown key 'gruop' (did you mean
 * 'group'?)".
 *
 * Threads: pure.
 */
#ifndef OW_BASE_NEAREST_H
#define OW_BASE_NEAREST_H

#include <stddef.h>

/* How many insertions, deletions, replacements and swaps of neighbours lead from a to b; words over
 * 63 bytes are far. */
size_t ow_nearest_distance(const char *a, const char *b);

struct ow_nearest {
    const char *word; /* what was written */
    const char *best; /* the nearest so far, NULL: none is near */
    size_t distance;
};

/* Offers a known word. Near is at most a third of the letters, and always one of them. */
void ow_nearest_offer(struct ow_nearest *nearest, const char *known);

#endif
