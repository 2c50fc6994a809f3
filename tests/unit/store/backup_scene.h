/*
 * backup_scene: a store that is open, and the backup that is made of it, step by step.
 */
#ifndef OW_TESTS_STORE_BACKUP_SCENE_H
#define OW_TESTS_STORE_BACKUP_SCENE_H

#include "store/backup.h"
#include "support/store/store_fixture.h"

enum { OW_COPY_ORDERS = 50 };

extern struct ow_fixture ow_copy; /* the store's */
extern char ow_copy_to[128];      /* where the backup is to be */

/* Some 300 pages, and OW_COPY_ORDERS orders: ten slices. */
void ow_copy_start(void);
void ow_copy_stop(void);
void ow_copy_add_orders(int first, int count);
/* The backup's path with an ending; whether it is there. */
const char *ow_copy_name(const char *ending);
bool ow_copy_has(const char *ending);

struct ow_backup *ow_copy_begin(void);
/* A few pages. True: there are more. */
bool ow_copy_slice(struct ow_backup *backup);
/* To the last page. */
struct ow_backup *ow_copy_all(void);
/* Finishes it, and gives it back. */
struct ow_backup_figures ow_copy_end(struct ow_backup *backup);
/* A backup to that place cannot begin. */
void ow_copy_refused(const char *place, enum ow_status expected, const char *says);
/* Every promise is kept there; the hash of its business state. */
const char *ow_copy_verify(const char *path);

#endif
