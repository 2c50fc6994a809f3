/*
 * files: the in-memory twin of cmd/onceward/file.c: what a configuration can name is here and
 * nowhere else, so that an input always does the same and touches nothing.
 *
 * "onceward.yaml" is the input's; orders.yaml and loans.yaml are machines of this tree, broken.yaml
 * is none; "secret" holds OW_FILES_SECRET and a line end, "empty" nothing.
 */
#ifndef OW_TESTS_FUZZ_FILES_H
#define OW_TESTS_FUZZ_FILES_H

#include "base/slice.h"

#define OW_FILES_SECRET "hush-7f3a9c51"

/* The content of onceward.yaml, borrowed. */
void ow_files_set_configuration(struct ow_slice text);

#endif
