/*
 * session: a member of the group: the port of lib/engine/source.h over broker.h, with all that can
 * happen to a member.
 *
 * Threads: one. Memory: _open allocates, the source's close gives back.
 */
#ifndef OW_SIMULATION_SESSION_H
#define OW_SIMULATION_SESSION_H

#include "run.h"

/* stop: the flag of the worker that it is opened for. */
struct ow_source *ow_session_open(struct ow_sim_run *run, atomic_bool *stop);
/* The next poll revokes, the one after assigns again. lost: the group has given them away. */
void ow_session_rebalance(struct ow_session *session, bool lost);
/* Its commits go nowhere from now on; after so many polls it learns that it lost its partitions. */
void ow_session_make_zombie(struct ow_session *session, int polls);
/* The next poll tells of trouble; fatal: that ends the source. */
void ow_session_trouble(struct ow_session *session, bool fatal);
/* Whether all that there is was given out. */
bool ow_session_is_drained(const struct ow_session *session);

#endif
