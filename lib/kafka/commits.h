/*
 * commits: one commit at a time is on its way; what comes meanwhile waits and is merged, newer
 * offsets over older ones.
 *
 * One, because the next one says the same and more, and because more are dangerous: 2.0.2 keeps
 * commits while the coordinator is away and sends them later under whatever member id it has by
 * then. After an outage longer than the session that is none, and a broker fences a static member
 * for such a commit, for good (measured, ARCHITECTURE). So nothing is sent either while nothing is
 * assigned, or while no broker can be reached.
 *
 * Threads: the poll thread. Private to lib/kafka.
 */
#ifndef OW_KAFKA_COMMITS_H
#define OW_KAFKA_COMMITS_H

#include "kafka/member.h"

/* See struct ow_source_ops: commit. Without wait it never fails but for want of an assignment. */
enum ow_status ow_kafka_commits_add(struct ow_source *source,
                                    const struct ow_partition_offset *list, size_t count, bool wait,
                                    struct ow_err *err);

/* See struct ow_source_ops: commits_taken. What is refused waits again. */
bool ow_kafka_commits_taken(struct ow_source *source);

/* See struct ow_source_ops: any_sent. What waited for a broker and was forgotten never was. */
bool ow_kafka_commits_any_sent(struct ow_source *source);

/* Sends a list by itself, and waits for the answer. */
enum ow_status ow_kafka_commits_now(struct ow_kafka_member *member,
                                    const rd_kafka_topic_partition_list_t *list,
                                    struct ow_err *err);

/* Sends what waits, where it may; called at each poll. */
void ow_kafka_commits_send(struct ow_kafka_member *member);

/* The assignment is another one: what waits belongs to the old one. */
void ow_kafka_commits_forget(struct ow_kafka_member *member);

/* offset_commit_cb: the one on its way was answered. */
void ow_kafka_commits_answered(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                               rd_kafka_topic_partition_list_t *list, void *opaque);

#endif
