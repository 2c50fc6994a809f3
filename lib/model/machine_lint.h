/*
 * machine_lint: what the files of lint share. ow_machine_lint itself is declared in machine_show.h.
 */
#ifndef OW_MODEL_MACHINE_LINT_H
#define OW_MODEL_MACHINE_LINT_H

#include "model/machine_show.h"

struct ow_lint {
    const struct ow_machine *machine;
    struct ow_arena *arena;
    struct ow_finding *first;
    struct ow_finding **end;
};

void ow_lint_add(struct ow_lint *lint, enum ow_finding_level level, const char *name,
                 const char *format, ...) OW_PRINTF(4, 5);
/* The state that an event leads to, where its cell is apply. */
size_t ow_lint_target(const struct ow_event_type *event, size_t state);

/* machine_lint_text.c: bare texts that are neither a pointer nor a column. */
void ow_lint_constants(struct ow_lint *lint);
/* machine_lint_order.c: pairs of events whose order makes a difference. */
void ow_lint_order(struct ow_lint *lint);

#endif
