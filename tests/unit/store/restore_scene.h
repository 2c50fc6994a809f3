/*
 * restore_scene: a store, a backup of it, and what the store did after that: what the tests of
 * restore begin with.
 */
#ifndef OW_TESTS_STORE_RESTORE_SCENE_H
#define OW_TESTS_STORE_RESTORE_SCENE_H

#include "store/restore.h"
#include "support/store/store_fixture.h"

extern struct ow_fixture ow_scene; /* the store's */
extern char ow_scene_from[96];     /* the backup */

/* Nothing is open afterwards. */
void ow_scene_start(void);
void ow_scene_must(enum ow_status status);
/* The store's path with an ending; whether it is there. */
const char *ow_scene_name(const char *ending);
bool ow_scene_has(const char *ending);
void ow_scene_write_file(const char *path, const char *text);
struct ow_restore_options ow_scene_options(void);
enum ow_status ow_scene_restore(const struct ow_restore_options *options, int64_t group_epoch);
/* It fails so before it has changed anything. */
void ow_scene_refused(const struct ow_restore_options *options, enum ow_status expected,
                      const char *says);
/* Every promise is kept there; the hash of its business state. */
const char *ow_scene_verify(const char *path);
/* How many orders there are that only came after the backup. */
int64_t ow_scene_later_orders(void);

#endif
