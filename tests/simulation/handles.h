/*
 * handles: a hand on each connection that SQLite opens while the disk is not quiet: the worker's is
 * tuned and looked through.
 *
 * Threads: one. Memory: static.
 */
#ifndef OW_SIMULATION_HANDLES_H
#define OW_SIMULATION_HANDLES_H

#include <sqlite3.h>

void ow_handles_watch(void);
sqlite3 *ow_handles_last(void);

#endif
