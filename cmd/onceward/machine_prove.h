/*
 * machine_prove: `onceward machine prove`: runs the proof of machine files and prints it.
 *
 * Threads: the main thread. Failure: said on stderr; returns the exit code.
 */
#ifndef OW_CMD_MACHINE_PROVE_H
#define OW_CMD_MACHINE_PROVE_H

#include "model/machine.h"
#include "model/tree.h"
#include "output.h"

/* length: the value of --length, NULL where it was not given. */
int ow_machine_prove(const struct ow_machines *machines, enum ow_output output, const char *length);

/* machine_prove_line.c: the machine's file, read again; no root where it cannot be. Caller:
 * ow_tree_done. */
struct ow_proof;
struct ow_proof_cell;
struct ow_tree ow_machine_prove_tree(const struct ow_machine *machine);
/* The line that refused a cell; 0: none did, or there is no file. */
int ow_machine_prove_line(const struct ow_tree *tree, const struct ow_proof_cell *cell);

/* machine_prove_json.c, machine_prove_text.c: a proof for programs, and for people. */
json_t *ow_machine_prove_json(const struct ow_proof *proof, size_t length_asked);
void ow_machine_prove_text(const struct ow_proof *proof, size_t length_asked);

#endif
