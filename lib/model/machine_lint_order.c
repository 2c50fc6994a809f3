/*
 * Pairs of events that do not commute: of an entity's events in different topics (partitions)
 * nobody knows which comes first, so where the order makes a difference the final state is a matter
 * of luck.
 *
 * A situation is what an entity is in: its state and what is parked. All situations are visited
 * breadth first, from none, by sequences in which an event comes once (twice where it can happen
 * again); in each, both sequences of each pair are played through the cell table, wakes included.
 * The first difference found is therefore a shortest witness. Guards and values are not looked at.
 * Limits: prefixes of SEQUENCE_MAX events, PARKED_MAX parked, WORK_MAX plays.
 */
#include "model/machine_lint.h"

enum { SEQUENCE_MAX = 5, PARKED_MAX = 3, SITUATIONS_MAX = 4096 };
enum { WORK_MAX = 20000000 };

struct situation {
    size_t state;
    uint16_t parked[PARKED_MAX]; /* event indexes, in the order of parking */
    size_t parked_count;
    uint16_t sequence[SEQUENCE_MAX]; /* how it came about */
    size_t sequence_len;
};

/* A play: a situation and up to two more events; what became of each of the waiting and the new
 * ones. */
struct play {
    size_t state;
    uint16_t events[PARKED_MAX + 2];
    enum ow_cell_kind fate[PARKED_MAX + 2]; /* PARK: it still waits */
    size_t count;
};

static void play_begin(struct play *play, const struct situation *situation)
{
    *play = (struct play){.state = situation->state};
    for (size_t i = 0; i < situation->parked_count; i++) {
        play->events[play->count] = situation->parked[i];
        play->fate[play->count++] = OW_CELL_PARK;
    }
}

/* Judges one event in the current state; true where it was applied. */
static bool judge(const struct ow_machine *machine, struct play *play, size_t index)
{
    const struct ow_event_type *const event = &machine->events[play->events[index]];
    play->fate[index] = event->cells[play->state].kind;
    if (play->fate[index] != OW_CELL_APPLY) {
        return false;
    }
    play->state = ow_lint_target(event, play->state);
    return true;
}

/* Delivers an event, then wakes what waits, in whole passes, until a pass changes nothing (DESIGN
 * 3). */
static void deliver(const struct ow_machine *machine, struct play *play, size_t event)
{
    OW_REQUIRE(play->count < PARKED_MAX + 2);
    play->events[play->count++] = (uint16_t)event;
    bool changed = judge(machine, play, play->count - 1);
    while (changed) {
        changed = false;
        for (size_t i = 0; i < play->count; i++) {
            if (play->fate[i] == OW_CELL_PARK) {
                changed = judge(machine, play, i) || play->fate[i] != OW_CELL_PARK || changed;
            }
        }
    }
}

static bool is_same_end(const struct play *ab, const struct play *ba)
{
    const size_t waiting = ab->count - 2;
    for (size_t i = 0; i < waiting; i++) {
        if (ab->fate[i] != ba->fate[i]) {
            return false;
        }
    }
    return ab->state == ba->state && ab->fate[waiting] == ba->fate[waiting + 1] &&
           ab->fate[waiting + 1] == ba->fate[waiting];
}

struct search {
    struct ow_lint *lint;
    const struct ow_machine *machine;
    struct situation *situations;
    size_t count;
    bool *told;    /* by pair: a * event_count + b */
    bool *repeats; /* by event: whether it can happen again */
    int64_t work;
};

static size_t times_in(const struct situation *situation, size_t event)
{
    size_t times = 0;
    for (size_t i = 0; i < situation->sequence_len; i++) {
        times += situation->sequence[i] == event ? 1 : 0;
    }
    return times;
}

static bool may_come(const struct search *search, const struct situation *situation, size_t event)
{
    return times_in(situation, event) < (search->repeats[event] ? 2U : 1U);
}

static bool is_known(const struct search *search, const struct situation *situation)
{
    for (size_t i = 0; i < search->count; i++) {
        const struct situation *const known = &search->situations[i];
        if (known->state == situation->state && known->parked_count == situation->parked_count &&
            memcmp(known->parked, situation->parked, sizeof known->parked) == 0) {
            return true;
        }
    }
    return false;
}

/* The situation after one more event, where it is a new one and within the limits. */
static void visit_next(struct search *search, const struct situation *situation, size_t event)
{
    if (situation->sequence_len == SEQUENCE_MAX || search->count == SITUATIONS_MAX) {
        return;
    }
    struct play play;
    play_begin(&play, situation);
    deliver(search->machine, &play, event);
    struct situation next = {.state = play.state, .sequence_len = situation->sequence_len};
    memcpy(next.sequence, situation->sequence, sizeof next.sequence);
    next.sequence[next.sequence_len++] = (uint16_t)event;
    for (size_t i = 0; i < play.count; i++) {
        if (play.fate[i] != OW_CELL_PARK) {
            continue;
        }
        if (next.parked_count == PARKED_MAX) {
            return;
        }
        next.parked[next.parked_count++] = play.events[i];
    }
    if (!is_known(search, &next)) {
        search->situations[search->count++] = next;
    }
}

