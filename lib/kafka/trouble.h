/*
 * trouble: what an error of librdkafka means for the worker: talk, or a reason to stop. Nothing
 * that can leave records out is ever talk.
 *
 * Threads: the poll thread. Private to lib/kafka.
 */
#ifndef OW_KAFKA_TROUBLE_H
#define OW_KAFKA_TROUBLE_H

#include "kafka/member.h"

/* An error of the client (error_cb): connections, authentication, fatal ones. */
void ow_kafka_trouble_global(struct ow_kafka_member *member, rd_kafka_resp_err_t code,
                             const char *reason);

/* An error that came out of poll in place of a record (not the end of a partition). */
void ow_kafka_trouble_message(struct ow_kafka_member *member, const rd_kafka_message_t *message);

/* The number under which lines of a log facility are counted; never an error code. */
int ow_kafka_trouble_cause(const char *facility);

#endif
