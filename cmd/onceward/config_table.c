/* What a configuration may say. `onceward schema config`, onceward.yaml(5) and the checks are made
 * of this. */
#include "base/limits.h"
#include "base/parse.h"
#include "config.h"
#include "engine/watchdog.h"

#include <stdio.h>
#include <string.h>

static bool is_start(struct ow_slice text)
{
    int64_t time_ms = 0;
    return ow_slice_equals_text(text, "earliest") || ow_slice_equals_text(text, "latest") ||
           ow_parse_time_ms(text, &time_ms);
}

static const struct ow_option_form start_form = {
    .pattern = "^(earliest|latest|[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt "
               "][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))$",
    .is_form = is_start,
    .says = "earliest, latest or an RFC 3339 time such as 2026-11-22T10:00:00Z",
};

/* Why a property is reserved, X_file counting as X; NULL where it is not. lib/kafka knows. */
static const char *reserved_because(struct ow_slice name)
{
    char text[128];
    if (name.len >= sizeof text) {
        return NULL;
    }
    memcpy(text, name.ptr, name.len);
    text[name.len] = '\0';
    if (name.len > 5 && strcmp(text + name.len - 5, "_file") == 0) {
        text[name.len - 5] = '\0';
    }
    const char *why = NULL;
    return ow_kafka_property_is_reserved(text, &why) ? why : NULL;
}

static bool is_property(struct ow_slice name)
{
    return name.len > 0 && reserved_because(name) == NULL;
}

static const char *why_not_property(struct ow_slice name)
{
    static _Thread_local char text[256];
    (void)snprintf(text, sizeof text, "cannot be set: %s",
                   name.len == 0 ? "it has no name" : reserved_because(name));
    return text;
}

static const struct ow_option_form property_form = {
    .pattern =
        "^(?!(group\\.id|group\\.instance\\.id|group\\.protocol|enable\\.auto\\..*|auto\\.offset\\."
        "reset|"
        "enable\\.partition\\.eof|log\\.queue|partition\\.assignment\\.strategy)(_file)?$).+$",
    .is_form = is_property,
    .says = "one of librdkafka's properties",
    .why = why_not_property,
};

static bool is_address(struct ow_slice text)
{
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':') {
        colon--;
    }
    int64_t port = 0;
    return colon > 1 &&
           ow_parse_i64((struct ow_slice){text.ptr + colon, text.len - colon}, &port) &&
           port >= 0 && port <= 65535 && text.ptr[colon] != '-';
}

static const struct ow_option_form address_form = {
    .pattern = "^.+:[0-9]{1,5}$", .is_form = is_address, .says = "HOST:PORT"};

static const char *const skips[] = {"refuse", "honour", NULL};
static const char *const levels[] = {"debug", "info", "warn", "error", NULL};

static const struct ow_option store_members[] = {
    OW_OPTION("path", TEXT, .min = 1, .required = true,
              .bind = OW_BIND(struct ow_config, store_path),
              .text = "The SQLite database; created where it is not there. Relative to the current "
                      "directory."),
    OW_OPTION(
        "hash_key_file", TEXT, .min = 1, .bind = OW_BIND(struct ow_config, hash_key_file),
        .text = "A file with the 32-byte key of the hashes (64 hexadecimal digits), instead of one "
                "kept in the store."),
    OW_OPTION_END,
};

static const struct ow_option property = {.name = "<name>", .kind = OW_OPTION_SCALAR};
static const struct ow_option kafka_members[] = {
    OW_OPTION("group", TEXT, .min = 1, .required = true, .bind = OW_BIND(struct ow_config, group),
              .text = "The consumer group. One group has one store."),
    OW_OPTION("start", TEXT, .form = &start_form, .fallback = "earliest",
              .bind = OW_BIND(struct ow_config, start_text),
              .text = "Where a topic's first start begins; partitions that are added later begin "
                      "at earliest."),
    OW_OPTION("skips", WORD, .words = skips, .fallback = "refuse",
              .bind = OW_BIND(struct ow_config, skips_text),
              .text = "What to do where an operator moved the group forward: records would never "
                      "be applied."),
    OW_OPTION("properties", MAP, .item = &property, .form = &property_form, .required = true,
              .text =
                  "librdkafka's own properties, verbatim; X_file reads the value of X from a file. "
                  "Reserved: group.id, "
                  "group.instance.id, group.protocol, enable.auto.*, auto.offset.reset, "
                  "enable.partition.eof, log.queue, "
                  "partition.assignment.strategy (below librdkafka 2.10.1)."),
    OW_OPTION_END,
};

static const struct ow_option machine = {.name = "<file>", .kind = OW_OPTION_TEXT, .min = 1};

