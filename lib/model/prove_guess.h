/*
 * prove_guess: the values that the events of a proof say. prove_guess.c makes them fit the declared
 * ranges and, where two places have to be equal, each other; prove_fit.c then looks by trying for
 * what the machine asks beyond that. The rest of prove_*.c asks for values only.
 *
 * Memory: the search's arena.
 */
#ifndef OW_MODEL_PROVE_GUESS_H
#define OW_MODEL_PROVE_GUESS_H

#include "model/prove_state.h"

struct ow_prove_guess *ow_prove_guess_new(struct ow_prove *prove);
/* other: another value than the usual one, or NULL type where there is none. */
struct ow_value ow_prove_guess_value(const struct ow_prove_guess *guess,
                                     const struct ow_event_type *type, size_t need, bool other);
/* Where the usual and the other value of a need, and of all that has to be equal to it, can be laid
 * down; NULL type: they are guessed. */
struct ow_value *ow_prove_guess_choice(struct ow_prove_guess *guess,
                                       const struct ow_event_type *type, size_t need);

/* prove_fit.c, behind ow_prove_cell_fill: lays down values with which more of the cells are
 * applied, where the guessed ones are refused. */
void ow_prove_fit(struct ow_prove *prove, struct ow_prove_guess *guess);

#endif
