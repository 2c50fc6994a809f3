/*
 * One step of decide: a configuration written into a world, one event judged in it, and what came
 * of it read back. The world's rows, claims and parked records are made once; each step sets them.
 */
#include "base/contract.h"
#include "model/prove_state.h"

struct ow_prove_world {
    struct ow_prove *prove;
    struct ow_arena scratch; /* what decide makes in one step */
    struct ow_world world;
    struct ow_entity *entity;
    struct ow_row **rows;     /* by slot */
    struct ow_parked *parked; /* by fact * (length + 1) + copy, as are the records' offsets */
    struct ow_claim **claims; /* likewise */
    struct ow_value columns[OW_TABLE_COLUMNS_MAX];
};

enum { PARKED_REF = 100, CLAIM_REF = 50, NEXT_REF = 1000, LAST_SEQ = 40 };

static size_t message_number(const struct ow_prove *prove, size_t fact, size_t copy)
{
    return fact * (prove->length + 1) + copy;
}

static void add_message(struct ow_prove_world *real, size_t fact, size_t copy)
{
    struct ow_prove *const prove = real->prove;
    const size_t number = message_number(prove, fact, copy);
    const struct ow_event *const event = prove->facts[fact].copies[copy].event;
    struct ow_record *const record = OW_ARENA_NEW(prove->arena, struct ow_record);
    struct ow_parked *const parked = &real->parked[number];
    *record = *event->record;
    record->offset = (int64_t)number;
    ow_world_want(&real->world, event);
    real->claims[number] =
        ow_world_claim(&real->world, event->key, event->event->claim->retention_ms);
    real->claims[number]->loaded = true;
    parked->record = *record;
    parked->event = OW_ARENA_NEW(prove->arena, struct ow_event);
    *parked->event = *event;
    parked->event->record = &parked->record;
}

struct ow_prove_world *ow_prove_world_new(struct ow_prove *prove)
{
    struct ow_prove_world *const real = OW_ARENA_NEW(prove->arena, struct ow_prove_world);
    const size_t messages = prove->fact_count * (prove->length + 1);
    real->prove = prove;
    ow_arena_init(&real->scratch, 65536);
    ow_world_reset(&real->world, prove->arena, prove->machines, 0);
    real->parked = OW_ARENA_ARRAY(prove->arena, messages, struct ow_parked);
    real->claims = OW_ARENA_ARRAY(prove->arena, messages, struct ow_claim *);
    for (size_t i = 0; i < prove->fact_count; i++) {
        const struct ow_prove_fact *const fact = &prove->facts[i];
        for (size_t copy = 1; copy <= (fact->renewable ? prove->length : 1); copy++) {
            add_message(real, i, copy);
            if (fact->has_twins) {
                ow_world_want(&real->world, fact->twins[copy].event);
            }
        }
    }
    for (struct ow_row *row = real->world.rows; row != NULL; row = row->next) {
        row->loaded = true;
    }
    for (struct ow_entity *entity = real->world.entities; entity != NULL; entity = entity->next) {
        entity->loaded = true;
    }
    real->rows = OW_ARENA_ARRAY(prove->arena, prove->slot_count, struct ow_row *);
    for (size_t i = 0; i < prove->slot_count; i++) {
        real->rows[i] =
            ow_world_row(&real->world, prove->machine, prove->slots[i].table, prove->slots[i].key);
    }
    real->entity =
        ow_world_entity(&real->world, prove->machine, prove->facts[0].copies[1].event->entity_id);
    return real;
}

void ow_prove_world_done(struct ow_prove_world *real)
{
    ow_arena_done(&real->scratch);
}

