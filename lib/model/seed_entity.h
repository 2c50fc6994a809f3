/*
 * seed_entity: an entity as another system left it, read from one JSON object.
 *
 * Pure. Memory: the arena's. Failure: none: a bad object has a problem, in words. Trust: exports of
 * other programs.
 */
#ifndef OW_MODEL_SEED_ENTITY_H
#define OW_MODEL_SEED_ENTITY_H

#include "model/seed.h"

/* A row of a record table. */
struct ow_seed_row {
    const struct ow_table *table;
    struct ow_slice key;
    struct ow_value *columns;
    struct ow_seed_row *next;
};

struct ow_seed_entity {
    const struct ow_machine *machine;
    struct ow_slice id;
    size_t state;
    struct ow_value *columns; /* of the entity, all of them */
    struct ow_seed_row *rows;
    int64_t at_ms;           /* OW_SEED_NO_TIME: not told */
    struct ow_slice data;    /* its history row's: what was given, in canonical form */
    struct ow_record record; /* where it was met: topic, partition, offset */
};

/*
 * {"id":"e-1","state":"…","at":"…","count":7,"records":{"rows":[{"row_id":"r-1","count":7}]}}:
 * columns by their names. Those of the entity that are left out have their default, or hold
 * nothing; those of records must be there unless they have a default. records may be a text that
 * holds JSON. A member that is null is as good as none. Returns the problem, or NULL: *ret_entity
 * then has all but the record.
 */
const char *ow_seed_entity_read(const struct ow_machine *machine, const json_t *object,
                                struct ow_arena *arena, struct ow_seed_entity *ret_entity);

/*
 * {"columns":{…},"records":{…}}: what the history row of such an entity keeps. Sets those of
 * columns (by the machine's) that were given; *ret_rows: its rows. Returns the problem, or NULL.
 */
const char *ow_seed_entity_read_data(const struct ow_machine *machine, const json_t *data,
                                     struct ow_arena *arena, struct ow_value *columns,
                                     struct ow_seed_row **ret_rows);

#endif
