/*
 * message: the record that a client holds, as kafka/source.c and kafka/reader.c give it out.
 *
 * Threads: the poll thread. Memory: what is given out points into the held message and the member's
 * headers: valid until it is released. Failure: TEMPORARY. Trust: the bytes are hostile. Private to
 * lib/kafka.
 */
#ifndef OW_KAFKA_MESSAGE_H
#define OW_KAFKA_MESSAGE_H

#include "kafka/member.h"

/* Topic, partition and offset of what is held, which is of one of the member's topics. */
void ow_kafka_message_place(const struct ow_kafka_member *member, struct ow_record *record);

/* All of it but generation and via, which are 0. */
enum ow_status ow_kafka_message_record(struct ow_kafka_member *member, struct ow_record *ret_record,
                                       struct ow_err *err) OW_MUST_USE;

/* Takes a member that holds nothing. */
void ow_kafka_message_release(struct ow_kafka_member *member);

#endif
