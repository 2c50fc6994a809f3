/*
 * kafka/source: a consumer-group member over librdkafka, as the port of engine/source.h.
 *
 * Settings that are ours, with reasons: kafka/source.c. Written for librdkafka 2.0.2 (Debian 12)
 * and later. Threads: the poll thread; librdkafka's own threads only log. Memory: process lifetime.
 * Failure: BAD_CONFIG for properties that librdkafka or we refuse. Trust: records are hostile
 * bytes, brokers are not.
 */
#ifndef OW_KAFKA_SOURCE_H
#define OW_KAFKA_SOURCE_H

#include "engine/source.h"

struct ow_kafka_property {
    const char *name, *value;
};

struct ow_kafka_options {
    const char *group;
    const char *instance_id; /* group.instance.id: "onceward-<store id>" */
    const char *const *topics;
    size_t topic_count;
    const struct ow_kafka_property
        *properties; /* the user's, verbatim; reserved ones were refused already */
    size_t property_count;
};

/* Whether _open would refuse the topics or the properties: BAD_CONFIG. Creates nothing. */
enum ow_status ow_kafka_source_check(const struct ow_kafka_options *options, struct ow_err *err)
    OW_MUST_USE;
/* Creates the client and subscribes. Nothing waits for a broker here. */
enum ow_status ow_kafka_source_open(const struct ow_kafka_options *options,
                                    struct ow_source **ret_source, struct ow_err *err) OW_MUST_USE;

/* Whether a property is ours and may not be set by users; *ret_why then says why. */
bool ow_kafka_property_is_reserved(const char *name, const char **ret_why);

/* "2.0.2": of the library that is linked. */
const char *ow_kafka_library_version(void);

#endif
