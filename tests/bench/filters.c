/*
 * The filters under the claims' sealed buckets, compared: what finds the bucket of a key in the
 * least memory and time. `./dev bench filters` builds and runs it.
 *
 * Theory: with words of w bits and B buckets a fresh key has B / 2^w needless look-ups, however the
 * filters are merged: one over 2^b buckets has b bits less of fingerprint and stands for 2^b
 * filters. What merging saves is the asking: B filters become at most 7 log8 B, half of that on
 * average; with the largest over 64 buckets B / 64 and at most 14 more. Blocked Bloom filters have
 * no such simple law (0 in the table).
 */
#include "kind.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 5000, SWEPT_BYTES = 64 << 20 };

struct options {
    size_t claims;
    size_t bucket_claims;
    size_t piece_claims;
    size_t merge;   /* so many filters become one */
    size_t largest; /* over so many buckets at most */
};

struct result {
    const char *kind;
    struct layout layout;
    size_t filters;
    double bytes;    /* a claim */
    double probe_ns; /* a fresh key */
    double needless; /* look-ups in a bucket, a fresh key */
    double expected; /* the same in theory; 0: none */
    double keys;     /* share of fresh keys that have any */
    double build_ns; /* a claim, merges included */
};

/* Between two batches a worker does much else: nothing is left in the caches. */
static void sweep_caches(void)
{
    static uint8_t *swept;
    if (swept == NULL) {
        swept = kind_alloc(SWEPT_BYTES);
    }
    for (size_t i = 0; i < SWEPT_BYTES; i += 64) {
        ((volatile uint8_t *)swept)[i]++;
    }
}

/* Every claim must be found in its bucket: a batch of them from all over. */
static bool finds_its_own(const struct kind *kind, const void *filters, const struct layout *layout)
{
    struct claims batch = kind_claims(BATCH);
    uint32_t *own = kind_alloc(BATCH * sizeof(uint32_t));
    uint8_t *any = kind_alloc(BATCH);
    const size_t all = layout->buckets * layout->bucket_claims;
    for (size_t i = 0; i < BATCH; i++) {
        const size_t number = kind_mix(i) % all;
        kind_claims_fill(&(struct claims){batch.hashes + i, batch.prints + i, 1}, number);
        own[i] = (uint32_t)(number / layout->bucket_claims);
    }
    struct hits hits = {.any = any, .own = own};
    kind->probe(filters, &batch, &hits);
    free(own);
    free(any);
    kind_claims_done(&batch);
    return hits.own_met == BATCH;
}

static void probe_fresh(const struct kind *kind, const void *filters, struct result *result)
{
    struct claims batch = kind_claims(BATCH);
    uint8_t *any = kind_alloc(BATCH);
    size_t batches = 0;
    uint64_t buckets = 0;
    uint64_t keys = 0;
    double seconds = 0;
    while (batches < 40 || (seconds < 1 && batches < 400)) {
        kind_claims_fill(&batch, (UINT64_C(1) << 40) + batches * BATCH);
        struct hits hits = {.any = any};
        for (size_t i = 0; i < BATCH; i++) {
            any[i] = 0;
        }
        sweep_caches();
        const double before = kind_now();
        kind->probe(filters, &batch, &hits);
        seconds += kind_now() - before;
        batches++;
        buckets += hits.buckets;
        for (size_t i = 0; i < BATCH; i++) {
            keys += any[i];
        }
    }
    const double fresh = (double)(batches * BATCH);
    result->probe_ns = seconds * 1e9 / fresh;
    result->needless = (double)buckets / fresh;
    result->keys = (double)keys / fresh;
    free(any);
    kind_claims_done(&batch);
}

static struct result measure(const struct kind *kind, const struct layout *layout)
{
    struct result result = {.kind = kind->name, .layout = *layout};
    const double claims = (double)(layout->buckets * layout->bucket_claims);
    double seconds = 0;
    void *filters = kind->make(layout, &seconds);
    if (!finds_its_own(kind, filters, layout)) {
        (void)fprintf(stderr, "filters: %s loses claims\n", kind->name);
        exit(1);
    }
    probe_fresh(kind, filters, &result);
    result.filters = kind->filters(filters);
    result.bytes = (double)kind->bytes(filters) / claims;
    result.expected = kind->needless * (double)layout->buckets;
    result.build_ns = seconds * 1e9 / claims;
    kind->free(filters);
    return result;
}

static void print_row(const struct result *result)
{
    printf("%7zu %9zu  %-7s %7zu %12.3f %13.1f %12.5f %10.5f %9.3f %% %10.1f\n",
           result->layout.buckets, result->layout.bucket_claims, result->kind, result->filters,
           result->bytes, result->probe_ns, result->needless, result->expected, 100 * result->keys,
           result->build_ns);
    (void)fflush(stdout);
}

