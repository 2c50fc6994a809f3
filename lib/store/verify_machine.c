#include "store/internal.h"
#include "store/verify_internal.h"

#include <inttypes.h>

static void load_version(struct ow_verify *verify, const struct ow_statement *row,
                         struct ow_verify_machine *machine);
static void drop_empty(struct ow_verify *verify);
static enum ow_status settle(struct ow_verify *verify, struct ow_verify_machine *machine,
                             struct ow_err *err);

/* The machines are compiled from the texts in the store, so verify needs no file, and judges old
 * rows by old versions. */
enum ow_status ow_verify_machine_load(struct ow_verify *verify, struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(
        &verify->sql, "SELECT name, version, digest, text FROM ow_machine ORDER BY name, version",
        &statement, err));
    struct ow_verify_machine **end = &verify->machines;
    struct ow_verify_machine *machine = NULL;
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        const struct ow_slice name = ow_sql_slice(&statement, 0);
        if (machine == NULL || !ow_slice_equals_text(name, machine->name)) {
            machine = OW_ARENA_NEW(verify->arena, struct ow_verify_machine);
            machine->name = ow_arena_text(verify->arena, name);
            *end = machine;
            end = &machine->next;
        }
        load_version(verify, &statement, machine);
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    drop_empty(verify);
    for (machine = verify->machines; machine != NULL; machine = machine->next) {
        OW_TRY(settle(verify, machine, err));
    }
    return OW_OK;
}

/* A machine of which no version loads is as good as unknown. */
static void drop_empty(struct ow_verify *verify)
{
    struct ow_verify_machine **link = &verify->machines;
    while (*link != NULL) {
        if ((*link)->versions == NULL) {
            *link = (*link)->next;
        } else {
            link = &(*link)->next;
        }
    }
}

/* What is wrong with a stored text, or NULL: then it is compiled. */
static const char *compile(struct ow_verify *verify, const struct ow_statement *row,
                           const char *name, struct ow_verify_version *version)
{
    const struct ow_slice text = ow_sql_slice(row, 3);
    uint8_t digest[OW_DIGEST_BYTES];
    ow_hash_digest(text, digest);
    if (!ow_slice_equal(ow_sql_slice(row, 2), (struct ow_slice){digest, sizeof(digest)})) {
        return "the stored text is not what was stored";
    }
    struct ow_err why;
    struct ow_tree tree;
    const char *file = ow_arena_printf(verify->arena, "ow_machine %s", name);
    enum ow_status status = ow_tree_parse_json(file, text, &tree, &why);
    if (status == OW_OK) {
        status = ow_machines_add(&version->machines, &tree, &why);
        ow_tree_done(&tree);
    }
    if (status != OW_OK) {
        return ow_arena_text(verify->arena, ow_slice_of(why.text));
    }
    version->machine = version->machines.list[0];
    return version->machine->version == version->version &&
                   strcmp(version->machine->name, name) == 0
               ? NULL
               : "the stored text is of another machine or version";
}

static void load_version(struct ow_verify *verify, const struct ow_statement *row,
                         struct ow_verify_machine *machine)
{
    struct ow_verify_version *version = OW_ARENA_NEW(verify->arena, struct ow_verify_version);
    ow_machines_init(&version->machines);
    version->version = ow_sql_i64(row, 1);
    const char *wrong = compile(verify, row, machine->name, version);
    ow_verify_checked(verify, OW_PROMISE_MACHINES, 1);
    if (wrong != NULL) {
        ow_verify_broken(verify, OW_PROMISE_MACHINES, "machine '%s' version %" PRId64 ": %s",
                         machine->name, version->version, wrong);
        ow_machines_done(&version->machines);
        return;
    }
    struct ow_verify_version **end = &machine->versions;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = version;
    machine->newest = version->machine;
    if (version->machine->park_per_entity > machine->park_per_entity_max) {
        machine->park_per_entity_max = version->machine->park_per_entity;
    }
}

struct ow_verify_machine *ow_verify_machine_named(const struct ow_verify *verify,
                                                  struct ow_slice name)
{
    struct ow_verify_machine *machine = verify->machines;
    while (machine != NULL && !ow_slice_equals_text(name, machine->name)) {
        machine = machine->next;
    }
    return machine;
}

/* The rule of the n-th event of all versions, or NULL. */
static struct ow_claim_rule *rule_at(const struct ow_verify_machine *machine, size_t n,
                                     const char **ret_event)
{
    for (const struct ow_verify_version *version = machine->versions; version != NULL;
         version = version->next) {
        if (n < version->machine->event_count) {
            *ret_event = version->machine->events[n].name;
            return version->machine->events[n].claim;
        }
        n -= version->machine->event_count;
    }
    return NULL;
}

bool ow_verify_retains(const struct ow_verify_machine *machine, int64_t retention_ms)
{
    const char *event = NULL;
    const struct ow_claim_rule *rule = NULL;
    for (size_t n = 0; (rule = rule_at(machine, n, &event)) != NULL; n++) {
        if (rule->retention_ms == retention_ms) {
            return true;
        }
    }
    return false;
}

