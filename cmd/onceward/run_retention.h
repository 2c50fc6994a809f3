/*
 * run_retention: at the start of `run`: are claims kept for as long as records can come again?
 *
 * The brokers are asked once. With claims.strict nothing begins before they have answered; else an
 * answer that is late is taken from the poll loop, so that a slow broker does not make a slow
 * start. Threads: the poll thread. What is found goes into the log.
 */
#ifndef OW_CMD_RUN_RETENTION_H
#define OW_CMD_RUN_RETENTION_H

#include "config.h"
#include "kafka/retention.h"

struct ow_run_retention {
    struct ow_retention_rule rule;
    struct ow_kafka_retention *asked; /* NULL: answered */
    enum ow_status status;            /* the first refusal */
    struct ow_err err;
};

/* Compares what the configuration says, and asks the brokers for the rest. A refusal is the
 * failure, here as below. */
enum ow_status ow_run_retention_ask(struct ow_run_retention *retention,
                                    const struct ow_config *config, struct ow_source *source,
                                    struct ow_err *err) OW_MUST_USE;
/* Takes the answer. */
enum ow_status ow_run_retention_settle(struct ow_run_retention *retention, struct ow_err *err)
    OW_MUST_USE;
/* Takes an answer that has come meanwhile; waits for nothing. */
void ow_run_retention_look(struct ow_run_retention *retention);
/* Before the source is closed. Takes a zeroed one. */
void ow_run_retention_done(struct ow_run_retention *retention);

#endif
