/*
 * machine_prove: `onceward machine prove`: runs the proof of machine files and prints it.
 *
 * Threads: the main thread. Failure: said on stderr; returns the exit code.
 */
#ifndef OW_CMD_MACHINE_PROVE_H
#define OW_CMD_MACHINE_PROVE_H

#include "model/machine.h"
#include "output.h"

/* length: the value of --length, NULL where it was not given. */
int ow_machine_prove(const struct ow_machines *machines, enum ow_output output, const char *length);

/* machine_prove_json.c, machine_prove_text.c: a proof for programs, and for people. */
struct ow_proof;
json_t *ow_machine_prove_json(const struct ow_proof *proof, size_t length_asked);
void ow_machine_prove_text(const struct ow_proof *proof, size_t length_asked);

#endif