/* The entity and its rows as the configuration says. */
static void set_entity(struct ow_prove_world *real, const uint16_t *before)
{
    const struct ow_prove *const prove = real->prove;
    struct ow_entity *const entity = real->entity;
    entity->dirty = false;
    entity->state = before[OW_PROVE_STATE];
    entity->version = entity->stored_version = before[OW_PROVE_VERSION];
    entity->last_seq = entity->version == 0 ? 0 : LAST_SEQ;
    entity->columns = real->columns;
    for (size_t i = 0; i < prove->machine->entity.column_count; i++) {
        real->columns[i] = prove->values.list[before[OW_PROVE_COLUMNS + i]];
    }
    for (size_t i = 0; i < prove->slot_count; i++) {
        struct ow_row *const row = real->rows[i];
        const uint16_t *const stored = before + prove->slots[i].at;
        row->exists = stored[0] != 0;
        row->fresh = false;
        for (size_t j = 0; row->exists && j < row->table->column_count; j++) {
            row->columns[j] = prove->values.list[stored[1 + j]];
        }
    }
}

/* Hangs up what is parked; the i-th of one fact is its i-th message. */
static void set_parked(struct ow_prove_world *real, const uint16_t *before)
{
    const struct ow_prove *const prove = real->prove;
    const uint16_t *const facts = before + prove->parked_at + 1;
    real->entity->parked = real->entity->parked_last = NULL;
    real->entity->parked_count = 0;
    for (size_t i = 0; i < before[prove->parked_at]; i++) {
        size_t copy = 1;
        for (size_t j = 0; j < i; j++) {
            copy += facts[j] == facts[i] ? 1 : 0;
        }
        struct ow_parked *const parked = &real->parked[message_number(prove, facts[i], copy)];
        parked->id = (int64_t)(PARKED_REF + i);
        parked->gone = parked->fresh = false;
        ow_world_add_parked(&real->world, real->entity, parked);
    }
}

/* The claim that the message needs: free, or taken under the ref that its holder has. */
static struct ow_claim *set_claim(struct ow_prove_world *real, const uint16_t *before,
                                  const struct ow_prove_move *move)
{
    const struct ow_prove *const prove = real->prove;
    struct ow_claim *const claim = real->claims[message_number(prove, move->fact, move->copy)];
    size_t holder = 0;
    claim->fresh = false;
    claim->taken = ow_prove_rule_claim(prove, before, move, &holder) != OW_PROVE_FREE;
    if (!claim->taken) {
        return claim;
    }
    const struct ow_prove_fact *const fact = &prove->facts[holder];
    const size_t copy = fact->renewable ? move->copy : 1;
    claim->ref = CLAIM_REF;
    memcpy(claim->fingerprint, fact->copies[copy].event->fingerprint, OW_FINGERPRINT_BYTES);
    for (const struct ow_parked *parked = real->entity->parked; parked != NULL;
         parked = parked->next) {
        if (parked->record.offset == (int64_t)message_number(prove, holder, copy)) {
            claim->ref = parked->id;
        }
    }
    return claim;
}

static struct ow_prove_effect *add_effect(const struct ow_prove *prove,
                                          struct ow_prove_effects *effects,
                                          const struct ow_record *record)
{
    const size_t number = (size_t)record->offset;
    if (effects->count == OW_PROVE_EFFECTS_MAX) {
        effects->count--; /* more than there are messages: what is there is wrong already */
    }
    struct ow_prove_effect *const effect = &effects->list[effects->count++];
    *effect = (struct ow_prove_effect){.fact = (uint16_t)(number / (prove->length + 1)),
                                       .copy = (uint16_t)(number % (prove->length + 1))};
    return effect;
}

