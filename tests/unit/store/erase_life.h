/*
 * erase_life: orders that meet all that an order may meet, so that their payloads lie everywhere,
 * and what is left of them.
 *
 * For cmocka's _start and _stop; *state is the fixture.
 */
#ifndef OW_TESTS_STORE_ERASE_LIFE_H
#define OW_TESTS_STORE_ERASE_LIFE_H

#include "store/erase.h"
#include "store/verify.h"
#include "support/store/store_fixture.h"

#define OW_LIFE_ORDER "\"amount\":1299,\"currency\":\"EUR\""

/* An event with so many bytes that nothing reads, full of a text that is nowhere else. */
struct ow_life_message {
    const char *id, *type, *data, *secret;
    size_t bytes;
};

enum {
    OW_LIFE_ENTITIES = 60,
    OW_LIFE_REFUNDS = 20,
    OW_LIFE_MORE = 400 /* more than one transaction blanks */
};

int ow_life_start(void **state);
int ow_life_stop(void **state);
enum ow_status ow_life_try_erase(struct ow_fixture *fixture, const char *entity,
                                 bool discard_parked, struct ow_erasure *ret_erasure);
struct ow_erasure ow_life_erase(struct ow_fixture *fixture, const char *entity);
struct ow_verification ow_life_verify(struct ow_fixture *fixture);
/* All promises are kept; the number of its notes. */
size_t ow_life_must_verify(struct ow_fixture *fixture);
bool ow_life_is_broken(struct ow_fixture *fixture, const char *promise);
/* How often a text is in the bytes of a file; 0 where there is no such file. */
size_t ow_life_count_in(const char *path, const char *text);
size_t ow_life_count_everywhere(const struct ow_fixture *fixture, const char *text);
enum ow_outcome ow_life_send(struct ow_fixture *fixture, int entity,
                             const struct ow_life_message *message);
/* What an entity meets in its life. Step by step for all of them, so that each page has rows of
 * many. */
void ow_life_live_all(struct ow_fixture *fixture);

#endif
