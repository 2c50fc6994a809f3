#include "kafka/source.h"

#include "base/log.h"
#include "kafka/commits.h"
#include "kafka/member.h"
#include "kafka/message.h"
#include "kafka/offsets.h"
#include "kafka/settings.h"
#include "kafka/trouble.h"
#include "kafka/within.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct ow_source_ops ops;

static struct ow_kafka_member *member_of(struct ow_source *source)
{
    return (struct ow_kafka_member *)source; /* the first member of it */
}

const char *ow_kafka_library_version(void)
{
    return rd_kafka_version_str();
}

/* Keeps a list of partitions for the event that poll gives out. False: a topic is not one of ours.
 */
static bool keep_partitions(struct ow_kafka_member *member,
                            const rd_kafka_topic_partition_list_t *list)
{
    const size_t count = list == NULL || list->cnt < 0 ? 0 : (size_t)list->cnt;
    if (count > member->partition_capacity) {
        free(member->partitions);
        member->partitions = calloc(count, sizeof(*member->partitions));
        if (member->partitions == NULL) {
            OW_IMPOSSIBLE("out of memory");
        }
        member->partition_capacity = count;
    }
    member->partition_count = count;
    for (size_t i = 0; i < count; i++) {
        const char *topic = ow_kafka_member_topic(member, list->elems[i].topic);
        if (topic == NULL) {
            return false;
        }
        member->partitions[i] = (struct ow_partition_offset){
            .topic = topic, .partition = list->elems[i].partition, .offset = -1};
    }
    return true;
}

/*
 * Only writes down what is asked and makes poll come back: the engine answers afterwards, outside
 * of the callback. librdkafka waits for the answer (join state wait-assign-call or
 * wait-unassign-call), and delivers nothing meanwhile.
 */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct ow_kafka_member *member = opaque;
    const bool assigns = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
    if (!assigns && code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        ow_kafka_talk_say(&member->talk, (int)code, "a rebalance failed: %s (%s)",
                          rd_kafka_err2str(code), rd_kafka_err2name(code));
        (void)rd_kafka_assign(rk, NULL);
        rd_kafka_yield(rk);
        return;
    }
    if (!keep_partitions(member, list)) {
        /* Whoever led the rebalance gave us what we did not ask for: another kind of consumer is in
         * the group. */
        member->stop = ow_fail(
            &member->stop_err, OW_UNSAFE,
            "the group assigns topics that this worker does not read: another kind of consumer "
            "shares kafka.group, give each its own");
        (void)rd_kafka_assign(rk, NULL);
        rd_kafka_yield(rk);
        return;
    }
    member->rebalance_waits = true;
    member->rebalance_assigns = assigns;
    member->rebalance_lost = !assigns && rd_kafka_assignment_lost(rk) == 1;
    rd_kafka_yield(rk);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    ow_kafka_trouble_global(opaque, (rd_kafka_resp_err_t)code, reason);
    rd_kafka_yield(rk);
}

/* Served by the poll thread (log.queue). What an error callback says as well is for --debug only.
 */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    struct ow_kafka_member *member = rd_kafka_opaque(rk);
    if (strcmp(facility, "BROKERUA") == 0) { /* "broker unavailable": see ask_for_topic_lines */
        atomic_store(&member->interrupted, true);
    }
    enum { SYSLOG_ERR = 3, SYSLOG_WARNING = 4, SYSLOG_DEBUG = 7 };
    enum ow_log_level to = level <= SYSLOG_ERR       ? OW_LOG_ERROR
                           : level <= SYSLOG_WARNING ? OW_LOG_WARN
                           : level < SYSLOG_DEBUG    ? OW_LOG_INFO
                                                     : OW_LOG_DEBUG;
    if (strcmp(facility, "FAIL") == 0 || strcmp(facility, "ERROR") == 0 ||
        strcmp(facility, "FATAL") == 0 || strcmp(facility, "MAXPOLL") == 0) {
        to = OW_LOG_DEBUG;
    }
    int64_t left_out = 0;
    if (to != OW_LOG_DEBUG &&
        !ow_kafka_talk_allows(&member->talk, ow_kafka_trouble_cause(facility), &left_out)) {
        return;
    }
    char line[1024]; /* one line, and no quote that would end the field */
    (void)snprintf(line, sizeof(line), "%s", text);
    for (char *c = line; *c != '\0'; c++) {
        if (*c == '"') {
            *c = '\'';
        } else if ((unsigned char)*c < ' ') {
            *c = ' ';
        }
    }
    ow_log(to, "kafka", "facility=%s left_out=%lld text=\"%s\"", facility, (long long)left_out,
           line);
}

