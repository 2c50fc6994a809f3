/*
 * engine_fixture: records of the shipped machine for the tests of the engine, and chunks of them.
 *
 * Memory: static, or the fixture's kept arena.
 */
#ifndef OW_TESTS_UNIT_ENGINE_FIXTURE_H
#define OW_TESTS_UNIT_ENGINE_FIXTURE_H

#include "engine/apply.h"
#include "support/store/store_fixture.h"

/* For cmocka: a store in a folder of its own with the shipped machine, open; *state is the fixture.
 */
int ow_engine_start(void **state);
int ow_engine_stop(void **state);

struct ow_apply_options ow_engine_apply_options(struct ow_fixture *fixture);

/* Event `number` of a story of many entities: each is made, paid, dispatched and received, in this
 * order. */
struct ow_record ow_engine_story(struct ow_fixture *fixture, int64_t number);
/* An event of the entity with a type and further members of data. */
struct ow_record ow_engine_event(struct ow_fixture *fixture, const char *id, const char *type,
                                 const char *entity, const char *data);

/* Appends a record to a chunk at an offset of order-events[0], and decodes the chunk. */
void ow_engine_put(struct ow_fixture *fixture, struct ow_chunk *chunk, struct ow_record record,
                   int64_t offset);
void ow_engine_decode(struct ow_fixture *fixture, struct ow_chunk *chunk);
/* An assignment of order-events[0]. */
void ow_engine_assign(struct ow_chunk *chunk, uint32_t generation, enum ow_resume resume,
                      int64_t offset);

#endif
