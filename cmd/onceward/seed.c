/* `onceward seed entities`: entities that another system has begun. */
#include "seed_input.h"
#include "seed_session.h"

#include <stdlib.h>
#include <string.h>

static const struct ow_argument arguments[] = {
    OW_ARGUMENT_CONFIG,
    OW_ARGUMENT_SET,
    {.name = "machine",
      .letter = 'm',
      .value = "NAME",
      .text = "The machine of the entities; not needed where there is one."},
    OW_ARGUMENT_FROM_JSONL,
    OW_ARGUMENT_FROM_SQLITE,
    OW_ARGUMENT_SQL,
    OW_ARGUMENT_SKIP_BAD,
    OW_ARGUMENT_OUTPUT,
    {.name = NULL  },
};

enum { BATCH = 2000 };

struct seeding {
    struct ow_seed_session session;
    const struct ow_machine *machine;
    const struct ow_seed_input *input;
    struct ow_seed_entity list[BATCH]; /* the next transaction */
    enum ow_seeded seeded[BATCH];
    size_t count;
    int64_t read, made, known, written;
};

static void count_one(struct seeding *seeding, enum ow_seeded seeded)
{
    seeding->made += seeded == OW_SEEDED;
    seeding->known += seeded == OW_SEEDED_KNOWN;
}

/* Something among them is refused: one by one, so that it is told what. */
static enum ow_status write_one_by_one(struct seeding *seeding, struct ow_err *err)
{
    for (size_t i = 0; i < seeding->count; i++) {
        const enum ow_status status = ow_seed_entities(&seeding->session.apply, &seeding->list[i],
                                                       1, &seeding->seeded[i], err);
        if (status == OW_RECORD_REFUSED) {
            const char *problem = ow_arena_text(&seeding->session.arena, ow_slice_of(err->text));
            OW_TRY(ow_seed_session_bad(&seeding->session, ow_seed_input_name(seeding->input),
                                       seeding->list[i].record.offset, problem,
                                       seeding->list[i].record.offset - 1, err));
            continue;
        }
        OW_TRY(status);
        count_one(seeding, seeding->seeded[i]);
    }
    return OW_OK;
}

static enum ow_status flush(struct seeding *seeding, struct ow_err *err)
{
    enum ow_status status = OW_OK;
    if (seeding->count > 0) {
        status = ow_seed_entities(&seeding->session.apply, seeding->list, seeding->count,
                                  seeding->seeded, err);
    }
    if (status == OW_RECORD_REFUSED) {
        OW_TRY(write_one_by_one(seeding, err));
    } else {
        OW_TRY(status);
        for (size_t i = 0; i < seeding->count; i++) {
            count_one(seeding, seeding->seeded[i]);
        }
    }
    seeding->count = 0;
    seeding->written = ow_seed_input_number(seeding->input);
    ow_arena_reset(&seeding->session.arena);
    return OW_OK;
}

static enum ow_status take_row(struct seeding *seeding, const json_t *row, const char *problem,
                               struct ow_err *err)
{
    struct ow_seed_entity *entity = &seeding->list[seeding->count];
    const int64_t number = ow_seed_input_number(seeding->input);
    seeding->read++;
    if (problem == NULL) {
        problem = ow_seed_entity_read(seeding->machine, row, &seeding->session.arena, entity);
    }
    if (problem != NULL) {
        return ow_seed_session_bad(&seeding->session, ow_seed_input_name(seeding->input), number,
                                   problem, seeding->written, err);
    }
    entity->record = (struct ow_record){.topic = OW_SLICE(OW_SEED_NAME), .offset = number};
    seeding->count++;
    return seeding->count < BATCH ? OW_OK : flush(seeding, err);
}

static enum ow_status take_rows(struct seeding *seeding, struct ow_seed_input *input,
                                struct ow_err *err)
{
    seeding->input = input;
    for (;;) {
        OW_JSON *row = NULL;
        const char *problem = NULL;
        int64_t goal = 0;
        OW_TRY(ow_seed_input_next(input, &seeding->session.arena, &row, &problem, err));
        if (row == NULL && problem == NULL) {
            return flush(seeding, err);
        }
        OW_TRY(take_row(seeding, row, problem, err));
        const int64_t done = ow_seed_input_done(input, &goal);
        ow_read_progress_show(&seeding->session.progress, "seeding entities", done, goal);
    }
}