/*
 * In a thread of librdkafka, before it connects anew. Its own word for it would be an error, but of
 * a connection that was closed it says nothing (log.connection.close), and of the second one that
 * failed alike within half a minute neither.
 */
static int on_close(int fd, void *opaque)
{
    struct ow_kafka_member *member = opaque;
    atomic_store(&member->interrupted, true);
    return close(fd);
}

/* Whatever is there of a half-built or closed member. */
static void destroy(struct ow_kafka_member *member)
{
    ow_kafka_member_list_done(&member->assigned);
    ow_kafka_member_list_done(&member->commits_waiting);
    ow_arena_done(&member->arena);
    free(member->headers);
    free(member->partitions);
    free(member);
}

static struct ow_kafka_member *create(const struct ow_kafka_options *options)
{
    struct ow_kafka_member *member = calloc(1, sizeof(*member));
    if (member == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    member->source.ops = &ops;
    ow_arena_init(&member->arena, 4096);
    ow_kafka_talk_init(&member->talk, ow_clock_system());
    member->topics = OW_ARENA_ARRAY(&member->arena, options->topic_count, struct ow_slice);
    member->topic_count = options->topic_count;
    member->group = ow_arena_text(&member->arena, ow_slice_of(options->group));
    for (size_t i = 0; i < options->topic_count; i++) {
        member->topics[i] = ow_arena_copy(&member->arena, ow_slice_of(options->topics[i]));
    }
    return member;
}

/*
 * What a fetch says of a single partition (its topic is gone, another broker leads it) is tried
 * again without a word, but for a line of this kind: and a topic may be made anew before any answer
 * of the brokers lacks it. The lines are few: of what begins and ends, not of records.
 */
static void ask_for_topic_lines(rd_kafka_conf_t *conf)
{
    char asked[512] = "";
    size_t size = sizeof(asked);
    rd_kafka_conf_res_t result = rd_kafka_conf_get(conf, "debug", asked, &size);
    OW_INVARIANT(result == RD_KAFKA_CONF_OK);
    char contexts[sizeof(asked) + sizeof(",topic")];
    (void)snprintf(contexts, sizeof(contexts), "%s%stopic", asked, asked[0] == '\0' ? "" : ",");
    result = rd_kafka_conf_set(conf, "debug", contexts, NULL, 0);
    OW_INVARIANT(result == RD_KAFKA_CONF_OK);
}

static enum ow_status connect_client(struct ow_kafka_member *member,
                                     const struct ow_kafka_options *options, struct ow_err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const enum ow_status status = ow_kafka_settings_apply(conf, options, err);
    if (status != OW_OK) {
        rd_kafka_conf_destroy(conf);
        return status;
    }
    ask_for_topic_lines(conf);
    rd_kafka_conf_set_opaque(conf, member);
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_offset_commit_cb(conf, ow_kafka_commits_answered);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_closesocket_cb(conf, on_close);
    rd_kafka_conf_set_log_cb(conf, on_log);
    char text[512];
    member->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (member->rk == NULL) {
        const bool refused = rd_kafka_last_error() == RD_KAFKA_RESP_ERR__INVALID_ARG;
        rd_kafka_conf_destroy(conf);
        return ow_fail(err, refused ? OW_BAD_CONFIG : OW_FAILED,
                       "kafka.properties: librdkafka %s: %s", rd_kafka_version_str(), text);
    }
    /* One queue for records, errors, rebalances, commits and log lines: poll serves them all, in
     * one thread. */
    rd_kafka_resp_err_t code = rd_kafka_poll_set_consumer(member->rk);
    OW_INVARIANT(code == RD_KAFKA_RESP_ERR_NO_ERROR);
    code = rd_kafka_set_log_queue(member->rk, NULL);
    OW_INVARIANT(code == RD_KAFKA_RESP_ERR_NO_ERROR);
    return OW_OK;
}

static enum ow_status subscribe(struct ow_kafka_member *member, struct ow_err *err)
{
    OW_KAFKA_LIST *list = rd_kafka_topic_partition_list_new((int)member->topic_count);
    for (size_t i = 0; i < member->topic_count; i++) {
        (void)rd_kafka_topic_partition_list_add(list, (const char *)member->topics[i].ptr,
                                                RD_KAFKA_PARTITION_UA);
    }
    const rd_kafka_resp_err_t code = rd_kafka_subscribe(member->rk, list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return ow_kafka_member_fail(err, code, "cannot subscribe");
    }
    return OW_OK;
}

static enum ow_status check_topics(const struct ow_kafka_options *options, struct ow_err *err)
{
    for (size_t i = 0; i < options->topic_count; i++) {
        if (options->topics[i][0] == '^' || options->topics[i][0] == '\0') {
            return ow_fail(err, OW_BAD_CONFIG, "topic '%s' is not a name (patterns are not taken)",
                           options->topics[i]);
        }
    }
    return OW_OK;
}

enum ow_status ow_kafka_source_check(const struct ow_kafka_options *options, struct ow_err *err)
{
    OW_TRY(check_topics(options, err));
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const enum ow_status status = ow_kafka_settings_apply(conf, options, err);
    rd_kafka_conf_destroy(conf);
    return status;
}

enum ow_status ow_kafka_source_open(const struct ow_kafka_options *options,
                                    struct ow_source **ret_source, struct ow_err *err)
{
    OW_REQUIRE(options->group != NULL);
    OW_REQUIRE(options->topic_count > 0 && options->topic_count <= INT32_MAX);
    OW_TRY(check_topics(options, err));
    struct ow_kafka_member *member = create(options);
    enum ow_status status = connect_client(member, options, err);
    if (status == OW_OK) {
        status = subscribe(member, err);
    }
    if (status != OW_OK) {
        if (member->rk != NULL) {
            rd_kafka_destroy(member->rk);
        }
        destroy(member);
        return status;
    }
    *ret_source = &member->source;
    return OW_OK;
}

/* Gives out what waits: first the reason to stop, then a rebalance, then talk. */
static bool give_waiting(struct ow_kafka_member *member, struct ow_source_event *event)
{
    if (member->stop != OW_OK) {
        event->kind = OW_SOURCE_TROUBLE;
        event->status = member->stop;
        event->err = member->stop_err;
        return true;
    }
    if (member->rebalance_waits) {
        member->rebalance_waits = false;
        event->kind = member->rebalance_assigns ? OW_SOURCE_ASSIGNED : OW_SOURCE_REVOKED;
        event->partitions = member->partitions;
        event->partition_count = member->partition_count;
        event->lost = member->rebalance_lost;
        if (member->rebalance_assigns) {
            ow_kafka_talk_up(&member->talk);
        }
        return true;
    }
    if (ow_kafka_talk_take(&member->talk, &event->err)) {
        event->kind = OW_SOURCE_TROUBLE;
        event->status = OW_OK;
        return true;
    }
    return false;
}

static void source_poll(struct ow_source *source, int timeout_ms, struct ow_source_event *ret_event)
{
    struct ow_kafka_member *member = member_of(source);
    ow_kafka_message_release(member);
    /* Not the whole struct: err is large and written only where it is used. */
    ret_event->kind = OW_SOURCE_IDLE;
    ret_event->record = (struct ow_record){.timestamp_ms = -1};
    ret_event->partitions = NULL;
    ret_event->partition_count = 0;
    ret_event->interrupted = false;
    ret_event->lost = false;
    ret_event->status = OW_OK;
    if (give_waiting(member, ret_event)) {
        return;
    }
    ow_kafka_commits_send(member);
    member->held = rd_kafka_consumer_poll(member->rk, timeout_ms);
    if (member->held == NULL) {
        (void)give_waiting(member, ret_event); /* a callback wrote something down and yielded */
        return;
    }
    if (member->talk.down) {
        ow_kafka_talk_up(&member->talk);
    }
    ret_event->interrupted = atomic_load(&member->interrupted);
    if (member->held->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        ret_event->kind = OW_SOURCE_RECORD;
        const enum ow_status status =
            ow_kafka_message_record(member, &ret_event->record, &member->stop_err);
        if (status != OW_OK) { /* else a reason that a callback wrote down stays */
            member->stop = status;
        }
    } else if (member->held->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        ret_event->kind = OW_SOURCE_END;
        ow_kafka_message_place(member, &ret_event->record);
    } else {
        ow_kafka_trouble_message(member, member->held);
    }
    if (member->stop != OW_OK || ret_event->kind == OW_SOURCE_IDLE) {
        (void)give_waiting(member, ret_event);
    }
}

/* Resuming what is not paused can rewind in 2.0.2, so each is called once per transition. */
static enum ow_status set_paused(struct ow_kafka_member *member, bool paused, struct ow_err *err)
{
    if (member->assigned == NULL || member->paused == paused) {
        return OW_OK;
    }
    const rd_kafka_resp_err_t code = paused
                                         ? rd_kafka_pause_partitions(member->rk, member->assigned)
                                         : rd_kafka_resume_partitions(member->rk, member->assigned);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return ow_kafka_member_fail(err, code, paused ? "cannot pause" : "cannot resume");
    }
    member->paused = paused;
    return OW_OK;
}

