/* `onceward check`: configuration, machines, store, broker, with all their problems in one go. */
#include "base/check.h"

#include "config.h"
#include "config_retention.h"
#include "kafka/check.h"
#include "output.h"
#include "store/check.h"

#include <string.h>

static const struct ow_argument arguments[] = {
    OW_ARGUMENT_CONFIG,
    OW_ARGUMENT_SET,
    OW_ARGUMENT_OUTPUT,
    {.name = "offline",
      .text = "Looks at the configuration, the machines and the store, and asks no broker."},
    {.name = NULL                },
};

struct report {
    enum ow_output output;
    json_t *lines;
    enum ow_status worst;
};

/* What the operator must do something about first: the configuration, then a store in danger, then
 * the rest. */
static int rank(enum ow_status status)
{
    switch (status) {
    case OW_OK:
        return 0;
    case OW_TEMPORARY:
    case OW_STORE_UNKNOWN:
    case OW_STORE_FULL:
        return 1;
    case OW_FAILED:
    case OW_DIFFERENT:
    case OW_RECORD_REFUSED:
        return 2;
    case OW_UNSAFE:
        return 3;
    case OW_BAD_CONFIG:
        return 4;
    }
    OW_IMPOSSIBLE("a status that is none");
}

static void print_line(void *context, enum ow_check_level level, enum ow_status status,
                       const char *subject, const char *text)
{
    static const struct {
        const char *word;
        enum ow_colour colour;
    } levels[] = {
        [OW_CHECK_GOOD] = {"ok",     OW_COLOUR_GREEN },
        [OW_CHECK_WARNING] = {"warn",   OW_COLOUR_YELLOW},
        [OW_CHECK_FAILED] = {"FAILED", OW_COLOUR_RED   }
    };
    struct report *const report = context;
    if (rank(status) > rank(report->worst)) {
        report->worst = status;
    }
    if (report->output == OW_OUTPUT_TABLE) {
        printf("%s%-6s%s  %s: %s\n", ow_output_colour(stdout, levels[level].colour),
               levels[level].word, ow_output_colour(stdout, OW_COLOUR_NONE), subject, text);
        (void)fflush(stdout); /* the next line may take seconds */
    } else {
        json_array_append_new(report->lines, json_pack("{s:s, s:s, s:s}", "subject", subject,
                                                       "level", levels[level].word, "text", text));
    }
}

static void print_problem(void *context, const char *text)
{
    ow_check_failed(context, OW_BAD_CONFIG, "configuration", "%s", text);
}

static void check_broker(struct ow_config *config, const struct ow_check *check)
{
    size_t count = 0;
    const char *const *const topics = ow_machines_topics(&config->machines, &config->arena, &count);
    const struct ow_kafka_options options = {.group = config->group,
                                             .topics = topics,
                                             .topic_count = count,
                                             .properties = config->properties,
                                             .property_count = config->property_count};
    const struct ow_kafka_expectations expectations = {
        .record_bytes_max = config->record_bytes, .retention = ow_config_retention_rule(config)};
    ow_kafka_check(&options, &expectations, check);
}

static void check_machines(const struct ow_config *config, const struct ow_check *check)
{
    for (size_t i = 0; i < config->machines.count; i++) {
        const struct ow_machine *const machine = config->machines.list[i];
        ow_check_good(check, "machine", "'%s' version %lld: %zu states, %zu events (%s)",
                      machine->name, (long long)machine->version, machine->state_count - 1,
                      machine->event_count, machine->file);
    }
}

static void check_all(const struct ow_invocation *invocation, const struct ow_check *check)
{
    struct ow_config config;
    const struct ow_config_source source = ow_config_source_of(invocation);
    struct ow_check copy = *check;
    if (ow_config_problems(&source, &config, print_problem, &copy) == 0) {
        ow_check_good(check, "configuration", "%s", config.file);
    }
    check_machines(&config, check);
    if (config.is_bound) {
        if (config.admin_listen != NULL) {
            ow_check_warning(check, "configuration", "admin.listen has no effect yet");
        }
        ow_store_check(config.store_path, config.hash_key_file, &config.machines, check);
        ow_config_retention_compare(&config, check);
        if (!ow_invocation_has(invocation, "offline")) {
            check_broker(&config, check);
        }
    }
    ow_config_done(&config);
}

static int run(int argc, char **argv)
{
    struct ow_invocation invocation;
    struct report report = {.worst = OW_OK};
    int code = 0;
    if (!ow_command_parse(&ow_command_check, argc, argv, &invocation, &code)) {
        return code;
    }
    if (invocation.operand_count > 0) {
        return ow_command_refuse(&ow_command_check, "unexpected '%s'", invocation.operands[0]);
    }
    if (!ow_output_parse(ow_invocation_value(&invocation, "output"), &report.output)) {
        return ow_command_refuse(&ow_command_check, "expects --output table, json or jsonl");
    }
    report.lines = json_array();
    const struct ow_check check = {.line = print_line, .context = &report};
    check_all(&invocation, &check);
    if (report.output == OW_OUTPUT_JSONL) {
        ow_output_json(report.output, report.lines);
    } else if (report.output == OW_OUTPUT_JSON) {
        json_t *const all =
            json_pack("{s:b, s:O}", "ok", report.worst == OW_OK, "checks", report.lines);
        ow_output_json(report.output, all);
        json_decref(all);
    }
    json_decref(report.lines);
    return ow_status_exit_code(report.worst);
}

const struct ow_command ow_command_check = {
    .name = "check",
    .summary = "looks at the configuration, the machines, the store and the broker",
    .usage = "[-c FILE] [--set KEY=VALUE]... [--offline] [-o FORMAT]",
    .arguments = arguments,
    .text =
        "Changes nothing. Ends with 0 where `run` could start, else with what it would end with.\n"
        "Among what it compares is how long claims are kept (claim.retention) with how long the "
        "topics keep records\n"
        "(retention.ms; for ever where they are compacted only), with claims.backups, "
        "park.deadline "
        "and twice claims.skew:\n"
        "a warning where claims are kept for less, and with claims.strict a refusal (exit code 4; "
        "75 where the brokers\n"
        "do not answer).",
    .run = run,
};
