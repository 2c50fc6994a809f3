#include "model/prove.h"

#include "base/contract.h"
#include "model/prove_guess.h"
#include "model/prove_search.h"

enum { PROGRESS_EVERY = 4096, NODES_FIRST = 4096 };

const char *ow_promise_name(enum ow_promise promise)
{
    static const char *const names[] = {
#define OW_PROMISE_NAME(name, text, description) [OW_PROMISE_##name] = (text),
        OW_PROMISE_TABLE(OW_PROMISE_NAME)
#undef OW_PROMISE_NAME
    };
    return names[promise];
}

const char *ow_promise_text(enum ow_promise promise)
{
    static const char *const texts[] = {
#define OW_PROMISE_TEXT(name, text, description) [OW_PROMISE_##name] = (description),
        OW_PROMISE_TABLE(OW_PROMISE_TEXT)
#undef OW_PROMISE_TEXT
    };
    return texts[promise];
}

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t sum = 0;
    return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

static uint64_t times(uint64_t a, uint64_t b)
{
    uint64_t product = 0;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

/* The business state: a configuration without its claims, and without the order of what is parked.
 */
static uint32_t end_of(struct ow_prove_search *search, const uint16_t *configuration)
{
    const struct ow_prove *const prove = search->prove;
    uint16_t *const end = search->end_scratch;
    uint16_t *const parked = end + prove->claims_at;
    memcpy(end, configuration, prove->claims_at * sizeof *end);
    memcpy(parked, configuration + prove->parked_at, (1 + prove->length) * sizeof *end);
    for (size_t i = 2; i <= parked[0]; i++) {
        const uint16_t fact = parked[i];
        size_t at = i;
        for (; at > 1 && parked[at - 1] > fact; at--) {
            parked[at] = parked[at - 1];
        }
        parked[at] = fact;
    }
    return (uint32_t)ow_prove_set_add(&search->ends, end);
}

/* The index of a configuration; it is a new one where its way there is new. */
static size_t visit(struct ow_prove_search *search, const uint16_t *configuration,
                    const struct ow_prove_node *origin)
{
    struct ow_prove *const prove = search->prove;
    const size_t index = ow_prove_set_add(&search->configurations, configuration);
    if (search->nodes[index] == NULL) {
        struct ow_prove_node *const node = OW_ARENA_NEW(prove->arena, struct ow_prove_node);
        *node = *origin;
        node->end = end_of(search, configuration);
        node->next = OW_ARENA_ARRAY(prove->arena, prove->fact_count, uint32_t);
        node->ways = OW_ARENA_ARRAY(prove->arena, prove->length - node->level + 1, uint64_t);
        search->nodes[index] = node;
        prove->full =
            prove->full || search->configurations.count >= prove->options->configurations_max;
    }
    return index;
}

/* Plays one event through both and compares. False where a promise is broken. */
static bool try_move(struct ow_prove_search *search, const uint16_t *before,
                     const struct ow_prove_move *move)
{
    struct ow_prove *const prove = search->prove;
    ow_prove_rule_step(prove, before, move, &search->rule_step);
    ow_prove_world_step(search->real, before, move, &search->real_step);
    prove->proof->steps++;
    return ow_prove_check(prove, before, move, &search->rule_step, &search->real_step);
}

const struct ow_proof_line *ow_prove_search_way(struct ow_prove_search *search, size_t index,
                                                struct ow_arena *arena, size_t *ret_count)
{
    struct ow_prove *const prove = search->prove;
    const size_t count = search->nodes[index]->level;
    struct ow_proof_line *const lines = OW_ARENA_ARRAY(arena, count + 1, struct ow_proof_line);
    struct ow_prove_step *const step = OW_ARENA_NEW(prove->arena, struct ow_prove_step);
    step->after = OW_ARENA_ARRAY(prove->arena, search->configurations.width, uint16_t);
    size_t at = index;
    for (size_t i = count; i > 0; i--) {
        const struct ow_prove_node *const node = search->nodes[at];
        const uint16_t *const before = ow_prove_set_at(&search->configurations, node->parent);
        const struct ow_prove_move move = {.fact = node->fact,
                                           .copy = prove->facts[node->fact].renewable
                                                       ? before[prove->claims_at + node->fact] + 1U
                                                       : 1U};
        ow_prove_rule_step(prove, before, &move, step);
        lines[i - 1] = (struct ow_proof_line){.event = ow_prove_text_move(prove, &move, arena),
                                              .fate = ow_prove_text_fate(prove, step, arena)};
        at = node->parent;
    }
    *ret_count = count;
    return lines;
}

static void tell_broken(struct ow_prove_search *search, size_t index,
                        const struct ow_prove_move *move, struct ow_arena *arena)
{
    struct ow_prove *const prove = search->prove;
    struct ow_proof_witness *const witness = OW_ARENA_NEW(arena, struct ow_proof_witness);
    size_t count = 0;
    struct ow_proof_line *const lines =
        OW_ARENA_ARRAY(arena, prove->length + 1, struct ow_proof_line);
    const struct ow_proof_line *const way = ow_prove_search_way(search, index, arena, &count);
    memcpy(lines, way, count * sizeof *lines);
    lines[count] = (struct ow_proof_line){
        .event = ow_prove_text_again(prove, ow_prove_set_at(&search->configurations, index), move,
                                     arena),
        .fate = ow_prove_text_fate(prove, &search->real_step, arena)};
    *witness =
        (struct ow_proof_witness){.lines = lines,
                                  .line_count = count + 1,
                                  .expected = ow_prove_text_step(prove, &search->rule_step, arena),
                                  .found = ow_prove_text_step(prove, &search->real_step, arena)};
    prove->proof->broken = witness;
}

/* A message that has come before: once more, read again, and its id on other content. They change
 * nothing. One of each fact will do, for those of one fact differ in their names only; *ret_ways
 * counts them all. */
static bool repeat(struct ow_prove_search *search, size_t index, size_t fact, uint64_t *ret_ways,
                   struct ow_arena *arena)
{
    struct ow_prove *const prove = search->prove;
    const uint16_t *const before = ow_prove_set_at(&search->configurations, index);
    const uint16_t claimed = before[prove->claims_at + fact];
    const struct ow_prove_move moves[] = {
        {.fact = fact, .copy = 1     },
        { .fact = fact,   .copy = 1, .reread = true},
        { .fact = fact,   .copy = 1,   .twin = true}
    };
    for (size_t i = 0; claimed > 0 && i < sizeof moves / sizeof *moves; i++) {
        /* One that is not renewable comes once more as itself already. */
        const bool is_known = !moves[i].twin && !moves[i].reread && !prove->facts[fact].renewable;
        if (is_known || (moves[i].twin && !prove->facts[fact].has_twins)) {
            continue;
        }
        *ret_ways = add(*ret_ways, claimed);
        if (!try_move(search, before, &moves[i])) {
            tell_broken(search, index, &moves[i], arena);
            return false;
        }
    }
    return true;
}

/* Sequences that end here, and go on from here by repetitions (which stay) and new messages. */
static void count_ways(struct ow_prove_search *search, const struct ow_prove_node *node,
                       uint64_t repetitions, uint64_t fresh)
{
    const size_t length = search->prove->length;
    for (size_t i = 0; node->level + i <= length; i++) {
        if (node->level + i < length) {
            node->ways[i + 1] = add(node->ways[i + 1], times(node->ways[i], repetitions));
        }
        search->by_length[node->level + i] = add(search->by_length[node->level + i], node->ways[i]);
    }
    if (node->level + 1U == length) {
        search->by_length[length] = add(search->by_length[length], times(node->ways[0], fresh));
    }
}

/* Hands the ways of a configuration on to one that a new message leads to. */
static void hand_on(struct ow_prove_search *search, const struct ow_prove_node *from,
                    const struct ow_prove_node *to)
{
    for (size_t i = 0; from->level + i < search->prove->length; i++) {
        to->ways[i] = add(to->ways[i], from->ways[i]);
    }
}

/* Gives a configuration every event. False where a promise is broken. */
static bool expand(struct ow_prove_search *search, size_t index, struct ow_arena *arena)
{
    struct ow_prove *const prove = search->prove;
    struct ow_prove_node *const node = search->nodes[index];
    const uint16_t *const before = ow_prove_set_at(&search->configurations, index);
    const bool is_last = node->level + 1U == prove->length;
    uint64_t repetitions = 0;
    uint64_t fresh = 0;
    for (size_t i = 0; i < prove->fact_count && !prove->full; i++) {
        const bool renewable = prove->facts[i].renewable;
        struct ow_prove_move move = {.fact = i,
                                     .copy = renewable ? before[prove->claims_at + i] + 1U : 1U};
        size_t holder = 0;
        if (!try_move(search, before, &move)) {
            tell_broken(search, index, &move, arena);
            return false;
        }
        if (ow_prove_rule_claim(prove, before, &move, &holder) != OW_PROVE_FREE) {
            repetitions++;
            node->next[i] = is_last ? node->end : (uint32_t)index;
        } else if (is_last) {
            fresh++;
            node->next[i] = end_of(search, search->rule_step.after);
        } else {
            const struct ow_prove_node origin = {.parent = (uint32_t)index,
                                                 .fact = (uint16_t)i,
                                                 .level = (uint16_t)(node->level + 1)};
            node->next[i] = (uint32_t)visit(search, search->rule_step.after, &origin);
        }
        if (!repeat(search, index, i, &repetitions, arena)) {
            return false;
        }
    }
    count_ways(search, node, repetitions, fresh);
    for (size_t i = 0; !is_last && !prove->full && i < prove->fact_count; i++) {
        if (node->next[i] != index) {
            hand_on(search, node, search->nodes[node->next[i]]);
        }
    }
    return true;
}

static void start(struct ow_prove_search *search)
{
    struct ow_prove *const prove = search->prove;
    ow_prove_set_init(&search->configurations, prove->arena, prove->width);
    ow_prove_set_init(&search->ends, prove->arena, prove->claims_at + 1 + prove->length);
    search->nodes =
        OW_ARENA_ARRAY(prove->arena, prove->options->configurations_max + prove->fact_count + 1,
                       struct ow_prove_node *);
    search->end_scratch = OW_ARENA_ARRAY(prove->arena, search->ends.width, uint16_t);
    uint16_t **const places[] = {&search->rule_step.after, &search->real_step.after,
                                 &prove->derived};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        *places[i] = OW_ARENA_ARRAY(prove->arena, search->configurations.width, uint16_t);
    }
    search->real = ow_prove_world_new(prove);
    uint16_t *const none = OW_ARENA_ARRAY(prove->arena, search->configurations.width, uint16_t);
    ow_prove_rule_start(prove, none);
    const size_t first = visit(search, none, &(struct ow_prove_node){0});
    search->nodes[first]->ways[0] = 1;
}