static void print_json(const struct options *options, const struct result *results, size_t count)
{
    printf("{\"claims\":%zu,\"piece_claims\":%zu,\"merge\":%zu,\"largest\":%zu,\"batch\":%d,"
           "\"results\":[",
           options->claims, options->piece_claims, options->merge, options->largest, BATCH);
    for (size_t i = 0; i < count; i++) {
        const struct result *result = &results[i];
        printf("%s{\"buckets\":%zu,\"bucket_claims\":%zu,\"kind\":\"%s\",\"filters\":%zu,"
               "\"bytes_per_claim\":%.4f,\"probe_ns\":%.2f,\"needless\":%.6f,"
               "\"needless_expected\":%.6f,\"keys_with_needless\":%.6f,\"build_ns\":%.1f}",
               i == 0 ? "" : ",", result->layout.buckets, result->layout.bucket_claims,
               result->kind, result->filters, result->bytes, result->probe_ns, result->needless,
               result->expected, result->keys, result->build_ns);
    }
    printf("]}\n");
}

static size_t number(const char *text, size_t min, size_t max)
{
    char *end = NULL;
    const unsigned long long value = strtoull(text, &end, 10);
    if (end == text || *end != '\0' || value < min || value > max) {
        (void)fprintf(stderr, "filters: '%s' is not a number from %zu to %zu\n", text, min, max);
        exit(2);
    }
    return (size_t)value;
}

static struct options read_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"claims",  required_argument, NULL, 'c'},
        {"bucket",  required_argument, NULL, 'b'},
        {"piece",   required_argument, NULL, 'p'},
        {"merge",   required_argument, NULL, 'm'},
        {"largest", required_argument, NULL, 'l'},
        {NULL,      0,                 NULL, 0  }
    };
    struct options options = {5000000, 100000, 100000, 8, 64};
    int option = 0;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (option) {
        case 'c':
            options.claims = number(optarg, 1000, 1000000000);
            break;
        case 'b':
            options.bucket_claims = number(optarg, 1, 4000000);
            break;
        case 'p':
            options.piece_claims = number(optarg, 1000, 4000000);
            break;
        case 'm':
            options.merge = number(optarg, 2, 64);
            break;
        case 'l':
            options.largest = number(optarg, 1, 1024);
            break;
        default:
            (void)fprintf(stderr, "usage: filters [--claims N] [--bucket CLAIMS] [--piece CLAIMS]"
                                  " [--merge FILTERS] [--largest BUCKETS]\n");
            exit(2);
        }
    }
    return options;
}

/* Rounded down to a power of two. */
static unsigned bits_of(size_t count)
{
    unsigned bits = 0;
    while (count >> (bits + 1) != 0) {
        bits++;
    }
    return bits;
}

int main(int argc, char **argv)
{
    static const size_t buckets[] = {1, 10, 100, 1000};
    enum { BUCKETS = sizeof(buckets) / sizeof(*buckets), KINDS = 3 };
    static const struct kind *const kinds[KINDS] = {&kind_bloom, &kind_fuse16, &kind_tiers};
    const struct options options = read_options(argc, argv);
    struct result results[BUCKETS * KINDS];
    size_t count = 0;
    printf("Batches of %d fresh keys, caches swept between them. Tiers: %d filters become one, the "
           "largest over %d buckets,\npieces of about %zu claims. Buckets of %zu claims; of fewer "
           "where %zu claims are too few for that.\n\n",
           BATCH, 1 << bits_of(options.merge), 1 << bits_of(options.largest), options.piece_claims,
           options.bucket_claims, options.claims);
    printf("%7s %9s  %-7s %7s %12s %13s %12s %10s %11s %10s\n", "buckets", "claims in", "kind",
           "filters", "bytes/claim", "ns/fresh key", "needless/key", "in theory", "of keys",
           "ns to build");
    for (size_t i = 0; i < BUCKETS; i++) {
        const size_t fits = options.claims / buckets[i];
        const struct layout layout = {
            .buckets = buckets[i],
            .bucket_claims = fits < options.bucket_claims ? fits : options.bucket_claims,
            .piece_claims = options.piece_claims,
            .merge_bits = bits_of(options.merge),
            .index_bits = bits_of(options.largest),
        };
        for (size_t j = 0; j < KINDS; j++) {
            results[count] = measure(kinds[j], &layout);
            print_row(&results[count++]);
        }
    }
    printf("\n");
    print_json(&options, results, count);
    return 0;
}
