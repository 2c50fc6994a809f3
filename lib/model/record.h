/*
 * record: what Kafka or an HTTP endpoint hands over, as bytes that we own (copied out of the
 * library's buffer).
 *
 * Memory: everything that it points to lives as long as the chunk that carries it (engine/ring.h).
 * Trust: none. Every byte is hostile.
 */
#ifndef OW_MODEL_RECORD_H
#define OW_MODEL_RECORD_H

#include "base/slice.h"
#include "model/outcome.h"

struct ow_header {
    struct ow_slice name;
    struct ow_slice value; /* absent: a header without a value */
};

struct ow_record {
    struct ow_slice topic;
    int32_t partition;
    uint32_t generation; /* of the assignment that fetched it; an old one is dropped before apply */
    int64_t offset;
    int64_t timestamp_ms;  /* Kafka's; -1: none */
    struct ow_slice key;   /* absent: null key */
    struct ow_slice value; /* absent: a tombstone */
    const struct ow_header *headers;
    size_t header_count;
    enum ow_via via; /* kafka, http, requeue, seed */
    bool for_anchor; /* below the position, fetched to be compared with it and nothing else */
};

/* Which way a record came. */
enum ow_channel { OW_CHANNEL_UNKNOWN, OW_CHANNEL_KAFKA, OW_CHANNEL_HTTP };

/* By its topic: those of HTTP are "http/…", and no topic of Kafka has a '/' in its name (DESIGN 6).
 */
static inline enum ow_channel ow_record_channel(struct ow_slice topic)
{
    return topic.len > 5 && memcmp(topic.ptr, "http/", 5) == 0 ? OW_CHANNEL_HTTP : OW_CHANNEL_KAFKA;
}

#endif
