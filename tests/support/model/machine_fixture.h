/*
 * machine_fixture: machines out of texts and files, for tests.
 *
 * Memory: ow_machines_done gives back what a machine needs; texts are the caller's.
 */
#ifndef OW_TESTS_SUPPORT_MODEL_MACHINE_FIXTURE_H
#define OW_TESTS_SUPPORT_MODEL_MACHINE_FIXTURE_H

#include "model/machine.h"

/* Reads a YAML text as "test.yaml" and adds the machine. */
enum ow_status ow_fixture_add_text(struct ow_machines *machines, const char *text,
                                   struct ow_err *err);
/* Adds a machine file of the source tree, such as "schemas/orders.yaml". */
enum ow_status ow_fixture_add_file(struct ow_machines *machines, const char *path,
                                   struct ow_err *err);

/* What becomes of an event in a state: "apply", "stale", "park", "reject". */
const char *ow_fixture_cell(const struct ow_machine *machine, const char *state, const char *event);

#endif
