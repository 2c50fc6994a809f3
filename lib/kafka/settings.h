/*
 * settings: librdkafka's configuration: what is ours by default, what the user says, what nobody
 * may change.
 *
 * Threads: the caller's. Memory: the conf is the caller's. Private to lib/kafka;
 * ow_kafka_property_is_reserved is declared in kafka/source.h.
 */
#ifndef OW_KAFKA_SETTINGS_H
#define OW_KAFKA_SETTINGS_H

#include "kafka/source.h"

#include <librdkafka/rdkafka.h>

/* BAD_CONFIG with the property's name (never with a secret's value). */
enum ow_status ow_kafka_settings_apply(rd_kafka_conf_t *conf,
                                       const struct ow_kafka_options *options, struct ow_err *err)
    OW_MUST_USE;

#endif
