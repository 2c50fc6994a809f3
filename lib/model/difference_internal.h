/*
 * difference_internal: what the files of difference share. Private to them.
 *
 * Memory: what is told lives in the caller's arena; what comparing needs, in `scratch`.
 */
#ifndef OW_MODEL_DIFFERENCE_INTERNAL_H
#define OW_MODEL_DIFFERENCE_INTERNAL_H

#include "model/difference.h"

struct ow_differing {
    const struct ow_claim_rule *rule;
    const struct ow_pointer *entity; /* where the second has its entity id; NULL: in no pointer */
    struct ow_arena *arena;
    struct ow_arena scratch;
    struct ow_difference *told;
};

enum { OW_DIFFERENCE_NAME_BYTES_MAX = 120 };

/* difference_text.c: first and second are canonical; absent: there is none. */
void ow_difference_text_add(struct ow_differing *differing, struct ow_slice name,
                            struct ow_slice first, struct ow_slice second);

/* difference_tree.c: what stands at one pointer of both documents, to the leaves, without what the
 * fingerprint ignores. NULL: there is nothing. */
void ow_difference_tree(struct ow_differing *differing, const struct ow_pointer *base,
                        const json_t *first, const json_t *second);

#endif
