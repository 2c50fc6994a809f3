/*
 * story: hostile YAML made into a story that the transcripts' player can play: what is not of the
 * story's form is left out, what would touch files other than the play's own (sql, rows, save) too,
 * and numbers are held down, so that a play is short.
 *
 * Threads: pure. Memory: the caller releases the story. Failure: NULL where nothing is left to
 * play.
 */
#ifndef OW_TESTS_FUZZ_STORY_H
#define OW_TESTS_FUZZ_STORY_H

#include <jansson.h>

json_t *ow_story_make(const json_t *wild);

#endif
