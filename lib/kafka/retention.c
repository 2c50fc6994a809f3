#include "kafka/retention.h"

#include "kafka/describe.h"
#include "kafka/member.h"

#include <stdlib.h>

struct ow_kafka_retention {
    struct ow_kafka_describe describe;
};

struct ow_kafka_retention *ow_kafka_retention_ask(struct ow_source *source)
{
    const struct ow_kafka_member *const member = (const struct ow_kafka_member *)source;
    struct ow_kafka_retention *const asked = malloc(sizeof *asked);
    if (asked == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    OW_CLEANUP(ow_arena_done) struct ow_arena arena;
    ow_arena_init(&arena, 1024);
    const char **const topics = OW_ARENA_ARRAY(&arena, member->topic_count, const char *);
    for (size_t i = 0; i < member->topic_count; i++) {
        topics[i] = (const char *)member->topics[i].ptr;
    }
    ow_kafka_describe_ask(&asked->describe, member->rk, topics, member->topic_count,
                          OW_KAFKA_RETENTION_MS);
    return asked;
}

bool ow_kafka_retention_compare(struct ow_kafka_retention *asked, int wait_ms,
                                const struct ow_retention_rule *rule, const struct ow_check *check)
{
    OW_CLEANUP(ow_arena_done) struct ow_arena arena;
    ow_arena_init(&arena, 1024);
    struct ow_kafka_answer answer;
    if (!ow_kafka_describe_take(&asked->describe, wait_ms, &arena, &answer)) {
        return false;
    }
    ow_kafka_describe_compare(&answer, rule, check);
    return true;
}

void ow_kafka_retention_forget(struct ow_kafka_retention *asked)
{
    if (asked != NULL) {
        ow_kafka_describe_done(&asked->describe);
        free(asked);
    }
}