static void read_effects(const struct ow_prove_world *real, struct ow_prove_step *step)
{
    const struct ow_world *const world = &real->world;
    step->applied.count = step->stale.count = step->quarantined.count = step->parked.count = 0;
    for (const struct ow_history *row = world->history; row != NULL; row = row->next) {
        struct ow_prove_effect *const effect =
            add_effect(real->prove, &step->applied, row->event->record);
        effect->from = (uint16_t)row->from;
        effect->to = (uint16_t)row->to;
        effect->version = row->version;
        effect->woken = row->first_ref != 0;
    }
    for (const struct ow_sighting *row = world->sightings; row != NULL; row = row->next) {
        if (strcmp(row->cause, "stale") == 0) {
            add_effect(real->prove, &step->stale, row->record)->woken = row->ref < NEXT_REF;
        }
    }
    for (const struct ow_quarantine *row = world->quarantine; row != NULL; row = row->next) {
        if (row->reason != OW_REASON_CONFLICT) {
            struct ow_prove_effect *const effect =
                add_effect(real->prove, &step->quarantined, row->record);
            effect->reason = row->reason;
            effect->woken = row->id < NEXT_REF;
        }
    }
    for (const struct ow_parked *row = real->entity->parked; row != NULL; row = row->next) {
        if (!row->gone) {
            (void)add_effect(real->prove, &step->parked, &row->record);
        }
    }
}

/* The configuration that the store would have: what is dirty or fresh is written, nothing else. */
static void read_configuration(const struct ow_prove_world *real, const uint16_t *before,
                               struct ow_prove_step *step)
{
    struct ow_prove *const prove = real->prove;
    uint16_t *const after = step->after;
    memcpy(after, before, prove->width * sizeof *after);
    if (real->entity->dirty) {
        after[OW_PROVE_STATE] = (uint16_t)real->entity->state;
        after[OW_PROVE_VERSION] = (uint16_t)real->entity->version;
        for (size_t i = 0; i < prove->machine->entity.column_count; i++) {
            after[OW_PROVE_COLUMNS + i] = ow_prove_value_number(prove, &real->entity->columns[i]);
        }
    }
    for (size_t i = 0; i < prove->slot_count; i++) {
        const struct ow_row *const row = real->rows[i];
        uint16_t *const stored = after + prove->slots[i].at;
        for (size_t j = 0; row->fresh && j < row->table->column_count; j++) {
            stored[0] = 1;
            stored[1 + j] = ow_prove_value_number(prove, &row->columns[j]);
        }
    }
    uint16_t *const parked = after + prove->parked_at;
    memset(parked, 0, (1 + prove->length) * sizeof *parked);
    for (size_t i = 0; i < step->parked.count && i < prove->length; i++) {
        parked[++parked[0]] = step->parked.list[i].fact;
    }
}

void ow_prove_world_step(struct ow_prove_world *real, const uint16_t *before,
                         const struct ow_prove_move *move, struct ow_prove_step *step)
{
    const struct ow_judging judging = {.horizon_ms = INT64_MIN, .reread = move->reread};
    const struct ow_prove *const prove = real->prove;
    struct ow_world *const world = &real->world;
    const struct ow_event *const event =
        move->twin ? prove->facts[move->fact].twins[move->copy].event
                   : real->parked[message_number(prove, move->fact, move->copy)].event;
    ow_arena_reset(&real->scratch);
    world->arena = &real->scratch;
    world->history = NULL;
    world->history_end = &world->history;
    world->sightings = NULL;
    world->sightings_end = &world->sightings;
    world->quarantine = world->quarantine_wanted = NULL;
    world->quarantine_end = &world->quarantine;
    world->next_ref = NEXT_REF;
    ow_map_init(&world->quarantine_map, &real->scratch);
    set_entity(real, before);
    set_parked(real, before);
    struct ow_claim *const claim = set_claim(real, before, move);
    ow_world_want_conflict(world, event);
    if (move->reread) {
        (void)ow_world_quarantine_at(world, event->record);
    }
    for (struct ow_quarantine *row = world->quarantine_wanted; row != NULL; row = row->next) {
        row->loaded = true;
    }
    struct ow_decision decision;
    prove->options->decide(world, event, &judging, &decision);
    step->outcome = decision.outcome;
    step->reason = decision.reason;
    read_effects(real, step);
    read_configuration(real, before, step);
    step->after[prove->claims_at + move->fact] =
        (uint16_t)(before[prove->claims_at + move->fact] + (claim->fresh ? 1 : 0));
}