static enum ow_status find_machine(struct seeding *seeding, struct ow_err *err)
{
    const struct ow_machines *machines = &seeding->session.config.machines;
    const char *name = ow_invocation_value(seeding->session.invocation, "machine");
    if (name == NULL && machines->count > 1) {
        return ow_fail(err, OW_BAD_CONFIG, "there are several machines: --machine says which");
    }
    seeding->machine =
        name == NULL ? machines->list[0] : ow_machines_named(machines, ow_slice_of(name));
    return seeding->machine != NULL ? OW_OK
                                    : ow_fail(err, OW_BAD_CONFIG, "there is no machine '%s' in %s",
                                              name, seeding->session.config.file);
}

static enum ow_status seed_entities(struct seeding *seeding, const struct ow_invocation *invocation,
                                    struct ow_err *err)
{
    struct ow_seed_input *input = NULL;
    OW_TRY(ow_seed_session_open(&seeding->session, invocation, err));
    OW_TRY(find_machine(seeding, err));
    OW_TRY(ow_seed_input_open(invocation, &input, err));
    const enum ow_status status = take_rows(seeding, input, err);
    ow_seed_input_close(input);
    return status;
}

static int run(int argc, char **argv)
{
    struct ow_invocation invocation;
    enum ow_output output = OW_OUTPUT_TABLE;
    int code = 0;
    if (!ow_command_parse(&ow_command_seed, argc, argv, &invocation, &code)) {
        return code;
    }
    if (invocation.operand_count != 1 || strcmp(invocation.operands[0], "entities") != 0) {
        return ow_command_refuse(&ow_command_seed,
                                 "expects entities (claims: onceward claims seed)");
    }
    if (!ow_output_parse(ow_invocation_value(&invocation, "output"), &output)) {
        return ow_command_refuse(&ow_command_seed, "-o must be table, json or jsonl");
    }
    const char *mistake = ow_seed_input_mistake(&invocation, false);
    if (mistake != NULL) {
        return ow_command_refuse(&ow_command_seed,
                                 "%s: --from-jsonl FILE, or --from-sqlite DB --sql QUERY", mistake);
    }
    struct seeding *seeding = calloc(1, sizeof(*seeding));
    struct ow_err err;
    if (seeding == NULL) {
        OW_IMPOSSIBLE("out of memory");
    }
    const enum ow_status status = seed_entities(seeding, &invocation, &err);
    ow_seed_session_close(&seeding->session);
    if (status == OW_OK) {
        ow_seed_session_print(output, (const struct ow_seed_count[]){
                                          {"read",   seeding->read       },
                                          {"seeded", seeding->made       },
                                          {"known",  seeding->known      },
                                          {"bad",    seeding->session.bad},
                                          {NULL,     0                   }
        });
    }
    free(seeding);
    return status == OW_OK ? 0 : ow_command_fail(status, &err);
}

const struct ow_command ow_command_seed = {
    .name = "seed",
    .summary = "take over entities that another system has begun",
    .usage = "entities [-c FILE] [--machine NAME] (--from-jsonl FILE | --from-sqlite DB --sql "
             "QUERY)\n       [--skip-bad] [-o table|json|jsonl]",
    .arguments = arguments,
    .text =
        "Makes an entity of each row, in the state that it says and with its columns, as if it had "
        "come there by itself:\n"
        "version 1, with a history row via seed. What is parked under it is judged at once. An "
        "entity that is there is left\n"
        "as it is, so all rows may be given again. Only while no worker runs (exit code 75).\n"
        "\n"
        "A row is a JSON object, or has columns of these names: id, state; the entity's columns by "
        "their names, which have\n"
        "their default or hold nothing where they are left out; at (RFC 3339, or milliseconds "
        "since "
        "1970): both times of the\n"
        "entity, now where it is left out; records: the rows of record tables that it brings, "
        "{\"payments\":[{…}]}, as an\n"
        "object or as a text. Without its records a payment that comes again under a new message "
        "id is not known by its own\n"
        "id. Messages that were handled already are claims: see onceward claims seed.\n"
        "\n"
        "A bad row ends it with exit code 1: rows before it may be written, it and those behind it "
        "are not. -o json: read,\n"
        "seeded, known (the entity was there), bad.",
    .run = run,
};
