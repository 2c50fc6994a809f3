/*
 * fuzz: what the fuzz targets share. A target is one file target_<name>.c with the one function
 * LLVMFuzzerTestOneInput: built with -DONCEWARD_FUZZ=ON it is a libFuzzer program, otherwise
 * replay.c runs it over the files of corpus/<name>, which is what ctest does (label fuzz).
 *
 * A target asserts promises (OW_PROMISE) and not only that nothing crashes. The same bytes must
 * always do the same: no clock, no random numbers, no state from one input to the next.
 *
 * Threads: one. Memory: each input gives back all that it took.
 */
#ifndef OW_TESTS_FUZZ_FUZZ_H
#define OW_TESTS_FUZZ_FUZZ_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/contract.h"
#include "model/machine.h"

/* libFuzzer's entry point: the name is its own. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* What must hold for every input: prints it and aborts. */
#define OW_PROMISE(condition) OW_CONTRACT_("promise", condition)

/* The bytes of an input that are still to be read; at the end all reads give 0 or nothing. */
struct ow_fuzz_input {
    struct ow_slice rest;
};
uint8_t ow_fuzz_byte(struct ow_fuzz_input *input);
/* Up to the next line end, which is taken and left out. */
struct ow_slice ow_fuzz_line(struct ow_fuzz_input *input);

/* Adds a machine file of the source tree, such as "schemas/orders.yaml", or a YAML text. They must
 * be good. */
void ow_fuzz_add_file(struct ow_machines *machines, const char *path);
void ow_fuzz_add_text(struct ow_machines *machines, struct ow_slice text);

/* Whether the texts that are made for people and machines are: no NUL, well-formed UTF-8, not
 * empty. */
bool ow_fuzz_is_text(struct ow_slice text);

/* The canonical form as a text of the arena's. */
struct ow_slice ow_fuzz_canonical(struct ow_arena *arena, const json_t *json);

#endif
