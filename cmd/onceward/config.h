/*
 * config: the configuration of DESIGN 7: one YAML or JSON file, ${VAR} of the environment, --set of
 * the command line, and the machines that it names.
 *
 * Threads: read at start, constant afterwards. Memory: its own arena, until _done.
 * Failure: BAD_CONFIG with file, line and key. Secrets never appear in a message.
 */
#ifndef OW_CMD_CONFIG_H
#define OW_CMD_CONFIG_H

#include "base/log.h"
#include "command.h"
#include "engine/consume.h"
#include "kafka/source.h"
#include "model/machine.h"
#include "model/option.h"

struct ow_config {
    const char *file;
    /* store */
    const char *store_path;
    const char *hash_key_file; /* NULL: the key is in the store */
    /* kafka */
    const char *group;
    enum ow_start start;
    int64_t start_ms; /* OW_START_TIME */
    bool skips_honoured;
    struct ow_kafka_property *properties; /* secrets read from their files already */
    size_t property_count;
    /* limits */
    int64_t record_bytes, batch_rows, batch_bytes, batch_ms, decode_threads, watchdog_ms, wal_bytes;
    /* claims */
    int64_t claim_skew_ms;
    int64_t claim_backups_ms; /* 0: not given */
    bool claims_strict;
    /* others */
    const char *admin_listen; /* NULL: none */
    enum ow_log_level log_level;
    struct ow_machines machines;
    const char **machine_files; /* as found, by machines */

    bool is_bound; /* the file fits the table: all above but machines and properties can be relied
                      on */
    struct ow_arena arena;
    const char *start_text, *skips_text, *log_level_text; /* as the table binds them */
};

/* The option table. */
const struct ow_option *ow_config_options(void);

/* What to read: the file (NULL: onceward.yaml) and KEY=VALUE texts that go before it. */
struct ow_config_source {
    const char *file;
    const char *const *sets;
    size_t set_count;
};
/* From the options --config and --set of a command. */
struct ow_config_source ow_config_source_of(const struct ow_invocation *invocation);

/* Reads all that can be read, tells every problem and returns how many there were. Call _done in
 * any case. */
size_t ow_config_problems(const struct ow_config_source *source, struct ow_config *ret_config,
                          ow_option_report_fn *report, void *context);
/* The first problem is the failure, and nothing is left to be done. Sets the log level, and logs
 * what is set without having an effect yet. */
enum ow_status ow_config_load(const struct ow_config_source *source, struct ow_config *ret_config,
                              struct ow_err *err) OW_MUST_USE;
void ow_config_done(struct ow_config *config);

/* Reads one machine file into machines; for `machine` commands too. */
enum ow_status ow_config_add_machine(struct ow_machines *machines, const char *path,
                                     struct ow_err *err) OW_MUST_USE;

#endif
