#include "store/explain_machine.h"

#include "store/internal.h"

static enum ow_status number_rules(struct ow_sql *sql, struct ow_machine *machine,
                                   struct ow_err *err)
{
    OW_STATEMENT find = {0};
    OW_TRY(ow_sql_prepare(sql,
                          "SELECT CAST(substr(key, 18) AS INTEGER) FROM ow_meta"
                          " WHERE key GLOB 'fingerprint_rule.*' AND value = ?",
                          &find, err));
    for (size_t e = 0; e < machine->event_count; e++) {
        bool row = false;
        ow_sql_bind_cstr(&find, machine->events[e].claim->rule_text);
        OW_TRY(ow_sql_step(&find, &row, err));
        machine->events[e].claim->rule_number = row ? (uint8_t)ow_sql_i64(&find, 0) : 0;
        ow_sql_reset(&find);
    }
    return OW_OK;
}

static enum ow_status compile(struct ow_machines *machines, struct ow_sql *sql,
                              const struct ow_statement *row, struct ow_err *err)
{
    struct ow_tree tree;
    const char *file = ow_arena_printf(&machines->arena, "ow_machine " OW_SLICE_FMT,
                                       OW_SLICE_ARG(ow_sql_slice(row, 0)));
    OW_TRY(ow_tree_parse_json(file, ow_sql_slice(row, 1), &tree, err));
    const enum ow_status status = ow_machines_add(machines, &tree, err);
    ow_tree_done(&tree);
    OW_TRY(status);
    return number_rules(sql, machines->list[machines->count - 1], err);
}

enum ow_status ow_explain_machine_load(struct ow_explain_machines *machines, struct ow_sql *sql,
                                       struct ow_arena *arena, struct ow_err *err)
{
    OW_STATEMENT read = {0};
    struct ow_explain_version **end = &machines->versions;
    bool row = false;
    ow_machines_init(&machines->newest);
    OW_TRY(ow_sql_prepare(
        sql,
        "SELECT name, text, version = max(version) OVER (PARTITION BY name) FROM ow_machine"
        " ORDER BY name, version",
        &read, err));
    OW_TRY(ow_sql_step(&read, &row, err));
    while (row) {
        struct ow_explain_version *version = OW_ARENA_NEW(arena, struct ow_explain_version);
        *end = version;
        end = &version->next;
        ow_machines_init(&version->machines);
        OW_TRY(compile(&version->machines, sql, &read, err));
        version->machine = version->machines.list[0];
        if (ow_sql_i64(&read, 2) != 0) {
            OW_TRY(compile(&machines->newest, sql, &read, err));
        }
        OW_TRY(ow_sql_step(&read, &row, err));
    }
    return OW_OK;
}

void ow_explain_machine_done(struct ow_explain_machines *machines)
{
    for (struct ow_explain_version *version = machines->versions; version != NULL;
         version = version->next) {
        ow_machines_done(&version->machines);
    }
    ow_machines_done(&machines->newest);
}

const struct ow_machine *ow_explain_machine_of(const struct ow_explain_machines *machines,
                                               struct ow_slice name, int64_t version)
{
    for (const struct ow_explain_version *each = machines->versions; each != NULL;
         each = each->next) {
        if (each->machine->version == version && ow_slice_equals_text(name, each->machine->name)) {
            return each->machine;
        }
    }
    return NULL;
}
