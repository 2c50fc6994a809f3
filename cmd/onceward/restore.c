/* `onceward restore`: a backup takes the place of a store that is lost. */
#include "store/restore.h"

#include "base/parse.h"
#include "config.h"
#include "config_retention.h"
#include "output.h"
#include "read_progress.h"
#include "restore_topics.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

static const struct ow_argument arguments[] = {
    OW_ARGUMENT_CONFIG,
    OW_ARGUMENT_SET,
    {.name = "from",                        .value = "BACKUP", .text = "The backup. Must be given."},
    {.name = "no-broker",
      .text = "Ask no broker: whether the topics hold what comes after it is not checked."},
    {.name = "discard",                   .text = "Do not keep what is replaced."},
    OW_ARGUMENT_OUTPUT,
    {.name = NULL                                    },
};

struct restore {
    const struct ow_invocation *invocation;
    struct ow_config config;
    struct ow_clock clock;
    struct ow_read_progress progress;
    bool ask_broker;
    struct ow_restore_topics topics;
    struct ow_err retention; /* of the retention check, where refused */
    enum ow_status retention_status;
};

static void take_line(void *context, enum ow_check_level level, enum ow_status status,
                      const char *subject, const char *text)
{
    struct restore *restore = context;
    if (level == OW_CHECK_WARNING) {
        (void)fprintf(stderr, "onceward: %s: %s\n", subject, text);
    } else if (level == OW_CHECK_FAILED && restore->retention_status == OW_OK) {
        restore->retention_status = ow_fail(&restore->retention, status, "%s: %s", subject, text);
    }
}

/* What came to the lost store since the backup comes again: claims must reach as far back. */
static enum ow_status check_age(struct restore *restore, const struct ow_restore_facts *facts,
                                struct ow_err *err)
{
    const struct ow_check check = {.line = take_line, .context = restore};
    const struct ow_retention_rule rule = ow_config_retention_rule(&restore->config);
    const struct ow_reach reach = {.subject = "the backup",
                                   .says = "is as old as",
                                   .remedy = "its age: use a newer one",
                                   .ms = ow_clock_now_ms(&restore->clock) - facts->at_ms};
    if (facts->at_ms == 0) {
        ow_retention_unknown(&rule, OW_UNSAFE, "the backup",
                             "it was not made by 'onceward backup', its age is not known", &check);
    } else {
        ow_retention_compare(&rule, &reach, 1, &check);
    }
    if (facts->at_ms != 0 && restore->config.claim_backups_ms > 0 &&
        reach.ms > restore->config.claim_backups_ms) {
        (void)fputs("onceward: the backup is older than claims.backups says that one may be\n",
                    stderr);
    }
    if (restore->retention_status != OW_OK) {
        *err = restore->retention;
    }
    return restore->retention_status;
}

static enum ow_status check_and_place(struct restore *restore, struct ow_restore *copy,
                                      struct ow_err *err)
{
    const struct ow_restore_facts *facts = ow_restore_look(copy);
    if (facts->unreadable != NULL) {
        (void)fprintf(stderr, "onceward: the file that is replaced cannot be read: %s\n",
                      facts->unreadable);
    }
    OW_TRY(check_age(restore, facts, err));
    if (!restore->ask_broker) {
        return ow_restore_place(copy, -1, err);
    }
    OW_TRY(ow_restore_topics_check(&restore->config, facts, &restore->topics, err));
    if (restore->topics.members > 0) {
        (void)fprintf(stderr,
                      "onceward: somebody is in group '%s' still (%d): where that is a worker on "
                      "another host, stop it before this store is used\n",
                      restore->config.group, (int)restore->topics.members);
    }
    return ow_restore_place(copy, restore->topics.group_epoch, err);
}

static void print_table(const struct restore *restore, const struct ow_restore_facts *facts)
{
    char time[OW_TIME_TEXT_BYTES] = "a moment that is not known";
    if (facts->at_ms != 0) {
        ow_format_time_ms(facts->at_ms, time);
    }
    (void)printf("restored: %s, store %s as of %s, %" PRId64 " pages, %zu positions\n", facts->path,
                 facts->store_id, time, facts->pages, facts->position_count);
    if (facts->replaced_as != NULL) {
        (void)printf(facts->replaces ? "the old file is kept: %s\n"
                                     : "what a lost store has left here is kept: %s-*\n",
                     facts->replaced_as);
    }
    if (restore->ask_broker) {
        (void)printf("the topics hold what comes after it; %" PRId64
                     " offsets that the lost store had handled come again\n",
                     restore->topics.behind);
    } else {
        (void)printf("not checked: whether the topics hold what comes after it. The first run must "
                     "be told: onceward run --restored\n");
    }
}

