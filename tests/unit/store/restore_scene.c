#include "restore_scene.h"

#include "store/backup.h"
#include "store/verify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct ow_fixture ow_scene;
char ow_scene_from[96];

void ow_scene_must(enum ow_status status)
{
    if (status != OW_OK) {
        fail_msg("%s: %s", ow_status_text(status), ow_scene.err.text);
    }
}

const char *ow_scene_name(const char *ending)
{
    return ow_arena_printf(&ow_scene.kept, "%s%s", ow_scene.path, ending);
}

bool ow_scene_has(const char *ending)
{
    struct stat status;
    return lstat(ow_scene_name(ending), &status) == 0;
}

static void back_up(const char *to)
{
    const struct ow_clock clock = ow_clock_manual(&ow_scene.clock);
    struct ow_backup *backup = NULL;
    bool more = true;
    ow_scene_must(ow_backup_begin(ow_scene.store, to, &clock, &backup, &ow_scene.err));
    while (more) {
        ow_scene_must(ow_backup_copy(backup, 0, &more, &ow_scene.err));
    }
    ow_backup_let_go(backup);
    ow_scene_must(ow_backup_finish(backup, &ow_scene.err));
    ow_backup_free(backup);
}

/* A backup, and a store that went on after it; nothing is open. */
void ow_scene_start(void)
{
    ow_fixture_init(&ow_scene);
    ow_fixture_open(&ow_scene);
    ow_fixture_fill(&ow_scene);
    (void)snprintf(ow_scene_from, sizeof ow_scene_from, "%.64s/backup.db", ow_scene.folder);
    back_up(ow_scene_from);
    assert_int_equal(ow_fixture_event(&ow_scene, "later", "order.created", "later",
                                      "\"amount\":1,\"currency\":\"EUR\""),
                     OW_OUTCOME_APPLIED);
    ow_fixture_close(&ow_scene);
    ow_fixture_open(&ow_scene); /* its epoch goes on, too */
    ow_fixture_close(&ow_scene);
}

const char *ow_scene_verify(const char *path)
{
    struct ow_verification found;
    ow_scene_must(ow_verify(path, &ow_scene.kept, &found, &ow_scene.err));
    for (size_t i = 0; i < found.promise_count; i++) {
        if (found.promises[i].broken > 0) {
            fail_msg("%s: %s: %s", path, found.promises[i].name, found.promises[i].examples[0]);
        }
    }
    return ow_arena_text(&ow_scene.kept, ow_slice_of(found.state_hash));
}

struct ow_restore_options ow_scene_options(void)
{
    return (struct ow_restore_options){
        .path = ow_scene.path, .from = ow_scene_from, .clock = ow_clock_manual(&ow_scene.clock)};
}

enum ow_status ow_scene_restore(const struct ow_restore_options *options, int64_t group_epoch)
{
    struct ow_restore *made = NULL;
    enum ow_status status = ow_restore_begin(options, &made, &ow_scene.err);
    if (status == OW_OK) {
        status = ow_restore_place(made, group_epoch, &ow_scene.err);
    }
    ow_restore_free(made);
    return status;
}

void ow_scene_refused(const struct ow_restore_options *options, enum ow_status expected,
                      const char *says)
{
    struct ow_restore *made = NULL;
    const enum ow_status status = ow_restore_begin(options, &made, &ow_scene.err);
    if (status != expected || strstr(ow_scene.err.text, says) == NULL) {
        fail_msg("%s: %s", ow_status_text(status), ow_scene.err.text);
    }
    assert_null(made);
    assert_false(ow_scene_has(".part"));
}

int64_t ow_scene_later_orders(void)
{
    return ow_fixture_i64(&ow_scene, "SELECT count(*) FROM orders WHERE order_id = 'later'");
}

void ow_scene_write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}