/*
 * Answers a rebalance; list: NULL gives everything back. librdkafka remembers that a partition is
 * paused when it is assigned anew, and would never fetch it again (seen on 2.0.2): so it is resumed
 * before.
 */
static enum ow_status answer(struct ow_kafka_member *member, rd_kafka_topic_partition_list_t *list,
                             const char *what, struct ow_err *err)
{
    const enum ow_status status = set_paused(member, false, err);
    ow_kafka_commits_forget(member);
    ow_kafka_member_list_done(&member->assigned);
    member->assigned = list;
    member->paused = false;
    atomic_store(&member->interrupted, false);
    OW_TRY(status);
    const rd_kafka_resp_err_t code = rd_kafka_assign(member->rk, list);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return ow_kafka_member_fail(err, code, "%s", what);
    }
    return OW_OK;
}

static enum ow_status source_assign(struct ow_source *source,
                                    const struct ow_partition_offset *list, size_t count,
                                    struct ow_err *err)
{
    for (size_t i = 0; i < count; i++) {
        OW_REQUIRE(list[i].offset >= 0); /* a logical offset would bring auto.offset.reset in */
    }
    return answer(member_of(source), ow_kafka_member_list(list, count),
                  "cannot take the assignment", err);
}

static enum ow_status source_unassign(struct ow_source *source, struct ow_err *err)
{
    return answer(member_of(source), NULL, "cannot give the assignment back", err);
}

