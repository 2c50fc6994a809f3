/*
 * entropy: what libsodium takes for chance (a new store's id) comes from the seed too.
 *
 * Threads: one. Memory: static.
 */
#ifndef OW_SIMULATION_ENTROPY_H
#define OW_SIMULATION_ENTROPY_H

#include <stdint.h>

/* Once, before libsodium is used. */
void ow_entropy_register(void);
void ow_entropy_reset(uint64_t seed);

#endif
