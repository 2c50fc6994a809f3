#include "kafka/trouble.h"

#include <stdio.h>

/*
 * The client is dead. Fenced: another process joined under our group.instance.id, so with this
 * store's id; or a commit of ours arrived while our membership was being renewed after an outage
 * (member.h). TEMPORARY and not UNSAFE, because this process cannot tell these apart: the next
 * start can, and says so (75: the store's lock is held; 4: the commit metadata carry a foreign
 * epoch; else it goes on).
 */
static void stop_fatal(struct ow_kafka_member *member)
{
    char text[512] = "";
    const rd_kafka_resp_err_t code = rd_kafka_fatal_error(member->rk, text, sizeof(text));
    if (code == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID) {
        member->stop =
            ow_fail(&member->stop_err, OW_TEMPORARY,
                    "the group fenced us: another process joined under this store's id, or our own "
                    "membership had run out; the next start tells which (%s)",
                    text);
        return;
    }
    member->stop = ow_fail(&member->stop_err, OW_FAILED, "librdkafka gave up: %s (%s)", text,
                           rd_kafka_err2name(code));
}

int ow_kafka_trouble_cause(const char *facility)
{
    uint32_t hash = 2166136261U; /* FNV-1a: some ten short names */
    for (const char *c = facility; *c != '\0'; c++) {
        hash = (hash ^ (uint8_t)*c) * 16777619U;
    }
    return (int)(hash % 1000000000U) + 1000000;
}

void ow_kafka_trouble_global(struct ow_kafka_member *member, rd_kafka_resp_err_t code,
                             const char *reason)
{
    struct ow_kafka_talk *talk = &member->talk;
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR__FATAL:
        stop_fatal(member);
        return;
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
        ow_kafka_talk_down(talk);
        ow_kafka_talk_say(talk, (int)code, "no broker can be reached, still trying: %s", reason);
        return;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
        ow_kafka_talk_say(talk, (int)code, "the broker refuses our credentials, still trying: %s",
                          reason);
        return;
    case RD_KAFKA_RESP_ERR__SSL:
        ow_kafka_talk_say(talk, (int)code, "no TLS connection, still trying: %s", reason);
        return;
    default:
        ow_kafka_talk_say(talk, (int)code, "%s (%s)", reason, rd_kafka_err2name(code));
        return;
    }
}

/* "topic T partition P offset O" of a message that has a topic. */
struct place {
    char text[384];
};

static struct place place_of(const rd_kafka_message_t *message)
{
    struct place place;
    (void)snprintf(place.text, sizeof(place.text), "topic %s partition %d offset %lld",
                   rd_kafka_topic_name(message->rkt), (int)message->partition,
                   (long long)message->offset);
    return place;
}

/* True: an error of one partition that would leave records out if we went on. */
static bool stop_partition(struct ow_kafka_member *member, const rd_kafka_message_t *message)
{
    const char *detail = rd_kafka_message_errstr(message);
    switch ((int)message->err) {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        /* Raised once, then the partition is silent: the log was cut, or it is another log under
         * the same name. */
        member->stop = ow_fail(
            &member->stop_err, OW_UNSAFE,
            "%s is not in the log (any more): it was cut before we read it, or the topic was "
            "re-created; the next start, and 'onceward positions list', tell which: then onceward "
            "positions accept-lost --topic %s --why TEXT, or adopt instead of accept-lost (%s)",
            place_of(message).text, rd_kafka_topic_name(message->rkt), detail);
        return true;
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
    case RD_KAFKA_RESP_ERR__UNDERFLOW:
        /* 2.0.2 goes on behind a batch with a wrong checksum: stopping is the only way not to leave
         * it out. */
        member->stop = ow_fail(&member->stop_err, OW_TEMPORARY,
                               "%s cannot be read; the next start reads it again (%s)",
                               place_of(message).text, detail);
        return true;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        member->stop = ow_fail(
            &member->stop_err, OW_BAD_CONFIG,
            "%s is larger than a fetch may be; raise kafka.properties.receive.message.max.bytes "
            "(%s)",
            place_of(message).text, detail);
        return true;
    default:
        return false;
    }
}

void ow_kafka_trouble_message(struct ow_kafka_member *member, const rd_kafka_message_t *message)
{
    if (message->err == RD_KAFKA_RESP_ERR__FATAL) {
        stop_fatal(member);
        return;
    }
    if (message->rkt != NULL && stop_partition(member, message)) {
        return;
    }
    const char *detail = rd_kafka_message_errstr(message);
    const char *topic = message->rkt == NULL ? NULL : rd_kafka_topic_name(message->rkt);
    struct ow_kafka_talk *talk = &member->talk;
    if (message->err == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED) {
        ow_kafka_talk_say(talk, (int)message->err,
                          "we left the group, because poll was not called in time (%s)", detail);
    } else if (topic != NULL) {
        ow_kafka_talk_say(talk, (int)message->err, "topic %s: %s (%s)", topic, detail,
                          rd_kafka_err2name(message->err));
    } else {
        ow_kafka_talk_say(talk, (int)message->err, "%s (%s)", detail,
                          rd_kafka_err2name(message->err));
    }
}
