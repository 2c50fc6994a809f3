/*
 * prove_search: the configurations that were found, and how one leads to another. Between prove.c
 * and prove_order.c.
 *
 * Memory: the search's arena.
 */
#ifndef OW_MODEL_PROVE_SEARCH_H
#define OW_MODEL_PROVE_SEARCH_H

#include "model/prove_set.h"
#include "model/prove_state.h"

/* A configuration, under the same index as its numbers. */
struct ow_prove_node {
    uint32_t parent; /* a shortest way there: the configuration before, and the fact */
    uint32_t end;    /* its business state */
    uint16_t fact;
    uint16_t level; /* how many claims: each event that is not a repetition takes one */
    /* By fact: the configuration that a new message leads to; from the last level, its business
     * state. */
    uint32_t *next;
    uint64_t *ways; /* by length - level: how many sequences of that length lead here */
};

struct ow_prove_search {
    struct ow_prove *prove;
    struct ow_prove_set configurations;
    struct ow_prove_set ends; /* business states: what the order of parking leaves out */
    struct ow_prove_node **nodes;
    struct ow_prove_world *real;
    struct ow_prove_step rule_step, real_step;
    uint16_t *end_scratch;
    uint64_t by_length[OW_PROVE_LENGTH_MAX + 1]; /* sequences */
};

/* The events that lead to a configuration, and what became of each. */
const struct ow_proof_line *ow_prove_search_way(struct ow_prove_search *search, size_t index,
                                                struct ow_arena *arena, size_t *ret_count);

/* prove_order.c: pairs of events whose order makes a difference. */
void ow_prove_order_tell(struct ow_prove_search *search, struct ow_arena *arena);

#endif
