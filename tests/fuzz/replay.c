/*
 * replay: runs a fuzz target over files, and over all files of folders: what found a bug once, and
 * what reaches far, is tried again by every test run. Without libFuzzer, so with any compiler.
 *
 *     fuzz_<target> FILE|FOLDER...
 */
#include "fuzz.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

static size_t files;

static int replay_file(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)place;
    if (type != FTW_F) {
        return 0;
    }
    FILE *const file = fopen(path, "re");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    (void)printf("%s\n", path); /* before it runs: the last one named is the one that failed */
    (void)fflush(stdout);
    OW_BUFFER input = {0};
    char bytes[4096];
    size_t got = 0;
    while ((got = fread(bytes, 1, sizeof bytes, file)) > 0) {
        ow_buffer_append(&input, bytes, got);
    }
    (void)fclose(file);
    /* Of just that size, so that ASan sees the first byte behind it. */
    uint8_t *const exact = malloc(input.len == 0 ? 1 : input.len);
    OW_REQUIRE(exact != NULL);
    if (input.len > 0) {
        memcpy(exact, input.ptr, input.len);
    }
    (void)LLVMFuzzerTestOneInput(exact, input.len);
    free(exact);
    files++;
    return 0;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (nftw(argv[i], replay_file, 8, FTW_PHYS) != 0) {
            (void)fprintf(stderr, "fuzz: cannot read '%s'\n", argv[i]);
            return 1;
        }
    }
    if (files == 0) {
        (void)fprintf(stderr, "fuzz: there is nothing to replay\n");
        return 1;
    }
    (void)printf("%zu files\n", files);
    return 0;
}
