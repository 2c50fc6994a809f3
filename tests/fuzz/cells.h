/*
 * cells: the (state, event) table of a machine, worked out once more from DESIGN 4 by another
 * algorithm: a closure over pairs of states instead of a search.
 */
#ifndef OW_TESTS_FUZZ_CELLS_H
#define OW_TESTS_FUZZ_CELLS_H

#include "model/machine.h"

/* Breaks a promise where a cell is not what DESIGN 4 says. */
void ow_cells_check(const struct ow_machine *machine);

#endif
