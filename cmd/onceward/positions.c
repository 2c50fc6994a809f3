/* `onceward positions list|set|adopt|accept-lost`: where partitions go on, and the ways out where a
 * start is refused. */
#include "positions.h"

#include "base/parse.h"
#include "kafka/outside.h"

#include <stdio.h>
#include <string.h>

static const struct ow_argument arguments[] = {
    OW_ARGUMENT_CONFIG,
    OW_ARGUMENT_SET,
    {.name = "topic",                                                              .value = "TOPIC", .text = "Of which topic."},
    {.name = "partition",
      .value = "N",
      .text = "Of which partition (adopt, accept-lost: all where it is left out)."},
    {.name = "offset",                                                          .value = "N", .text = "set, adopt: to this offset."},
    {.name = "to-earliest", .text = "set: to the topic's beginning."},
    {.name = "to-latest",                                                             .text = "set: to the topic's end."},
    {.name = "to-time",                                       .value = "TIME", .text = "set: to the first record of this time or later."},
    {.name = "why",                                                        .value = "TEXT", .text = "Why: kept in ow_audit. Must be given."},
    {.name = "who",                                                                            .value = "NAME", .text = "Who: kept likewise (default: the process' user)."},
    {.name = "skip",.text = "set: leave the records between out. They will not be handled."},
    {.name = "foreign",                                                            .text = "Go on where another store has committed: it is gone for good."},
    {.name = "restored",                   .text = "This store is a restored backup: the group is ahead of it."},
    {.name = "dry-run",                                                                .text = "Only print what would be done."},
    OW_ARGUMENT_OUTPUT,
    {.name = NULL                            },
};

static const char *value_of(const struct ow_invocation *invocation, const char *name)
{
    return ow_invocation_value(invocation, name);
}

static bool given(const struct ow_invocation *invocation, const char *name)
{
    return ow_invocation_has(invocation, name);
}

enum ow_status ow_positions_session_open(struct ow_positions_session *session,
                                         const struct ow_invocation *invocation, struct ow_err *err)
{
    *session = (struct ow_positions_session){0};
    const struct ow_config_source source = ow_config_source_of(invocation);
    ow_arena_init(&session->arena, 65536);
    OW_TRY(ow_config_load(&source, &session->config, err));
    session->next = (struct ow_consume_options){
        .machines = &session->config.machines,
        .clock = ow_clock_system(),
        .start = session->config.start,
        .start_time_ms = session->config.start_ms,
        .skips_honoured = session->config.skips_honoured,
        .restored = given(invocation, "restored"),
    };
    return OW_OK;
}

enum ow_status ow_positions_session_connect(struct ow_positions_session *session,
                                            const char *store_id, int64_t epoch,
                                            int64_t restored_epoch, struct ow_err *err)
{
    struct ow_config *config = &session->config;
    (void)snprintf(session->instance_id, sizeof(session->instance_id), "onceward-%s", store_id);
    struct ow_kafka_options options = {.group = config->group,
                                       .instance_id = session->instance_id,
                                       .properties = config->properties,
                                       .property_count = config->property_count};
    options.topics = ow_machines_topics(&config->machines, &session->arena, &options.topic_count);
    OW_TRY(ow_kafka_outside_open(&options, &session->source, err));
    session->next.source = session->source;
    session->next.store_id = store_id;
    session->next.epoch = epoch;
    session->next.restored_epoch = restored_epoch;
    return OW_OK;
}

void ow_positions_session_close(struct ow_positions_session *session)
{
    enum { CLOSE_MS = 5000 };
    if (session->source != NULL && !session->source->ops->close(session->source, CLOSE_MS)) {
        /* librdkafka's threads are still at it: harmless, for nothing of ours is in their hands. */
        (void)fputs("onceward: the broker's side did not close in time\n", stderr);
    }
    ow_config_done(&session->config);
    ow_arena_done(&session->arena);
}

/* What is wrong with what was given for a change; NULL: nothing. */
static const char *take_place(const struct ow_invocation *invocation,
                              struct ow_positions_order *order)
{
    int64_t partition = -1;
    const char *text = value_of(invocation, "partition");
    if (text != NULL &&
        (!ow_parse_i64(ow_slice_of(text), &partition) || partition < 0 || partition > INT32_MAX)) {
        return "--partition must be a number";
    }
    order->topic = value_of(invocation, "topic");
    order->partition = (int32_t)partition;
    order->why = value_of(invocation, "why");
    order->who = value_of(invocation, "who");
    order->skip = given(invocation, "skip");
    order->foreign = given(invocation, "foreign");
    if (order->topic == NULL) {
        return "--topic must be given";
    }
    if (order->verb == OW_POSITIONS_SET && partition < 0) {
        return "--partition must be given";
    }
    if (order->why == NULL || order->why[0] == '\0') {
        return "--why must be given: it is kept";
    }
    return order->who != NULL && order->who[0] == '\0' ? "--who is empty" : NULL;
}

