/*
 * retention: what the brokers say of how long topics keep their records, compared with how long
 * claims are kept.
 *
 * Threads: the poll thread. Memory: an answer's texts are the arena's. Failure: an answer that does
 * not come is a line of the check, and no failure of the call.
 */
#ifndef OW_KAFKA_RETENTION_H
#define OW_KAFKA_RETENTION_H

#include "kafka/source.h"
#include "model/retention.h"

/* A question that is on its way. */
struct ow_kafka_retention;

/* Asks for the settings of the source's topics; waits for nothing. */
struct ow_kafka_retention *ow_kafka_retention_ask(struct ow_source *source);

/*
 * Waits for the answer for at most so long, and compares. False: it has not come yet. After
 * OW_KAFKA_RETENTION_MS there is always an answer, if only that nobody answered. A topic that does
 * not exist (yet) has no line. Not told: TEMPORARY where nobody answered, UNSAFE where the brokers
 * refuse to tell.
 */
enum { OW_KAFKA_RETENTION_MS = 10000 };
bool ow_kafka_retention_compare(struct ow_kafka_retention *asked, int wait_ms,
                                const struct ow_retention_rule *rule, const struct ow_check *check);

/* Ends a question, answered or not. Takes NULL. */
void ow_kafka_retention_forget(struct ow_kafka_retention *asked);

#endif
