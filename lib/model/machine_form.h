/*
 * machine_form: what the names and places of a machine file look like.
 *
 * Threads: constant.
 */
#ifndef OW_MODEL_MACHINE_FORM_H
#define OW_MODEL_MACHINE_FORM_H

#include "model/option.h"

extern const struct ow_option_form ow_form_machine; /* a machine's name */
extern const struct ow_option_form ow_form_table;
extern const struct ow_option_form ow_form_column;
extern const struct ow_option_form ow_form_state;
extern const struct ow_option_form ow_form_type;
extern const struct ow_option_form ow_form_topic;
extern const struct ow_option_form ow_form_pointer;
extern const struct ow_option_form ow_form_part;   /* of a claim key, a fingerprint */
extern const struct ow_option_form ow_form_place;  /* of an attribute, format explicit */
extern const struct ow_option_form ow_form_entity; /* of the entity's id, format cloudevents */

/* Columns that every table has, and that no machine may declare. NULL-terminated. */
extern const char *const ow_form_reserved_columns[];

#endif
