/*
 * random: the one source of chance: everything that the simulation draws comes from a seed
 * (splitmix64). Streams of their own keep one kind of choice apart from another, so that a shorter
 * plan still meets most of the same choices.
 *
 * Threads: one owner a stream. Memory: a value.
 */
#ifndef OW_SIMULATION_RANDOM_H
#define OW_SIMULATION_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ow_random {
    uint64_t state;
};

static inline uint64_t ow_random_next(struct ow_random *random)
{
    random->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t z = random->state;
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* A stream of its own for a purpose. */
static inline struct ow_random ow_random_stream(uint64_t seed, uint64_t purpose)
{
    struct ow_random random = {seed * UINT64_C(0xd1342543de82ef95) + purpose};
    (void)ow_random_next(&random);
    return random;
}

/* 0 … below - 1; 0 where below is 0. */
static inline int ow_random_below(struct ow_random *random, int below)
{
    return below <= 0 ? 0 : (int)(ow_random_next(random) % (uint64_t)below);
}

/* least … most, both included. */
static inline int ow_random_between(struct ow_random *random, int least, int most)
{
    return least + ow_random_below(random, most - least + 1);
}

static inline bool ow_random_percent(struct ow_random *random, int percent)
{
    return ow_random_below(random, 100) < percent;
}

#endif
