/*
 * shrink: leaves actions out of a failing plan while it goes on failing in the same way.
 *
 * Threads: the caller's; each try is a process of its own.
 */
#ifndef OW_SIMULATION_SHRINK_H
#define OW_SIMULATION_SHRINK_H

#include "run.h"

/* what: the broken promise. Returns how many plans were tried. */
int ow_shrink(struct ow_plan *plan, const char *what);

#endif
