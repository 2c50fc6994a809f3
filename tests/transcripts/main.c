#include "base/log.h"
#include "transcript.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

static const struct ow_variant variants[] = {
    {"batches of 4096", 4096, false},
    {"batches of 1",    1,    false},
    {"batches of 3",    3,    false},
    {"rebalances",      4096, true },
};
enum { VARIANTS = sizeof(variants) / sizeof(variants[0]) };

/* Plays a file in every variant. On failure *ret_failure says why (the arena's). */
static bool play_file(const char *file, struct ow_arena *arena, const char **ret_failure)
{
    const char *first = NULL;
    for (size_t i = 0; i < VARIANTS; i++) {
        struct ow_play play;
        OW_BUFFER dump = {0};
        const bool passed = ow_play_run(&play, file, &variants[i], &dump);
        const char *text = ow_arena_text(arena, ow_buffer_view(passed ? &dump : &play.failure));
        ow_play_done(&play);
        if (!passed) {
            *ret_failure = text;
            return false;
        }
        first = first == NULL ? text : first;
        if (strcmp(first, text) != 0) {
            *ret_failure = ow_arena_printf(arena, "%s: %s and %s leave different stores:\n  %s",
                                           file, variants[0].name, variants[i].name,
                                           ow_dump_difference(arena, first, text));
            return false;
        }
    }
    return true;
}

/* What a transcript that must fail has to say, so that we know that the runner sees what it is
 * there to see. */
static const char *expected_failure(const char *file, struct ow_arena *arena)
{
    enum { MOST = 65536 };
    char *text = ow_arena_alloc(arena, MOST);
    FILE *stream = fopen(file, "re");
    const size_t len = stream == NULL ? 0 : fread(text, 1, MOST, stream);
    if (stream != NULL) {
        (void)fclose(stream);
    }
    struct ow_err err;
    struct ow_tree tree;
    if (ow_tree_parse(file, (struct ow_slice){(const uint8_t *)text, len}, NULL, NULL, &tree,
                      &err) != OW_OK) {
        return NULL;
    }
    const char *fails = json_string_value(json_object_get(tree.root, "fails"));
    const char *copy = fails == NULL ? NULL : ow_arena_text(arena, ow_slice_of(fails));
    ow_tree_done(&tree);
    return copy;
}

static bool run_one(const char *file, bool must_fail)
{
    struct ow_arena arena;
    ow_arena_init(&arena, (size_t)1 << 16);
    const char *failure = NULL;
    const bool passed = play_file(file, &arena, &failure);
    bool good = passed;
    if (must_fail) {
        const char *says = expected_failure(file, &arena);
        good = !passed && says != NULL && strstr(failure, says) != NULL;
        if (!good) {
            (void)printf("FAILED  %s must fail with '%s', and %s\n", file,
                         says == NULL ? "(fails: is missing)" : says, passed ? "passed" : failure);
        }
    } else if (!good) {
        (void)printf("FAILED  %s\n", failure);
    }
    if (good) {
        (void)printf("ok      %s%s\n", file, must_fail ? " (fails, as it must)" : "");
    }
    ow_arena_done(&arena);
    return good;
}

static int is_yaml(const struct dirent *entry)
{
    const size_t len = strlen(entry->d_name);
    return len > 5 && strcmp(entry->d_name + len - 5, ".yaml") == 0;
}

static void run_folder(const char *folder, bool must_fail, int *ret_passed, int *ret_failed)
{
    struct dirent **entries = NULL;
    const int count = scandir(folder, &entries, is_yaml, alphasort);
    for (int i = 0; i < count; i++) {
        char path[4096];
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        const bool good = run_one(path, must_fail);
        *ret_passed += good;
        *ret_failed += !good;
        free(entries[i]);
    }
    free(entries);
    if (count <= 0) {
        (void)printf("FAILED  there is no transcript in %s\n", folder);
        (*ret_failed)++;
    }
}

/* Without arguments all of them, and those that must fail; else the files named. */
int main(int argc, char **argv)
{
    int passed = 0;
    int failed = 0;
    ow_log_set_level(OW_LOG_ERROR);
    for (int i = 1; i < argc; i++) {
        const bool good = run_one(argv[i], false);
        passed += good;
        failed += !good;
    }
    if (argc == 1) {
        run_folder(OW_SOURCE_DIR "/tests/transcripts", false, &passed, &failed);
        run_folder(OW_SOURCE_DIR "/tests/transcripts/wrong", true, &passed, &failed);
    }
    (void)printf("%d transcripts passed, %d failed, each in %d variants\n", passed, failed,
                 VARIANTS);
    return failed == 0 ? 0 : 1;
}
