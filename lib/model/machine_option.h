/*
 * machine_option: the option table of the machine file. What the file may say is declared there and
 * nowhere else; what only the whole file can tell (does the column exist, is the cell ambiguous) is
 * machine_*.c's.
 *
 * Threads: constant.
 */
#ifndef OW_MODEL_MACHINE_OPTION_H
#define OW_MODEL_MACHINE_OPTION_H

#include "model/option.h"

const struct ow_option *ow_machine_options(void);

#endif