static const struct ow_option admin_members[] = {
    OW_OPTION("listen", TEXT, .form = &address_form, .inert = true,
              .bind = OW_BIND(struct ow_config, admin_listen),
              .text = "Where metrics and health are served."),
    OW_OPTION_END,
};

static const struct ow_option limits_members[] = {
    OW_OPTION("record_bytes", INTEGER, .min = 1024, .max = INT64_C(64) << 20, .fallback = "1048576",
              .unit = "bytes", .bind = OW_BIND(struct ow_config, record_bytes),
              .text = "A record whose value, key or headers are larger is quarantined (oversize)."),
    OW_OPTION("batch_rows", INTEGER, .min = 1, .max = 100000, .fallback = "4096", .unit = "records",
              .bind = OW_BIND(struct ow_config, batch_rows),
              .text = "A transaction takes at most so many records."),
    OW_OPTION("batch_bytes", INTEGER, .min = 65536, .max = INT64_C(1) << 30, .fallback = "8388608",
              .unit = "bytes", .bind = OW_BIND(struct ow_config, batch_bytes),
              .text = "A transaction takes at most so many bytes."),
    OW_OPTION("batch_ms", INTEGER, .min = 1, .max = 10000, .fallback = "250",
              .unit = "milliseconds", .bind = OW_BIND(struct ow_config, batch_ms),
              .text = "Transactions that take longer make the next ones smaller."),
    OW_OPTION("decode_threads", INTEGER, .min = 1, .max = OW_WATCHDOG_DECODE_MAX, .fallback = "2",
              .unit = "threads", .bind = OW_BIND(struct ow_config, decode_threads),
              .text = "How many threads read records as events."),
    OW_OPTION("wal_bytes", INTEGER, .min = INT64_C(128) << 20, .max = INT64_C(1) << 40,
              .fallback = "1073741824", .unit = "bytes",
              .bind = OW_BIND(struct ow_config, wal_bytes),
              .text = "How far the write-ahead log may grow while somebody reads an old state of "
                      "the store; then nothing is applied until that has ended."),
    OW_OPTION("watchdog", DURATION, .min = 0, .max = INT64_C(86400000), .fallback = "5m",
              .bind = OW_BIND(struct ow_config, watchdog_ms),
              .text = "How long a thread may stand still (a disk that does not answer) before the "
                      "process ends itself with exit code 75; 0s: for ever, else at least 10s."),
    OW_OPTION_END,
};

static const struct ow_option claims_members[] = {
    OW_OPTION("skew", DURATION, .min = 0, .max = INT64_C(100000) * 86400000, .fallback = "24h",
              .bind = OW_BIND(struct ow_config, claim_skew_ms),
              .text = "How far event times may be off: the horizon lies that much later. "
                      "Less than any claim.retention."),
    OW_OPTION("backups", DURATION, .min = 1, .max = INT64_C(100000) * 86400000,
              .bind = OW_BIND(struct ow_config, claim_backups_ms),
              .text = "How old a backup of the store may be when it is restored: claims must be "
                      "kept for that long."),
    OW_OPTION("strict", BOOL, .fallback = "false", .bind = OW_BIND(struct ow_config, claims_strict),
              .text = "Whether a claim retention shorter than what can come again (a topic's "
                      "retention.ms, claims.backups, park.deadline) or than twice claims.skew is "
                      "refused, not only warned of; what the brokers do not tell is refused too."),
    OW_OPTION_END,
};

static const struct ow_option log_members[] = {
    OW_OPTION("level", WORD, .words = levels, .fallback = "info",
              .bind = OW_BIND(struct ow_config, log_level_text),
              .text = "The least important lines that are written to stderr."),
    OW_OPTION_END,
};

static const struct ow_option members[] = {
    OW_OPTION("store", OBJECT, .members = store_members, .required = true,
              .text = "The one database: claims, business tables, history, positions."),
    OW_OPTION("kafka", OBJECT, .members = kafka_members, .required = true,
              .text = "Where the records come from."),
    OW_OPTION("machines", LIST, .item = &machine, .min = 1, .max = OW_MACHINES_MAX,
              .required = true,
              .text = "Machine files; relative to the current directory, or else to the folder of "
                      "this file."),
    OW_OPTION("admin", OBJECT, .members = admin_members, .text = "The operator's HTTP endpoint."),
    OW_OPTION("limits", OBJECT, .members = limits_members, .text = "How much at once."),
    OW_OPTION("claims", OBJECT, .members = claims_members, .text = "The memory of what was seen."),
    OW_OPTION("log", OBJECT, .members = log_members, .text = "What is written to stderr."),
    OW_OPTION_END,
};

static const struct ow_option root = {
    .name = "configuration", .kind = OW_OPTION_OBJECT, .members = members};

const struct ow_option *ow_config_options(void)
{
    return &root;
}
