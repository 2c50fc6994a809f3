#include "kind.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t kind_mix(uint64_t x)
{
    x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    return x ^ (x >> 32);
}

void *kind_alloc(size_t bytes)
{
    void *memory = calloc(1, bytes);
    if (memory == NULL) {
        (void)fprintf(stderr, "filters: out of memory (%zu bytes)\n", bytes);
        exit(1);
    }
    return memory;
}

double kind_now(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

struct claims kind_claims(size_t count)
{
    return (struct claims){.hashes = kind_alloc(count * sizeof(uint64_t)),
                           .prints = kind_alloc(count * sizeof(uint16_t)),
                           .count = count};
}

void kind_claims_fill(struct claims *claims, uint64_t first)
{
    for (size_t i = 0; i < claims->count; i++) {
        const uint64_t number = (first + i + 1) * UINT64_C(0x9e3779b97f4a7c15);
        claims->hashes[i] = kind_mix(number);
        claims->prints[i] = (uint16_t)(kind_mix(~number) >> 48);
    }
}

void kind_claims_done(struct claims *claims)
{
    free(claims->hashes);
    free(claims->prints);
}