static void print_json(const struct restore *restore, enum ow_output output,
                       const struct ow_restore_facts *facts)
{
    OW_JSON *made = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:s?, s:b}", "path", facts->path,
                              "store_id", facts->store_id, "pages", (json_int_t)facts->pages,
                              "bytes", (json_int_t)facts->bytes, "at_ms", (json_int_t)facts->at_ms,
                              "positions", (json_int_t)facts->position_count, "replaced_as",
                              facts->replaced_as, "topics_checked", restore->ask_broker);
    if (restore->ask_broker) {
        (void)json_object_set_new(made, "offsets_again", json_integer(restore->topics.behind));
    }
    ow_output_json(output, made);
}

static enum ow_status run_all(struct restore *restore, enum ow_output output, struct ow_err *err)
{
    struct ow_restore *copy = NULL;
    const struct ow_restore_options options = {
        .path = restore->config.store_path,
        .from = ow_invocation_value(restore->invocation, "from"),
        .hash_key_file = restore->config.hash_key_file,
        .discard = ow_invocation_has(restore->invocation, "discard"),
        .clock = restore->clock,
        .progress = ow_read_progress_show,
        .context = &restore->progress};
    ow_read_progress_init(&restore->progress);
    enum ow_status status = ow_restore_begin(&options, &copy, err);
    ow_read_progress_done(&restore->progress);
    OW_TRY(status);
    status = check_and_place(restore, copy, err);
    if (status == OW_OK) {
        const struct ow_restore_facts *facts = ow_restore_look(copy);
        ow_log(OW_LOG_INFO, "restored", "store=%s store_id=%s from=%s by_uid=%u", facts->path,
               facts->store_id, options.from, (unsigned)getuid());
        if (output == OW_OUTPUT_TABLE) {
            print_table(restore, facts);
        } else {
            print_json(restore, output, facts);
        }
    }
    ow_restore_free(copy);
    return status;
}

static int run(int argc, char **argv)
{
    struct ow_invocation invocation;
    int exit_code = 0;
    if (!ow_command_parse(&ow_command_restore, argc, argv, &invocation, &exit_code)) {
        return exit_code;
    }
    enum ow_output output = OW_OUTPUT_TABLE;
    if (!ow_output_parse(ow_invocation_value(&invocation, "output"), &output)) {
        return ow_command_refuse(&ow_command_restore, "-o must be table, json or jsonl");
    }
    const char *from = ow_invocation_value(&invocation, "from");
    if (from == NULL || from[0] == '\0' || invocation.operand_count > 0) {
        return ow_command_refuse(&ow_command_restore, "expects --from BACKUP, and no operand");
    }
    struct restore restore = {.invocation = &invocation,
                              .clock = ow_clock_system(),
                              .ask_broker = !ow_invocation_has(&invocation, "no-broker")};
    const struct ow_config_source source = ow_config_source_of(&invocation);
    struct ow_err err;
    enum ow_status status = ow_config_load(&source, &restore.config, &err);
    if (status != OW_OK) {
        return ow_command_fail(status, &err);
    }
    status = run_all(&restore, output, &err);
    exit_code = status == OW_OK ? 0 : ow_command_fail(status, &err);
    ow_config_done(&restore.config);
    return exit_code;
}

const struct ow_command ow_command_restore = {
    .name = "restore",
    .summary = "put a backup into the place of a store that is lost",
    .usage = "--from BACKUP [-c FILE] [--no-broker] [--discard] [-o table|json|jsonl]",
    .arguments = arguments,
    .text =
        "Copies the backup beside the store (STORE.part) and checks the copy: it is a store of "
        "ours, the one that was there\n"
        "and the one that the group worked with; every page (PRAGMA integrity_check) and every "
        "promise (verify; exit code 3\n"
        "where one is broken). Then the brokers are asked whether the topics still hold what comes "
        "after the backup: a\n"
        "position older than what a topic keeps is refused with exit code 4, a line a partition, "
        "for those records would\n"
        "have no effect. How old the backup is is compared with claim.retention and "
        "claims.backups; with claims.strict\n"
        "too old is refused.\n"
        "\n"
        "Only then it takes the place of the store, in one step; what was there, STORE-wal "
        "included, is kept as\n"
        "STORE.before-restore, unless --discard. No worker may run (exit code 75). The next run "
        "needs no option: the\n"
        "restored store knows the epoch up to which the group's offsets may be ahead of it, goes "
        "on at its own positions,\n"
        "and what comes again is handled as if for the first time: that is how the lost effects "
        "come back. What the lost\n"
        "store did to others (HTTP answers, rows that people have read) is not undone.\n"
        "\n"
        "--no-broker checks the file alone; the first run must then be told with --restored.\n"
        "-o json: path, store_id, pages, bytes, at_ms (0: not known), positions, replaced_as, "
        "topics_checked, offsets_again.",
    .run = run,
};
