#include "kafka/commits.h"

#include "base/failpoint.h"

#include <stdlib.h>
#include <string.h>

static struct ow_kafka_member *member_of(struct ow_source *source)
{
    return (struct ow_kafka_member *)source; /* the first member of it */
}

/* Puts element into what waits; overwrite: also where its partition waits already. */
static void merge(struct ow_kafka_member *member, const rd_kafka_topic_partition_t *element,
                  bool overwrite)
{
    if (member->commits_waiting == NULL) {
        member->commits_waiting = rd_kafka_topic_partition_list_new(8);
    }
    rd_kafka_topic_partition_t *there = rd_kafka_topic_partition_list_find(
        member->commits_waiting, element->topic, element->partition);
    if (there != NULL && !overwrite) {
        return;
    }
    if (there == NULL) {
        there = rd_kafka_topic_partition_list_add(member->commits_waiting, element->topic,
                                                  element->partition);
    }
    there->offset = element->offset;
    free(there->metadata);
    there->metadata = NULL;
    there->metadata_size = 0;
    if (element->metadata != NULL) {
        char *copy = strndup(element->metadata, element->metadata_size);
        if (copy == NULL) {
            OW_IMPOSSIBLE("out of memory");
        }
        there->metadata = copy; /* the list frees it */
        there->metadata_size = element->metadata_size;
    }
}

static void merge_all(struct ow_kafka_member *member, const rd_kafka_topic_partition_list_t *list,
                      bool overwrite)
{
    for (int i = 0; list != NULL && i < list->cnt; i++) {
        merge(member, &list->elems[i], overwrite);
    }
}

void ow_kafka_commits_forget(struct ow_kafka_member *member)
{
    member->assignment++;
    ow_kafka_member_list_done(&member->commits_waiting);
}

void ow_kafka_commits_send(struct ow_kafka_member *member)
{
    if (member->commits_waiting == NULL || member->commit_in_flight || member->talk.down ||
        ow_clock_elapsed_ns(&member->talk.clock) < member->commit_not_before_ns) {
        return;
    }
    OW_INVARIANT(member->assigned != NULL);
    const rd_kafka_resp_err_t code = rd_kafka_commit(member->rk, member->commits_waiting, 1);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        ow_kafka_talk_say(&member->talk, (int)code, "cannot commit: %s (%s)",
                          rd_kafka_err2str(code), rd_kafka_err2name(code));
        return;
    }
    ow_kafka_member_list_done(&member->commits_waiting);
    member->any_sent = true;
    member->commit_in_flight = true;
    member->commit_assignment = member->assignment;
    OW_FAILPOINT(OFFSETS_SENT);
}

/* Which partition it was, where that is known: code is that of the last one that failed. */
static void say_refused(struct ow_kafka_member *member, rd_kafka_resp_err_t code,
                        const rd_kafka_topic_partition_list_t *list)
{
    for (int i = 0; list != NULL && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *each = &list->elems[i];
        if (each->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            ow_kafka_talk_say(&member->talk, (int)code,
                              "a commit was not taken, the next one supersedes it: topic %s "
                              "partition %d: %s (%s)",
                              each->topic, (int)each->partition, rd_kafka_err2str(each->err),
                              rd_kafka_err2name(each->err));
            return;
        }
    }
    ow_kafka_talk_say(&member->talk, (int)code,
                      "a commit was not taken, the next one supersedes it: %s (%s)",
                      rd_kafka_err2str(code), rd_kafka_err2name(code));
}

void ow_kafka_commits_answered(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                               rd_kafka_topic_partition_list_t *list, void *opaque)
{
    (void)rk;
    struct ow_kafka_member *member = opaque;
    OW_FAILPOINT(OFFSETS_ANSWERED);
    member->commit_in_flight = false;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    say_refused(member, code, list);
    member->commit_not_before_ns =
        ow_clock_elapsed_ns(&member->talk.clock) + (int64_t)OW_KAFKA_COMMIT_RETRY_MS * 1000000;
    if (member->assigned != NULL && member->commit_assignment == member->assignment) {
        merge_all(member, list, false);
    }
}

static void event_done(rd_kafka_event_t **event)
{
    if (*event != NULL) {
        rd_kafka_event_destroy(*event);
    }
}

static void queue_done(rd_kafka_queue_t **queue)
{
    rd_kafka_queue_destroy(*queue);
}

/*
 * rd_kafka_commit() waits without a limit, so the answer is taken from a queue of our own; where it
 * comes too late, it finds that queue gone.
 */
enum ow_status ow_kafka_commits_now(struct ow_kafka_member *member,
                                    const rd_kafka_topic_partition_list_t *list, struct ow_err *err)
{
    OW_CLEANUP(queue_done) rd_kafka_queue_t *queue = rd_kafka_queue_new(member->rk);
    rd_kafka_resp_err_t code = rd_kafka_commit_queue(member->rk, list, queue, NULL, NULL);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return ow_kafka_member_fail(err, code, "cannot commit");
    }
    member->any_sent = true;
    OW_CLEANUP(event_done) rd_kafka_event_t *event = rd_kafka_queue_poll(queue, OW_KAFKA_COMMIT_MS);
    if (event == NULL) {
        return ow_fail(err, OW_TEMPORARY, "a commit was not answered within %d ms",
                       OW_KAFKA_COMMIT_MS);
    }
    OW_INVARIANT(rd_kafka_event_type(event) == RD_KAFKA_EVENT_OFFSET_COMMIT);
    code = rd_kafka_event_error(event);
    const rd_kafka_topic_partition_list_t *answer = rd_kafka_event_topic_partition_list(event);
    for (int i = 0; answer != NULL && i < answer->cnt; i++) {
        if (answer->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            return ow_kafka_member_fail(err, answer->elems[i].err,
                                        "a commit was not taken: topic %s partition %d",
                                        answer->elems[i].topic, (int)answer->elems[i].partition);
        }
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return ow_kafka_member_fail(err, code, "a commit was not taken");
    }
    return OW_OK;
}

static enum ow_status send_and_wait(struct ow_kafka_member *member, struct ow_err *err)
{
    if (member->talk.down) {
        return ow_fail(err, OW_TEMPORARY, "cannot commit: no broker can be reached");
    }
    OW_KAFKA_LIST *list = member->commits_waiting;
    member->commits_waiting = NULL;
    return ow_kafka_commits_now(member, list, err);
}

enum ow_status ow_kafka_commits_add(struct ow_source *source,
                                    const struct ow_partition_offset *list, size_t count, bool wait,
                                    struct ow_err *err)
{
    struct ow_kafka_member *member = member_of(source);
    if (member->assigned == NULL) {
        return ow_fail(err, OW_TEMPORARY, "cannot commit: nothing is assigned");
    }
    OW_KAFKA_LIST *added = ow_kafka_member_list(list, count);
    merge_all(member, added, true);
    if (member->commits_waiting == NULL) {
        return OW_OK;
    }
    if (wait) {
        return send_and_wait(member, err);
    }
    ow_kafka_commits_send(member);
    return OW_OK;
}

bool ow_kafka_commits_taken(struct ow_source *source)
{
    const struct ow_kafka_member *member = member_of(source);
    return member->commits_waiting == NULL && !member->commit_in_flight;
}

bool ow_kafka_commits_any_sent(struct ow_source *source)
{
    return member_of(source)->any_sent;
}
