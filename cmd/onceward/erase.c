/* `onceward erase`: blanks the payloads of an entity, and leaves what protects. */
#include "store/erase.h"

#include "base/parse.h"
#include "config.h"
#include "output.h"
#include "read_progress.h"

#include <inttypes.h>
#include <unistd.h>

static const struct ow_argument arguments[] = {
    OW_ARGUMENT_CONFIG,
    OW_ARGUMENT_SET,
    {.name = "entity",                                        .value = "ID", .text = "The entity, as an order's id. Must be given."},
    {.name = "discard-parked",
      .text = "Give its parked records up: they are discarded, and never applied."},
    OW_ARGUMENT_OUTPUT,
    {.name = NULL                               },
};

static void print_json(enum ow_output output, const char *entity, const struct ow_erasure *erasure)
{
    OW_JSON *made =
        json_pack("{s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:I}", "entity", entity, "erased_at_ms",
                  (json_int_t)erasure->at_ms, "history", (json_int_t)erasure->history, "parked",
                  (json_int_t)erasure->parked, "quarantine", (json_int_t)erasure->quarantine,
                  "quarantine_without_entity", (json_int_t)erasure->nameless, "pages",
                  (json_int_t)erasure->pages, "bytes_overwritten", (json_int_t)erasure->bytes);
    ow_output_json(output, made);
}

static void print_table(const char *entity, const struct ow_erasure *erasure)
{
    char time[OW_TIME_TEXT_BYTES];
    ow_format_time_ms(erasure->at_ms, time);
    (void)fputs("payloads erased: ", stdout);
    ow_output_text(stdout, ow_slice_of(entity));
    (void)printf(" at %s\n"
                 "  history rows blanked     %12" PRId64 "\n"
                 "  parked records discarded %12" PRId64 "\n"
                 "  quarantine rows blanked  %12" PRId64 "\n"
                 "  pages looked at          %12" PRId64 "\n"
                 "  unused bytes overwritten %12" PRId64 "\n",
                 time, erasure->history, erasure->parked, erasure->quarantine, erasure->pages,
                 erasure->bytes);
}

static enum ow_status erase(const struct ow_invocation *invocation, struct ow_config *config,
                            struct ow_erasure *ret_erasure, struct ow_err *err)
{
    struct ow_read_progress progress;
    ow_read_progress_init(&progress);
    const struct ow_erase_options options = {
        .path = config->store_path,
        .hash_key_file = config->hash_key_file,
        .machines = &config->machines,
        .clock = ow_clock_system(),
        .entity = ow_invocation_value(invocation, "entity"),
        .discard_parked = ow_invocation_has(invocation, "discard-parked"),
        .progress = ow_read_progress_show,
        .context = &progress,
    };
    const enum ow_status status = ow_erase(&options, ret_erasure, err);
    ow_read_progress_done(&progress);
    /* Also of one that failed half-way: who has blanked what is told in any case. */
    ow_log(status == OW_OK ? OW_LOG_INFO : OW_LOG_ERROR, "erased",
           "store=%s entity=\"%s\" by_uid=%u at_ms=%" PRId64 " history=%" PRId64 " parked=%" PRId64
           " quarantine=%" PRId64 " bytes_overwritten=%" PRId64 " result=\"%s\"",
           config->store_path, options.entity, (unsigned)getuid(), ret_erasure->at_ms,
           ret_erasure->history, ret_erasure->parked, ret_erasure->quarantine, ret_erasure->bytes,
           ow_status_text(status));
    return status;
}

static void say_nameless(const struct ow_erasure *erasure)
{
    if (erasure->nameless > 0) {
        (void)fprintf(stderr,
                      "onceward: %" PRId64
                      " quarantine row%s of records that could not be read: they"
                      " name no entity and are as they were; 'onceward explain ID' shows those that"
                      " have the id in their bytes\n",
                      erasure->nameless, erasure->nameless == 1 ? " is" : "s are");
    }
}

static int run(int argc, char **argv)
{
    struct ow_invocation invocation;
    int exit_code = 0;
    if (!ow_command_parse(&ow_command_erase, argc, argv, &invocation, &exit_code)) {
        return exit_code;
    }
    enum ow_output output = OW_OUTPUT_TABLE;
    if (!ow_output_parse(ow_invocation_value(&invocation, "output"), &output)) {
        return ow_command_refuse(&ow_command_erase, "-o must be table, json or jsonl");
    }
    const char *entity = ow_invocation_value(&invocation, "entity");
    if (entity == NULL || entity[0] == '\0' || invocation.operand_count > 0) {
        return ow_command_refuse(&ow_command_erase, "expects --entity ID, and no operand");
    }
    const struct ow_config_source source = ow_config_source_of(&invocation);
    struct ow_config config;
    struct ow_err err;
    struct ow_erasure erasure;
    enum ow_status status = ow_config_load(&source, &config, &err);
    if (status != OW_OK) {
        return ow_command_fail(status, &err);
    }
    status = erase(&invocation, &config, &erasure, &err);
    ow_config_done(&config);
    if (status != OW_OK) {
        return ow_command_fail(status, &err);
    }
    say_nameless(&erasure);
    if (output == OW_OUTPUT_TABLE) {
        print_table(entity, &erasure);
    } else {
        print_json(output, entity, &erasure);
    }
    return 0;
}

const struct ow_command ow_command_erase = {
    .name = "erase",
    .summary = "blank the payloads of an entity, and keep what protects against repetition",
    .usage = "--entity ID [-c FILE] [--discard-parked] [-o table|json|jsonl]",
    .arguments = arguments,
    .text =
        "Blanks what the messages of the entity said: the data of its history, and key, headers, "
        "value and detail of its\n"
        "quarantine rows, which are then discarded. Then every byte of the file that no row uses "
        "is overwritten, and the\n"
        "WAL emptied, so that no copy is left in it. Claims, states, versions, sums, message ids "
        "and the time of the\n"
        "erasure stay: a message that is delivered again is still a duplicate, brings no payload "
        "back, and verify still\n"
        "proves what remains. Run verify before: what was changed by hand until then is not "
        "seen afterwards.\n"
        "\n"
        "The business tables stay as they are, with the texts that the machine puts there (a "
        "method of payment, say), and\n"
        "the entity's id. Quarantined records that could not be read name no entity: they are "
        "counted and left alone.\n"
        "An entity with parked records is refused (exit code 1), for each is an effect that has "
        "not come yet; with\n"
        "--discard-parked they end in quarantine, discarded.\n"
        "\n"
        "Outside of this file nothing is erased: backups and snapshots of it, Kafka's own log, "
        "log files, blocks that the\n"
        "disk or a copy-on-write file system keeps. A new message of the entity, or one under a "
        "known id with other content\n"
        "(a conflict), is stored with its payload: erase again.\n"
        "No worker may run (exit code 75), and the whole file is read once. Killed half-way, "
        "run it again.\n"
        "\n"
        "-o json: entity, erased_at_ms, history, parked, quarantine (rows blanked by this run), "
        "quarantine_without_entity,\n"
        "pages (looked at), bytes_overwritten.",
    .run = run,
};
