/*
 * within: a call that is known to hang now and then, with a deadline.
 *
 * librdkafka's destructors wait for its threads without a limit, and 2.0.2 has bugs that make them
 * wait for ever (a removed partition, a deleted topic, the mock cluster). So they run on a thread
 * of their own that can be left behind. Threads: the caller's; work runs on another. Private to
 * lib/kafka.
 */
#ifndef OW_KAFKA_WITHIN_H
#define OW_KAFKA_WITHIN_H

#include <stdbool.h>

/* True: work(context) came back in time. False: it still runs, and context must outlive the
 * process. */
bool ow_kafka_within(int deadline_ms, void (*work)(void *context), void *context);

#endif