bool ow_verify_number_rule(struct ow_verify_machine *machine, struct ow_slice text, uint8_t number)
{
    const char *event = NULL;
    struct ow_claim_rule *rule = NULL;
    bool used = false;
    for (size_t n = 0; (rule = rule_at(machine, n, &event)) != NULL; n++) {
        if (ow_slice_equals_text(text, rule->rule_text)) {
            rule->rule_number = number;
            used = true;
        }
    }
    return used;
}

const char *ow_verify_unnumbered(const struct ow_verify_machine *machine)
{
    const char *event = NULL;
    const struct ow_claim_rule *rule = NULL;
    for (size_t n = 0; (rule = rule_at(machine, n, &event)) != NULL; n++) {
        if (rule->rule_number == 0) {
            return event;
        }
    }
    return NULL;
}

size_t ow_verify_column(const struct ow_table *table, const char *name)
{
    for (size_t c = 0; c < table->column_count; c++) {
        if (strcmp(table->columns[c].name, name) == 0) {
            return c;
        }
    }
    return SIZE_MAX;
}

const struct ow_verify_version *ow_verify_version_of(const struct ow_verify_machine *machine,
                                                     int64_t version)
{
    const struct ow_verify_version *found = machine->versions;
    while (found != NULL && found->version != version) {
        found = found->next;
    }
    return found;
}

/* Where the columns of a version are in the newest one, and which are added to. */
static enum ow_status map_columns(struct ow_verify_machine *machine,
                                  struct ow_verify_version *version, struct ow_err *err)
{
    const struct ow_machine *old = version->machine;
    for (size_t c = 0; c < old->entity.column_count; c++) {
        version->columns[c] =
            ow_verify_column(&machine->newest->entity, old->entity.columns[c].name);
        if (version->columns[c] == SIZE_MAX) { /* the store refuses such a version at open */
            return ow_fail(err, OW_UNSAFE,
                           "machine '%s' lost the column '%s' after version %" PRId64,
                           machine->name, old->entity.columns[c].name, version->version);
        }
    }
    for (size_t e = 0; e < old->event_count; e++) {
        for (size_t t = 0; t < old->events[e].transition_count; t++) {
            const struct ow_transition *transition = &old->events[e].transitions[t];
            for (size_t a = 0; a < transition->add_count; a++) {
                machine->added[version->columns[transition->adds[a].column]] = true;
            }
        }
    }
    return OW_OK;
}

void ow_verify_append_columns(struct ow_buffer *text, const struct ow_table *table)
{
    for (size_t c = 0; c < table->column_count; c++) {
        ow_buffer_text(text, ", ");
        ow_store_identifier(text, table->columns[c].name);
    }
    ow_buffer_text(text, " FROM ");
    ow_store_identifier(text, table->name);
}

void ow_verify_append_order(struct ow_buffer *text, const struct ow_table *table)
{
    ow_buffer_text(text, " WHERE ");
    ow_store_identifier(text, table->key);
    ow_buffer_text(text, " >= ? ORDER BY ");
    ow_store_identifier(text, table->key);
}

static enum ow_status settle(struct ow_verify *verify, struct ow_verify_machine *machine,
                             struct ow_err *err)
{
    for (struct ow_verify_version *version = machine->versions; version != NULL;
         version = version->next) {
        OW_TRY(map_columns(machine, version, err));
    }
    const struct ow_machine *newest = machine->newest;
    OW_BUFFER text = {0};
    ow_buffer_text(&text, "SELECT state, last_seq FROM ");
    ow_store_identifier(&text, newest->entity.name);
    ow_buffer_text(&text, " WHERE ");
    ow_store_identifier(&text, newest->entity.key);
    ow_buffer_text(&text, " = ?");
    OW_TRY(ow_sql_prepare(&verify->sql, ow_buffer_cstr(&text), &machine->state_of_key, err));

    machine->record_of_key =
        OW_ARENA_ARRAY(verify->arena, newest->record_count, struct ow_statement);
    machine->record_rows =
        OW_ARENA_ARRAY(verify->arena, newest->record_count, struct ow_verify_sum);
    for (size_t r = 0; r < newest->record_count; r++) {
        ow_buffer_clear(&text);
        ow_buffer_text(&text, "SELECT seq");
        ow_verify_append_columns(&text, &newest->records[r]);
        ow_buffer_text(&text, " WHERE ");
        ow_store_identifier(&text, newest->records[r].key);
        ow_buffer_text(&text, " = ?");
        OW_TRY(
            ow_sql_prepare(&verify->sql, ow_buffer_cstr(&text), &machine->record_of_key[r], err));
    }
    return OW_OK;
}

void ow_verify_machine_done(struct ow_verify *verify)
{
    for (struct ow_verify_machine *machine = verify->machines; machine != NULL;
         machine = machine->next) {
        ow_sql_finalize(&machine->state_of_key);
        for (size_t r = 0; machine->record_of_key != NULL && r < machine->newest->record_count;
             r++) {
            ow_sql_finalize(&machine->record_of_key[r]);
        }
    }
    for (struct ow_verify_machine *machine = verify->machines; machine != NULL;
         machine = machine->next) {
        for (struct ow_verify_version *version = machine->versions; version != NULL;
             version = version->next) {
            ow_machines_done(&version->machines);
        }
    }
}
