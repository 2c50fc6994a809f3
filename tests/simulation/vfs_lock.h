/*
 * vfs_lock: the locks of a file and WAL's shared memory, among the handles of one process.
 *
 * SQLite's method tables have them; see its io_methods. Private to vfs.c.
 */
#ifndef OW_SIMULATION_VFS_LOCK_H
#define OW_SIMULATION_VFS_LOCK_H

#include "disk.h"

int ow_vfs_file_lock(sqlite3_file *file, int level);
int ow_vfs_file_unlock(sqlite3_file *file, int level);
int ow_vfs_file_check_reserved(sqlite3_file *file, int *ret_reserved);
int ow_vfs_file_shm_map(sqlite3_file *file, int region, int bytes, int extend,
                        void volatile **ret_memory);
int ow_vfs_file_shm_lock(sqlite3_file *file, int first, int count, int flags);
void ow_vfs_file_shm_barrier(sqlite3_file *file);
int ow_vfs_file_shm_unmap(sqlite3_file *file, int delete_it);

#endif