static enum ow_status source_pause(struct ow_source *source, struct ow_err *err)
{
    return set_paused(member_of(source), true, err);
}

/*
 * Leaves the group (a static member leaves it to the session timeout), and destroys the client. Any
 * of these calls may never come back: rd_kafka_assign does not where the group's thread ends
 * between its question and our answer (seen on 2.0.2, where a start is stopped as it joins).
 */
static void leave(void *context)
{
    rd_kafka_t *rk = context;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(rk, queue);
    const bool closing =
        error == NULL; /* else closed already, or fatal: destroying does the rest */
    if (!closing) {
        rd_kafka_error_destroy(error);
    }
    while (closing && rd_kafka_consumer_closed(rk) == 0) {
        enum { STEP_MS = 20 };
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, STEP_MS);
        if (event == NULL) {
            continue;
        }
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE) {
            (void)rd_kafka_assign(
                rk, NULL); /* the last revoke: what was durable is committed already */
        }
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(rk);
}

static bool source_close(struct ow_source *source, int deadline_ms)
{
    struct ow_kafka_member *member = member_of(source);
    ow_kafka_message_release(member);
    if (!ow_kafka_within(deadline_ms, leave, member->rk)) {
        return false;
    }
    destroy(member);
    return true;
}

static const struct ow_source_ops ops = {
    .poll = source_poll,
    .committed = ow_kafka_offsets_committed,
    .bounds = ow_kafka_offsets_bounds,
    .offset_for_time = ow_kafka_offsets_for_time,
    .partition_count = ow_kafka_offsets_partition_count,
    .member_count = ow_kafka_offsets_member_count,
    .assign = source_assign,
    .unassign = source_unassign,
    .commit = ow_kafka_commits_add,
    .commits_taken = ow_kafka_commits_taken,
    .any_sent = ow_kafka_commits_any_sent,
    .pause = source_pause,
    .close = source_close,
};
