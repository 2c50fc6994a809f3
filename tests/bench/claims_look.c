/*
 * Look-ups of free keys, with all claims in one sealed bucket and with as many in a thousand. Small
 * buckets come to be by age, as with a slow topic: in one class the store would make larger ones.
 * Both stores have the same keys, and as many in the open bucket, half of one as in the mean; they
 * take turns.
 */
#include "claims.h"

#include <stdio.h>

enum { BUCKETS = 1000, OPEN = 50000, KEYS = 5000, ROUNDS = 61 };

static int64_t sealed(const struct claims_box *box)
{
    return claims_box_sql(box, "SELECT count(*) FROM ow_bucket WHERE sealed_at_ms IS NOT NULL");
}

static void fill(struct claims_box *box, const struct claims_options *options, const char *name,
                 int64_t buckets)
{
    enum { STEP_MS = 100, SHARES = 16 /* of a retention, after which a bucket is sealed */ };
    const int64_t each = options->look / buckets;
    claims_box_init(box, options->folder, name);
    box->manual = (struct ow_clock_manual){.now_ms = INT64_C(1800000000000)};
    box->clock = ow_clock_manual(&box->manual);
    box->class_ms = (int64_t)STEP_MS * SHARES;
    box->bucket_claims = options->look + OPEN + 1;
    claims_box_open(box);
    while (box->taken < each * buckets) {
        const int64_t left = each - box->taken % each;
        claims_box_take(box, (size_t)(left < options->batch ? left : options->batch), 0);
        if (box->taken % each == 0) {
            box->manual.now_ms += STEP_MS;
            claims_box_tend_all(box);
        }
    }
    claims_box_take(box, OPEN, 0);
    claims_box_tend_all(box);
}

void claims_look(const struct claims_options *options, struct claims_looked *ret_looked)
{
    struct claims_box one;
    struct claims_box thousand;
    struct claims_samples one_samples = {0};
    struct claims_samples thousand_samples = {0};
    fill(&one, options, "one", 1);
    fill(&thousand, options, "thousand", BUCKETS);
    for (int i = 0; i < ROUNDS; i++) {
        claims_samples_add(&one_samples, claims_box_look(&one, KEYS));
        claims_samples_add(&thousand_samples, claims_box_look(&thousand, KEYS));
    }
    *ret_looked = (struct claims_looked){
        .one_ns = 1e6 * claims_samples_ms(&one_samples, 0.5) / KEYS,
        .thousand_ns = 1e6 * claims_samples_ms(&thousand_samples, 0.5) / KEYS,
        .one = sealed(&one),
        .thousand = sealed(&thousand)};
    claims_samples_done(&one_samples);
    claims_samples_done(&thousand_samples);
    claims_box_done(&one);
    claims_box_done(&thousand);
}
