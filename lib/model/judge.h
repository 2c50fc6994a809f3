/*
 * judge: steps 7 to 9 of DESIGN 3: what becomes of an event whose claim is its own, or of a parked
 * one that is woken; and the effects of a transition.
 *
 * Pure. Threads: the apply thread's. Memory: the world's arena. Private to decide.c.
 */
#ifndef OW_MODEL_JUDGE_H
#define OW_MODEL_JUDGE_H

#include "model/decide.h"

/* What is being judged: a record that has just come, or a parked one that is woken. */
struct ow_subject {
    const struct ow_event *event;
    const struct ow_record *record;
    struct ow_entity *entity;
    int64_t ref; /* of its claim */
    bool woken;
};

/* Judges from the business keys on. Fills in decision->reason where the outcome is quarantined. */
enum ow_outcome ow_judge(struct ow_world *world, const struct ow_subject *subject,
                         struct ow_decision *decision);

/* Puts the subject into quarantine under its ref. */
enum ow_outcome ow_judge_quarantine(struct ow_world *world, const struct ow_subject *subject,
                                    enum ow_reason reason, const char *detail,
                                    struct ow_decision *decision);

/* The effects of taking an entity over: its rows, its history row, itself. */
void ow_judge_seed(struct ow_world *world, struct ow_entity *entity,
                   const struct ow_seed_entity *seed);

/* Appends a fresh quarantine row, and a sighting. */
struct ow_quarantine *ow_judge_add_quarantine(struct ow_world *world, int64_t id,
                                              enum ow_reason reason, const char *detail,
                                              const struct ow_event *event,
                                              const struct ow_record *record);
void ow_judge_add_sighting(struct ow_world *world, int64_t ref, const char *cause,
                           const struct ow_record *record);

#endif
