/*
 * evaluate: operands, requirements and comparisons of one event against one entity. The closed list
 * of DESIGN 4.
 *
 * Pure, no state. Threads: any.
 */
#ifndef OW_MODEL_EVALUATE_H
#define OW_MODEL_EVALUATE_H

#include "model/world.h"

/* The value of an operand; NULL type where a column has none, or a sum leaves int64_t or has a NULL
 * term. */
struct ow_value ow_evaluate(const struct ow_operand *operand, const struct ow_event *event,
                            const struct ow_entity *entity);

/* The first requirement that does not hold, or NULL. A comparison with NULL never holds. */
const struct ow_requirement *ow_evaluate_requirements(const struct ow_transition *transition,
                                                      const struct ow_event *event,
                                                      const struct ow_entity *entity);

/*
 * Fills columns (as many as the entity has) with what they are after the transition: all operands
 * see the entity as it was. NULL, or the column whose new value is outside ±2^53 or its declared
 * range.
 */
const struct ow_column *ow_evaluate_columns(const struct ow_transition *transition,
                                            const struct ow_event *event,
                                            const struct ow_entity *entity,
                                            struct ow_value *columns);

/* Whether a stored row holds just what the recording would write. */
bool ow_evaluate_row_equal(const struct ow_recording *recording, const struct ow_row *row,
                           const struct ow_event *event, const struct ow_entity *entity);

#endif