/* Breadth first: the configurations grow while they are walked. */
static void walk(struct ow_prove_search *search, struct ow_arena *arena)
{
    struct ow_prove *const prove = search->prove;
    const struct ow_prove_options *const options = prove->options;
    for (size_t i = 0; i < search->configurations.count && !prove->full; i++) {
        if (i % PROGRESS_EVERY == 0 && options->progress != NULL) {
            options->progress(options->context, search->nodes[i]->level, i,
                              search->configurations.count);
        }
        if (!expand(search, i, arena)) {
            return;
        }
    }
}

static void tell_events(const struct ow_prove *prove, struct ow_arena *arena)
{
    struct ow_proof_event *const events =
        OW_ARENA_ARRAY(arena, prove->fact_count, struct ow_proof_event);
    for (size_t i = 0; i < prove->fact_count; i++) {
        const struct ow_prove_fact *const fact = &prove->facts[i];
        OW_BUFFER values = {0};
        for (size_t j = 0; j < fact->type->need_count; j++) {
            ow_buffer_printf(&values, "%s%s %s", j == 0 ? "" : ", ",
                             fact->type->needs[j].pointer.text,
                             ow_prove_text_value(&fact->copies[1].event->values[j], arena));
        }
        events[i] = (struct ow_proof_event){.name = ow_arena_text(arena, ow_slice_of(fact->name)),
                                            .values = ow_arena_text(arena, ow_buffer_view(&values)),
                                            .renewable = fact->renewable};
    }
    prove->proof->events = events;
    prove->proof->event_count = prove->fact_count;
}

