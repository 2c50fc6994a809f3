/*
 * claim_story: a store whose claims are known: every record that was handed in, with the key, ref
 * and fingerprint that its claim got, beside a plain list. For the tests of filters and pruning.
 *
 * Three kinds of events with retentions of their own (8 d, 2 d, 16 h); what goes in is judged and
 * written as by the engine, so that verify has something to prove. Time: fixture.clock, which may
 * be wrong: records have the right time.
 */
#ifndef OW_TESTS_STORE_CLAIM_STORY_H
#define OW_TESTS_STORE_CLAIM_STORY_H

#include "support/store/store_fixture.h"

enum { OW_STORY_KINDS = 3 };
extern const int64_t ow_story_class_ms[OW_STORY_KINDS];

struct ow_told {
    int64_t number; /* its id */
    int kind;
    uint8_t key[OW_CLAIM_KEY_BYTES], fingerprint[OW_FINGERPRINT_BYTES];
    int64_t ref, bucket;
    int64_t claimed_at_ms; /* by the wall clock */
    int64_t happened_ms;   /* really, and as its record says */
    bool pruned;           /* its bucket is doomed or gone */
};

struct ow_story {
    struct ow_fixture fixture;
    uint64_t seed, random;
    int64_t wrong_ms; /* how far ahead the wall clock is of the right time */
    struct ow_told *told;
    size_t count, capacity;
    size_t committed; /* of told */
    int64_t last_number;
    int64_t horizon_ms[OW_STORY_KINDS]; /* as last seen */
    int64_t limit_ms;                   /* of the last step */
};

/* A store that is open and empty. */
void ow_story_init(struct ow_story *story, uint64_t seed, int64_t bucket_claims);
void ow_story_done(struct ow_story *story);

uint64_t ow_story_random(struct ow_story *story, uint64_t below);

/* A batch of so many new records; then committed. */
void ow_story_take(struct ow_story *story, int kind, size_t count);
/* One of new records of all kinds and of old ones, in savepoints or not, some of them rolled back,
 * or all. */
void ow_story_batch(struct ow_story *story);
/* A step of what is to be done between batches; false: nothing is left to do. */
bool ow_story_tend(struct ow_story *story, int64_t limit_ms, size_t rows);
/* Likewise, where it may fail. */
enum ow_status ow_story_try_tend(struct ow_story *story, int64_t limit_ms, size_t rows,
                                 bool *ret_more);
void ow_story_tend_all(struct ow_story *story, int64_t limit_ms);

void ow_story_reopen(struct ow_story *story);
/* As if the process had been killed: what is in the files goes on. */
void ow_story_crash(struct ow_story *story);

/* Each key that was claimed and not pruned is found with its ref and fingerprint, and no other. */
void ow_story_check_keys(struct ow_story *story);
/* Every promise that verify knows. */
void ow_story_verify(struct ow_story *story);
/* Of the class of a kind, INT64_MIN: none. */
int64_t ow_story_horizon_ms(const struct ow_story *story, int kind);
/* What holds when nothing is left to do: all is filtered, by few filters, and no garbage stays. */
void ow_story_check_tended(struct ow_story *story);

#endif
