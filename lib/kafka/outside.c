#include "kafka/outside.h"

#include "base/log.h"
#include "kafka/commits.h"
#include "kafka/message.h"
#include "kafka/offsets.h"
#include "kafka/settings.h"
#include "kafka/trouble.h"
#include "kafka/within.h"

#include <stdlib.h>

/*
 * A consumer that is in no group: it needs group.id, for librdkafka has one kind of consumer, but
 * without a subscription it never joins, and with explicit offsets and no automatic commit it
 * neither reads nor writes the group's, unless it is told to.
 */

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    ow_kafka_trouble_global(opaque, (rd_kafka_resp_err_t)code, reason);
    rd_kafka_yield(rk);
}

/* What matters comes as an error too. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    (void)text;
    ow_log(OW_LOG_DEBUG, "kafka", "facility=%s level=%d", facility, level);
}

static void name_all(struct ow_kafka_member *member, const struct ow_kafka_options *options)
{
    ow_arena_init(&member->arena, 4096);
    ow_kafka_talk_init(&member->talk, ow_clock_system());
    member->group = ow_arena_text(&member->arena, ow_slice_of(options->group));
    member->topics = OW_ARENA_ARRAY(&member->arena, options->topic_count, struct ow_slice);
    member->topic_count = options->topic_count;
    for (size_t i = 0; i < options->topic_count; i++) {
        member->topics[i] = ow_arena_copy(&member->arena, ow_slice_of(options->topics[i]));
    }
    if (options->instance_id != NULL) {
        member->ghost = ow_arena_printf(&member->arena, "%s-", options->instance_id);
    }
}

enum ow_status ow_kafka_outside_connect(struct ow_kafka_member *member,
                                        const struct ow_kafka_options *options, struct ow_err *err)
{
    name_all(member, options);
    struct ow_kafka_options own = *options;
    own.instance_id = NULL; /* nobody's place in the group is taken */
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const enum ow_status status = ow_kafka_settings_apply(conf, &own, err);
    if (status != OW_OK) {
        rd_kafka_conf_destroy(conf);
        return status;
    }
    rd_kafka_conf_set_opaque(conf, member);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    char text[512];
    member->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (member->rk == NULL) {
        const bool refused = rd_kafka_last_error() == RD_KAFKA_RESP_ERR__INVALID_ARG;
        rd_kafka_conf_destroy(conf);
        return ow_fail(err, refused ? OW_BAD_CONFIG : OW_FAILED,
                       "kafka.properties: librdkafka %s: %s", rd_kafka_version_str(), text);
    }
    rd_kafka_resp_err_t code = rd_kafka_poll_set_consumer(member->rk);
    OW_INVARIANT(code == RD_KAFKA_RESP_ERR_NO_ERROR);
    code = rd_kafka_set_log_queue(member->rk, NULL);
    OW_INVARIANT(code == RD_KAFKA_RESP_ERR_NO_ERROR);
    return OW_OK;
}

/* There is no group to leave: with nothing assigned, closing asks nobody. */
static void destroy_client(void *context)
{
    rd_kafka_t *rk = context;
    (void)rd_kafka_assign(rk, NULL);
    rd_kafka_destroy(rk);
}

bool ow_kafka_outside_disconnect(struct ow_kafka_member *member, int deadline_ms)
{
    ow_kafka_message_release(member);
    if (member->rk != NULL && !ow_kafka_within(deadline_ms, destroy_client, member->rk)) {
        return false;
    }
    ow_arena_done(&member->arena);
    free(member->headers);
    return true;
}

static struct ow_kafka_member *member_of(struct ow_source *source)
{
    return (struct ow_kafka_member *)source; /* the first member of it */
}

static bool is_down(struct ow_kafka_member *member)
{
    rd_kafka_message_t *message = rd_kafka_consumer_poll(member->rk, 0); /* serves on_error */
    if (message != NULL) {
        rd_kafka_message_destroy(message);
    }
    return member->talk.down;
}

/* Questions wait for their whole time, also where every broker has refused the connection: with
 * people waiting, that is said at once. */
static enum ow_status reach(struct ow_kafka_member *member, struct ow_err *err)
{
    enum { STEP_MS = 250 };
    const struct ow_clock *clock = &member->talk.clock;
    const int64_t until_ns = ow_clock_elapsed_ns(clock) + (int64_t)OW_KAFKA_REQUEST_MS * 1000000;
    for (;;) {
        const struct rd_kafka_metadata *metadata = NULL;
        const rd_kafka_resp_err_t code = rd_kafka_metadata(member->rk, 0, NULL, &metadata, STEP_MS);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            rd_kafka_metadata_destroy(metadata);
            return OW_OK;
        }
        const bool down = is_down(member);
        struct ow_err talk;
        if (down && ow_kafka_talk_take(&member->talk, &talk)) {
            return ow_fail(err, OW_TEMPORARY, "%s", talk.text);
        }
        if (down || ow_clock_elapsed_ns(clock) >= until_ns) {
            return ow_kafka_member_fail(err, code, "no broker answers");
        }
    }
}

static enum ow_status outside_partition_count(struct ow_source *source, const char *topic,
                                              int32_t *ret_count, struct ow_err *err)
{
    OW_TRY(reach(member_of(source), err));
    return ow_kafka_offsets_partition_count(source, topic, ret_count, err);
}

static enum ow_status outside_commit(struct ow_source *source,
                                     const struct ow_partition_offset *list, size_t count,
                                     bool wait, struct ow_err *err)
{
    OW_REQUIRE(wait); /* nothing is sent in the background here */
    OW_KAFKA_LIST *offsets = ow_kafka_member_list(list, count);
    return ow_kafka_commits_now(member_of(source), offsets, err);
}

static bool outside_close(struct ow_source *source, int deadline_ms)
{
    struct ow_kafka_member *member = member_of(source);
    if (!ow_kafka_outside_disconnect(member, deadline_ms)) {
        return false;
    }
    free(member);
    return true;
}

static const struct ow_source_ops ops = {
    .committed = ow_kafka_offsets_committed,
    .bounds = ow_kafka_offsets_bounds,
    .offset_for_time = ow_kafka_offsets_for_time,
    .partition_count = outside_partition_count,
    .member_count = ow_kafka_offsets_member_count,
    .commit = outside_commit,
    .close = outside_close,
};

enum ow_status ow_kafka_outside_open(const struct ow_kafka_options *options,
                                     struct ow_source **ret_source, struct ow_err *err)
{
    OW_REQUIRE(options->group != NULL);
    struct ow_kafka_member *member = calloc(1, sizeof(*member));
    if (member == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    member->source.ops = &ops;
    const enum ow_status status = ow_kafka_outside_connect(member, options, err);
    if (status != OW_OK) {
        (void)outside_close(&member->source, 0); /* there is no client yet */
        return status;
    }
    *ret_source = &member->source;
    return OW_OK;
}
