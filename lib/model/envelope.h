/*
 * envelope: the attributes of a message: CloudEvents 1.0 in Kafka (structured or binary mode, Kafka
 * Protocol Binding 1.0.2) or an explicit rule that says where each attribute is.
 *
 * Threads: pure. Memory: the caller's arena; body is jansson's and released by ow_envelope_done.
 * Trust: hostile input: what is not exactly as specified is refused, and nothing is ever made up.
 */
#ifndef OW_MODEL_ENVELOPE_H
#define OW_MODEL_ENVELOPE_H

#include "model/machine.h"
#include "model/record.h"

enum ow_mode { OW_MODE_STRUCTURED, OW_MODE_BINARY, OW_MODE_EXPLICIT };

/* An attribute is absent (or null), an empty text, a text, or there with another type. */
enum ow_attribute_kind {
    OW_ATTRIBUTE_ABSENT,
    OW_ATTRIBUTE_EMPTY,
    OW_ATTRIBUTE_TEXT,
    OW_ATTRIBUTE_WRONG
};
struct ow_attribute {
    enum ow_attribute_kind kind;
    struct ow_slice text;
};

struct ow_envelope {
    enum ow_mode mode;
    const char *malformed; /* why it cannot be read at all, or NULL */
    struct ow_attribute type, id, source, time, subject;
    /*
     * What pointers resolve against: the document, in binary mode the same event written structured
     * (attributes as members, the value under "data"). NULL where malformed.
     */
    json_t *body;
};

/* Reads the attributes of record. A tombstone has a body without data (binary mode) or is malformed
 * (others). */
void ow_envelope_decode(const struct ow_message_rule *rule, const struct ow_record *record,
                        struct ow_arena *arena, struct ow_envelope *ret_envelope);
void ow_envelope_done(struct ow_envelope *envelope);

/* The attribute that a part names: a member by pointer, a header, the Kafka key. Wrong where it is
 * no text. */
struct ow_attribute ow_envelope_attribute(const struct ow_envelope *envelope,
                                          const struct ow_record *record,
                                          const struct ow_part *part, struct ow_arena *arena);

#endif