/* All sequences up to prove->length. prove->full: there was no room for them. */
static enum ow_status search_all(struct ow_prove *prove, struct ow_arena *arena, struct ow_err *err)
{
    struct ow_prove_search search = {.prove = prove};
    struct ow_proof *const proof = prove->proof;
    ow_prove_value_init(prove);
    struct ow_prove_guess *const guess = ow_prove_guess_new(prove);
    ow_prove_cell_fill(prove);
    ow_prove_fit(prove, guess);
    OW_TRY(ow_prove_fact_make_all(prove, guess, err));
    start(&search);
    walk(&search, arena);
    ow_prove_world_done(search.real);
    if (prove->full) {
        return OW_OK;
    }
    proof->configurations = search.configurations.count;
    for (size_t i = 1; i <= prove->length; i++) {
        proof->sequences = add(proof->sequences, search.by_length[i]);
    }
    tell_events(prove, arena);
    if (proof->broken == NULL) {
        ow_prove_order_tell(&search, arena);
        ow_prove_cell_tell(prove, arena);
    }
    return OW_OK;
}

enum ow_status ow_prove(const struct ow_machines *machines, const struct ow_machine *machine,
                        const struct ow_prove_options *options, struct ow_arena *arena,
                        struct ow_proof *ret_proof, struct ow_err *err)
{
    OW_REQUIRE(options->length >= 1 && options->length <= OW_PROVE_LENGTH_MAX);
    OW_REQUIRE(options->configurations_max <= OW_PROVE_CONFIGURATIONS_MAX);
    for (size_t length = options->length;; length--) {
        struct ow_arena own;
        ow_arena_init(&own, 1 << 20);
        *ret_proof = (struct ow_proof){.machine = machine, .length = length};
        struct ow_prove prove = {.machines = machines,
                                 .machine = machine,
                                 .options = options,
                                 .arena = &own,
                                 .length = length,
                                 .proof = ret_proof};
        const enum ow_status status = search_all(&prove, arena, err);
        ow_arena_done(&own);
        if (status != OW_OK || !prove.full || length == 1) {
            return status;
        }
    }
}
