/*
 * Pairs of events that do not commute: from one configuration, both sequences are followed, and the
 * business states compared. Configurations come in the order of their length, so the first
 * difference is a shortest witness. (`machine lint` looks at types and cells only, and at events of
 * different topics only; here values, rows and business keys count, and every pair.)
 */
#include "model/prove_search.h"

/* The business state after one more new message of a fact. */
static uint32_t end_after(const struct ow_prove_search *search, size_t index, size_t fact)
{
    const struct ow_prove_node *const node = search->nodes[index];
    return node->level + 1U == search->prove->length ? node->next[fact]
                                                     : search->nodes[node->next[fact]]->end;
}

/* A new message of the fact, under the next id. */
static struct ow_prove_move next_move(const struct ow_prove *prove, const uint16_t *configuration,
                                      size_t fact)
{
    return (struct ow_prove_move){
        .fact = fact,
        .copy = prove->facts[fact].renewable ? configuration[prove->claims_at + fact] + 1U : 1U};
}

static struct ow_proof_line play(struct ow_prove *prove, const uint16_t *before, size_t fact,
                                 struct ow_prove_step *step, struct ow_arena *arena)
{
    const struct ow_prove_move move = next_move(prove, before, fact);
    ow_prove_rule_step(prove, before, &move, step);
    return (struct ow_proof_line){.event = ow_prove_text_move(prove, &move, arena),
                                  .fate = ow_prove_text_fate(prove, step, arena)};
}

static struct ow_proof_pair *tell(struct ow_prove_search *search, size_t index, size_t a, size_t b,
                                  struct ow_arena *arena)
{
    struct ow_prove *const prove = search->prove;
    const uint16_t *const start = ow_prove_set_at(&search->configurations, index);
    struct ow_proof_pair *const pair = OW_ARENA_NEW(arena, struct ow_proof_pair);
    struct ow_prove_step *const steps = OW_ARENA_ARRAY(prove->arena, 4, struct ow_prove_step);
    pair->types[0] = prove->facts[a].type;
    pair->types[1] = prove->facts[b].type;
    pair->prefix = ow_prove_search_way(search, index, arena, &pair->prefix_count);
    for (size_t i = 0; i < 4; i++) {
        const bool is_first = i % 2 == 0;
        steps[i].after = OW_ARENA_ARRAY(prove->arena, search->configurations.width, uint16_t);
        pair->plays[i / 2][i % 2] = play(prove, is_first ? start : steps[i - 1].after,
                                         is_first == (i < 2) ? a : b, &steps[i], arena);
    }
    for (size_t i = 0; i < 2; i++) {
        pair->ends[i] =
            ow_prove_text_state(prove, steps[2 * i + 1].after, steps[3 - 2 * i].after, arena);
    }
    return pair;
}

void ow_prove_order_tell(struct ow_prove_search *search, struct ow_arena *arena)
{
    struct ow_prove *const prove = search->prove;
    const size_t types = prove->machine->event_count;
    bool *const told = OW_ARENA_ARRAY(prove->arena, types * types, bool);
    struct ow_proof_pair **end = &prove->proof->pairs;
    for (size_t i = 0; i < search->configurations.count; i++) {
        const struct ow_prove_node *const node = search->nodes[i];
        if (node->level + 2U > prove->length) {
            break;
        }
        for (size_t a = 0; a < prove->fact_count; a++) {
            for (size_t b = a + 1; b < prove->fact_count; b++) {
                bool *const is_told =
                    &told[prove->facts[a].type->index * types + prove->facts[b].type->index];
                if (*is_told ||
                    end_after(search, node->next[a], b) == end_after(search, node->next[b], a)) {
                    continue;
                }
                *is_told = true;
                *end = tell(search, i, a, b, arena);
                end = &(*end)->next;
            }
        }
    }
}