static const char *take_target(const struct ow_invocation *invocation,
                               struct ow_positions_order *order)
{
    static const struct {
        const char *name;
        enum ow_positions_target target;
    } targets[] = {
        {"offset",      OW_POSITIONS_TO_OFFSET  },
        {"to-earliest", OW_POSITIONS_TO_EARLIEST},
        {"to-latest",   OW_POSITIONS_TO_LATEST  },
        {"to-time",     OW_POSITIONS_TO_TIME    },
    };
    int count = 0;
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        if (given(invocation, targets[i].name)) {
            count++;
            order->target = targets[i].target;
        }
    }
    if (order->target == OW_POSITIONS_TO_OFFSET &&
        (!ow_parse_i64(ow_slice_of(value_of(invocation, "offset")), &order->offset) ||
         order->offset < 0)) {
        return "--offset must be a number";
    }
    if (order->target == OW_POSITIONS_TO_TIME &&
        !ow_parse_time_ms(ow_slice_of(value_of(invocation, "to-time")), &order->time_ms)) {
        return "--to-time must be a time such as 2026-01-01T00:00:00Z";
    }
    switch (order->verb) {
    case OW_POSITIONS_SET:
        return count == 1 ? NULL
                          : "set expects one of --offset, --to-earliest, --to-latest, --to-time";
    case OW_POSITIONS_ADOPT:
        return count == 0 || (count == 1 && order->target == OW_POSITIONS_TO_OFFSET)
                   ? NULL
                   : "adopt begins at the topic's beginning, or at --offset";
    case OW_POSITIONS_ACCEPT_LOST:
        return count == 0 ? NULL : "accept-lost goes to the topic's beginning";
    }
    OW_IMPOSSIBLE("an order of no kind");
}

static enum ow_status change(const struct ow_invocation *invocation, enum ow_output output,
                             enum ow_positions_verb verb, const char **ret_mistake,
                             struct ow_err *err)
{
    struct ow_positions_order order = {.verb = verb};
    *ret_mistake = take_place(invocation, &order);
    if (*ret_mistake == NULL) {
        *ret_mistake = take_target(invocation, &order);
    }
    return *ret_mistake != NULL ? OW_BAD_CONFIG
                                : ow_positions_move(invocation, &order, output, err);
}

static int run(int argc, char **argv)
{
    enum { LIST = OW_POSITIONS_ACCEPT_LOST + 1, VERBS };
    static const char *const verbs[VERBS] = {[OW_POSITIONS_SET] = "set",
                                             [OW_POSITIONS_ADOPT] = "adopt",
                                             [OW_POSITIONS_ACCEPT_LOST] = "accept-lost",
                                             [LIST] = "list"};
    struct ow_invocation invocation;
    enum ow_output output = OW_OUTPUT_TABLE;
    int code = 0;
    if (!ow_command_parse(&ow_command_positions, argc, argv, &invocation, &code)) {
        return code;
    }
    int verb = 0;
    while (verb < VERBS &&
           (invocation.operand_count != 1 || strcmp(invocation.operands[0], verbs[verb]) != 0)) {
        verb++;
    }
    if (verb == VERBS) {
        return ow_command_refuse(&ow_command_positions,
                                 "expects one of list, set, adopt, accept-lost");
    }
    if (!ow_output_parse(value_of(&invocation, "output"), &output)) {
        return ow_command_refuse(&ow_command_positions, "-o must be table, json or jsonl");
    }
    struct ow_err err;
    const char *mistake = NULL;
    const enum ow_status status =
        verb == LIST ? ow_positions_show(&invocation, output, &err)
                     : change(&invocation, output, (enum ow_positions_verb)verb, &mistake, &err);
    if (mistake != NULL) {
        return ow_command_refuse(&ow_command_positions, "%s", mistake);
    }
    return status == OW_OK ? 0 : ow_command_fail(status, &err);
}

const struct ow_command ow_command_positions = {
    .name = "positions",
    .summary = "where each partition goes on, and the ways out where a start is refused",
    .usage = "list [-c FILE]\n"
             "       | set --topic T --partition N (--offset N | --to-earliest | --to-latest | "
             "--to-time TIME) --why TEXT\n"
             "       | adopt --topic T [--partition N] [--offset N] --why TEXT\n"
             "       | accept-lost --topic T [--partition N] --why TEXT\n"
             "       [-c FILE] [--who NAME] [--dry-run] [-o table|json|jsonl]",
    .arguments = arguments,
    .text =
        "list         a partition a line: the store's position, what the group has committed and "
        "who did, the topic's\n"
        "             bounds, and what the next start will do. Reads only: a worker may go on. "
        "Without an answer of the\n"
        "             brokers what they know is left out (\"?\", JSON: null). Whether the last "
        "handled record is still\n"
        "             the one in the topic is looked at by the next start\n"
        "set          moves a position: back is a replay, which changes nothing that was handled; "
        "forward, beyond what was\n"
        "             handled, needs --skip, and the ledger then says skipped. To the position "
        "itself: the group is moved\n"
        "             back to it. Where the store has no position yet, the group is told where the "
        "first start begins\n"
        "adopt        the topic was re-created, truncated or swapped: another incarnation begins, "
        "at the topic's beginning.\n"
        "             Claims stay, so what comes again is a duplicate\n"
        "accept-lost  the topic begins behind the position: the ledger says lost of what nobody "
        "has handled, and the\n"
        "             position goes to the topic's beginning\n"
        "\n"
        "Each change is one transaction with a row for each partition in ow_audit: who, what, why. "
        "The store is changed\n"
        "first, then the group's offsets. Where the group cannot be told now (it remembers a "
        "worker for a session after it\n"
        "ended), that is said, and the next start does it: the store is the truth. With --foreign "
        "or --restored a start would\n"
        "refuse what the group still has: then the exit code is 75, and the command is to be given "
        "again.\n"
        "\n"
        "No worker may run (exit code 75), and nobody else may be in the group (likewise). An "
        "offset must lie in the topic,\n"
        "from its first record to its end. --dry-run reads only, and asks the brokers the same.",
    .run = run,
};
