/*
 * transcripts: a story of records, runs, restarts, rewinds and deadlines, played by the whole
 * worker (the transcripts' own player) over the memory broker and a real database, in batches of
 * some size. Whatever becomes of its records: verify is content afterwards, also when everything
 * was read once more, which changes nothing.
 *
 * An input is a digit (batches of 1, 2, 3, 4096; from 4 on with rebalances in the middle) and a
 * story as in tests/transcripts/README.md. What the story says of outcomes and rows is not looked
 * at: the player's checks of these are wrapped by the linker (CMakeLists.txt).
 */
#include "base/log.h"
#include "fuzz.h"
#include "story.h"
#include "transcript.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Stand in for the player's own checks; the names are the linker's. */
bool take_sent(struct ow_play *play, bool must_be_there) __asm__("__wrap_ow_play_check_sent")
    __attribute__((used));
bool take_rows(struct ow_play *play, const char *sql,
               const json_t *rows) __asm__("__wrap_ow_play_check_rows") __attribute__((used));

bool take_sent(struct ow_play *play, bool must_be_there)
{
    (void)must_be_there;
    for (struct ow_sent *sent = play->sent; sent != NULL; sent = sent->next) {
        sent->checked = true;
    }
    return true;
}

bool take_rows(struct ow_play *play, const char *sql, const json_t *rows)
{
    (void)play;
    (void)sql;
    (void)rows;
    return true;
}

/* The player reads a file; this one is in memory. */
static int write_story(const json_t *story)
{
    char *const text = json_dumps(story, JSON_COMPACT);
    OW_REQUIRE(text != NULL);
    const int fd = memfd_create("story", MFD_CLOEXEC);
    OW_REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    free(text);
    return fd;
}

/* The story may fail on its own account; the proofs after it may not. */
static void check_play(const struct ow_play *play, bool passed)
{
    const bool in_proof = strcmp(play->path, "/verify") == 0 || strcmp(play->path, "/replay") == 0;
    if (!passed && in_proof) {
        (void)fprintf(stderr, OW_SLICE_FMT "\n", OW_SLICE_ARG(ow_buffer_view(&play->failure)));
    }
    OW_PROMISE(passed || !in_proof);
}

static void play_story(const json_t *story, unsigned digit)
{
    static const size_t rows[] = {1, 2, 3, 4096};
    const struct ow_variant variant = {
        .name = "fuzz", .batch_rows = rows[digit & 3], .rebalances = (digit & 4) != 0};
    const int fd = write_story(story);
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    struct ow_play play;
    OW_BUFFER dump = {0};
    const bool passed = ow_play_run(&play, path, &variant, &dump);
    check_play(&play, passed);
    ow_play_done(&play);
    (void)close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    ow_log_set_level(OW_LOG_ERROR);
    struct ow_fuzz_input input = {
        .rest = {bytes, len}
    };
    const unsigned digit = ow_fuzz_byte(&input);
    struct ow_err err = {.text = ""};
    struct ow_tree tree;
    if (ow_tree_parse("story", input.rest, NULL, NULL, &tree, &err) != OW_OK) {
        return 0;
    }
    json_t *const story = ow_story_make(tree.root);
    if (story != NULL) {
        play_story(story, digit);
        json_decref(story);
    }
    ow_tree_done(&tree);
    return 0;
}