static const char *fate_text(enum ow_cell_kind kind)
{
    switch (kind) {
    case OW_CELL_APPLY:
        return "applied";
    case OW_CELL_STALE:
        return "stale";
    case OW_CELL_PARK:
        return "parked";
    case OW_CELL_REJECT:
        return "illegal";
    }
    OW_IMPOSSIBLE("a cell of no kind");
}

/* "'open' (door.opened applied, door.locked illegal)" */
static void append_end(struct ow_buffer *out, const struct ow_machine *machine,
                       const struct play *play)
{
    ow_buffer_printf(out, "'%s' (", machine->states[play->state]);
    for (size_t i = 0; i < play->count; i++) {
        ow_buffer_printf(out, "%s%s %s", i == 0 ? "" : ", ", machine->events[play->events[i]].name,
                         fate_text(play->fate[i]));
    }
    ow_buffer_text(out, ")");
}

static void tell(struct search *search, const struct situation *situation, const struct play *ab,
                 const struct play *ba)
{
    const struct ow_machine *const machine = search->machine;
    OW_BUFFER text = {0};
    for (size_t i = 0; i < situation->sequence_len; i++) {
        ow_buffer_printf(&text, "%s%s", i == 0 ? "after " : ", ",
                         machine->events[situation->sequence[i]].name);
    }
    ow_buffer_text(&text, situation->sequence_len == 0 ? "at the start " : " ");
    ow_buffer_text(&text, "one order ends in ");
    append_end(&text, machine, ab);
    ow_buffer_text(&text, ", the other in ");
    append_end(&text, machine, ba);
    ow_lint_add(search->lint, OW_FINDING_NOTE, "order_matters",
                "'%s' and '%s' do not commute where they come from different topics: %s",
                machine->events[ab->events[ab->count - 2]].name,
                machine->events[ab->events[ab->count - 1]].name, ow_buffer_cstr(&text));
}

static void try_pair(struct search *search, const struct situation *situation, size_t a, size_t b)
{
    bool *const told = &search->told[a * search->machine->event_count + b];
    if (*told || !may_come(search, situation, a) || !may_come(search, situation, b)) {
        return;
    }
    struct play ab;
    struct play ba;
    play_begin(&ab, situation);
    deliver(search->machine, &ab, a);
    deliver(search->machine, &ab, b);
    play_begin(&ba, situation);
    deliver(search->machine, &ba, b);
    deliver(search->machine, &ba, a);
    search->work++;
    if (!is_same_end(&ab, &ba)) {
        *told = true;
        tell(search, situation, &ab, &ba);
    }
}

/* Whether an event can happen again after it has happened: from where it leads, one of its states
 * can be reached. */
static bool can_repeat(const struct ow_machine *machine, const struct ow_event_type *event)
{
    uint64_t states = 0;
    uint64_t before = 1;
    uint64_t froms = 0;
    for (size_t state = 0; state < machine->state_count; state++) {
        if (event->cells[state].kind == OW_CELL_APPLY) {
            states |= UINT64_C(1) << ow_lint_target(event, state);
            froms |= UINT64_C(1) << state;
        }
    }
    while (states != before) {
        before = states;
        for (size_t i = 0; i < machine->event_count * machine->state_count; i++) {
            const struct ow_event_type *const other = &machine->events[i / machine->state_count];
            const size_t state = i % machine->state_count;
            if ((before >> state & 1) != 0 && other->cells[state].kind == OW_CELL_APPLY) {
                states |= UINT64_C(1) << ow_lint_target(other, state);
            }
        }
    }
    return (states & froms) != 0;
}

void ow_lint_order(struct ow_lint *lint)
{
    const struct ow_machine *const machine = lint->machine;
    if (machine->topic_count < 2) {
        return; /* one topic, keyed by the entity: one order */
    }
    const size_t events = machine->event_count;
    struct search search = {.lint = lint, .machine = machine, .count = 1};
    search.situations = OW_ARENA_ARRAY(lint->arena, SITUATIONS_MAX, struct situation);
    search.told = OW_ARENA_ARRAY(lint->arena, events * events, bool);
    search.repeats = OW_ARENA_ARRAY(lint->arena, events, bool);
    for (size_t i = 0; i < events; i++) {
        search.repeats[i] = can_repeat(machine, &machine->events[i]);
    }
    for (size_t i = 0; i < search.count && search.work < WORK_MAX; i++) {
        for (size_t a = 0; a < events; a++) {
            for (size_t b = a + 1; b < events; b++) {
                try_pair(&search, &search.situations[i], a, b);
            }
            if (may_come(&search, &search.situations[i], a)) {
                visit_next(&search, &search.situations[i], a);
            }
        }
    }
}
