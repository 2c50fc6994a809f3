/*
 * incarnation: one life of a worker: its store is opened, it consumes until something ends it, and
 * what ended it must be what it was given a reason for.
 *
 * Threads: one. Memory: the run's.
 */
#ifndef OW_SIMULATION_INCARNATION_H
#define OW_SIMULATION_INCARNATION_H

#include "handles.h"
#include "run.h"

/* One life, and the reboot where the host died in it. */
void ow_run_incarnation(struct ow_sim_run *run);
/* Another worker takes the store while this one is at work. */
void ow_run_take_over(struct ow_sim_run *run);
/* As ow_store_open, with the options of the plan. */
enum ow_status ow_run_open_store(struct ow_sim_run *run, struct ow_store **ret_store,
                                 struct ow_err *err) OW_MUST_USE;
/* The model reads the machine's version that the worker has. */
void ow_run_use_machine(struct ow_sim_run *run);
/* How the next crash loses what was not synced. */
void ow_run_note_loss(struct ow_sim_run *run, const struct ow_plan_action *action);
/* The log that an action means. */
size_t ow_run_pick_log(const struct ow_sim_run *run, const struct ow_plan_action *action);

#endif
