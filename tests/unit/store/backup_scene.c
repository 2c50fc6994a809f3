#include "backup_scene.h"

#include "store/verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>

struct ow_fixture ow_copy;
char ow_copy_to[128];

void ow_copy_add_orders(int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "n%d", i);
        assert_int_equal(ow_fixture_event(&ow_copy, id, "order.created", id,
                                          "\"amount\":1,\"currency\":\"EUR\""),
                         OW_OUTCOME_APPLIED);
    }
}

void ow_copy_start(void)
{
    ow_fixture_init(&ow_copy);
    ow_fixture_open(&ow_copy);
    ow_fixture_fill(&ow_copy);
    /* An operator's table, so that there are some 300 pages and ten slices. */
    ow_fixture_exec(&ow_copy, "CREATE TABLE large (x); INSERT INTO large VALUES"
                              " (zeroblob(500000)), (zeroblob(500000))");
    ow_copy_add_orders(0, OW_COPY_ORDERS);
    (void)snprintf(ow_copy_to, sizeof ow_copy_to, "%s/copy.db", ow_copy.folder);
}

void ow_copy_stop(void)
{
    ow_fixture_done(&ow_copy);
}

const char *ow_copy_name(const char *ending)
{
    return ow_arena_printf(&ow_copy.kept, "%s%s", ow_copy_to, ending);
}

bool ow_copy_has(const char *ending)
{
    char path[160];
    struct stat status;
    (void)snprintf(path, sizeof path, "%s%s", ow_copy_to, ending);
    return lstat(path, &status) == 0;
}

struct ow_backup *ow_copy_begin(void)
{
    const struct ow_clock clock = ow_clock_manual(&ow_copy.clock);
    struct ow_backup *backup = NULL;
    if (ow_backup_begin(ow_copy.store, ow_copy_to, &clock, &backup, &ow_copy.err) != OW_OK) {
        fail_msg("%s", ow_copy.err.text);
    }
    return backup;
}

/* A slice of a few pages: the clock stands still, and the budget is nothing. */
bool ow_copy_slice(struct ow_backup *backup)
{
    bool more = false;
    if (ow_backup_copy(backup, 0, &more, &ow_copy.err) != OW_OK) {
        fail_msg("%s", ow_copy.err.text);
    }
    return more;
}

struct ow_backup *ow_copy_all(void)
{
    struct ow_backup *backup = ow_copy_begin();
    while (ow_copy_slice(backup)) {
    }
    return backup;
}

struct ow_backup_figures ow_copy_end(struct ow_backup *backup)
{
    ow_backup_let_go(backup);
    if (ow_backup_finish(backup, &ow_copy.err) != OW_OK) {
        fail_msg("%s", ow_copy.err.text);
    }
    const struct ow_backup_figures figures = ow_backup_look(backup);
    ow_backup_free(backup);
    return figures;
}

void ow_copy_refused(const char *place, enum ow_status expected, const char *says)
{
    const struct ow_clock clock = ow_clock_manual(&ow_copy.clock);
    struct ow_backup *backup = NULL;
    assert_int_equal(ow_backup_begin(ow_copy.store, place, &clock, &backup, &ow_copy.err),
                     expected);
    assert_null(backup);
    if (strstr(ow_copy.err.text, says) == NULL) {
        fail_msg("%s", ow_copy.err.text);
    }
}

/* Every promise holds there; the hash of the business state, of the kept arena. */
const char *ow_copy_verify(const char *path)
{
    struct ow_verification found;
    if (ow_verify(path, &ow_copy.kept, &found, &ow_copy.err) != OW_OK) {
        fail_msg("%s", ow_copy.err.text);
    }
    for (size_t i = 0; i < found.promise_count; i++) {
        if (found.promises[i].broken > 0) {
            fail_msg("%s: %s: %s", path, found.promises[i].name, found.promises[i].examples[0]);
        }
    }
    return ow_arena_text(&ow_copy.kept, ow_slice_of(found.state_hash));
}
