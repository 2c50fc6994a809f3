/*
 * model_machine: the shipped machine of orders as the model knows it: by hand, not from its file.
 *
 * Threads: values. Private to the model.
 */
#ifndef OW_SIMULATION_MODEL_MACHINE_H
#define OW_SIMULATION_MODEL_MACHINE_H

#include "model.h"

enum ow_model_cell { OW_MODEL_APPLY, OW_MODEL_STALE, OW_MODEL_PARK, OW_MODEL_REJECT };

enum ow_model_cell ow_model_cell(enum ow_message_type type, enum ow_model_state state);
enum ow_model_state ow_model_target(enum ow_message_type type, enum ow_model_state state);
/* The business row that a message would write; NULL: none. */
struct ow_model_row *ow_model_row_of(struct ow_model *model, const struct ow_message *message);
bool ow_model_row_says(const struct ow_model_row *row, const struct ow_message *message);
/* Whether the requirements of a transition hold. */
bool ow_model_may_apply(const struct ow_model_order *order, const struct ow_message *message);

#endif
