/*
 * strict: a second reader of JSON that shares nothing with jansson, so that what ow_json_parse
 * takes and refuses can be held against something else: RFC 8259, in well-formed UTF-8, no member
 * twice, integers within 64 bits, finite reals, no NUL, pairs of surrogates, at most 2,048 values
 * inside each other.
 *
 * It only says yes or no. Threads: pure. Memory: the arena's.
 */
#ifndef OW_TESTS_FUZZ_STRICT_H
#define OW_TESTS_FUZZ_STRICT_H

#include "base/arena.h"

bool ow_strict_json(struct ow_slice text, struct ow_arena *arena);

#endif
