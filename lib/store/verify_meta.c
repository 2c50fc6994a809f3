#include "base/parse.h"
#include "store/internal.h"
#include "store/verify_internal.h"

#include <inttypes.h>
#include <stdio.h>

/* ow_meta: each key is one that the program writes, with a value of its kind. */

enum form { INTEGER, HEX_32, HEX_64, RULE };

static const struct {
    const char *key;
    int64_t least; /* INTEGER */
    enum form form;
    bool prefix; /* something follows */
    bool optional;
} keys[] = {
    {.key = "backup_at_ms",    .form = INTEGER,                 .optional = true},
    {.key = "batch",                        .form = INTEGER                                         },
    {.key = "created_at_ms",                        .form = INTEGER},
    {.key = "epoch",                        .form = INTEGER                                                 },
    {.key = "fingerprint_rule.",                        .form = RULE,.prefix = true, .optional = true},
    {.key = "hash_key",          .form = HEX_64,                                             .optional = true},
    {.key = "hash_key_check",        .form = HEX_32               },
    {.key = "next_ref",                        .form = INTEGER,                                 .least = 1},
    {.key = "pruned.",                        .form = INTEGER,                        .prefix = true, .optional = true},
    {.key = "pruned_below.",              .form = INTEGER,             .prefix = true, .optional = true},
    {.key = "replaced_at_ms.",.form = INTEGER,.prefix = true, .optional = true},
    {.key = "restored_at_ms",                        .form = INTEGER,                                  .optional = true},
    {.key = "restored_epoch",          .form = INTEGER,             .least = 1, .optional = true},
    {.key = "schema_version", .form = INTEGER,                                .least = 1},
    {.key = "seal.",        .form = INTEGER,                                       .least = INT64_MIN, .prefix = true, .optional = true},
    {.key = "store_id",.form = HEX_32},
};
enum { KEYS = sizeof(keys) / sizeof(keys[0]) };

static bool is_hex(const struct ow_value *value, size_t len)
{
    if (value->type != OW_TYPE_TEXT || value->text.len != len) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        const uint8_t c = value->text.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
    }
    return true;
}

/* The number of the key in the table, or KEYS. */
static size_t find(struct ow_slice key)
{
    size_t i = 0;
    for (; i < KEYS; i++) {
        const size_t len = strlen(keys[i].key);
        if (keys[i].prefix ? key.len > len && memcmp(key.ptr, keys[i].key, len) == 0
                           : ow_slice_equals_text(key, keys[i].key)) {
            break;
        }
    }
    return i;
}

/* A rule's text is that of some machine's events, and gives them its number. */
static bool take_rule(struct ow_verify *verify, struct ow_slice number_text,
                      const struct ow_value *value)
{
    int64_t number = 0;
    if (value->type != OW_TYPE_TEXT || !ow_parse_i64(number_text, &number) || number < 1 ||
        number > OW_FINGERPRINT_RULES_MAX) {
        return false;
    }
    verify->rules[number] = true;
    bool used = false;
    for (struct ow_verify_machine *machine = verify->machines; machine != NULL;
         machine = machine->next) {
        used = ow_verify_number_rule(machine, value->text, (uint8_t)number) || used;
    }
    return used;
}

static bool is_formed(struct ow_verify *verify, size_t at, struct ow_slice key,
                      const struct ow_value *value)
{
    const size_t prefix = strlen(keys[at].key);
    switch (keys[at].form) {
    case INTEGER:
        return value->type == OW_TYPE_INTEGER && value->integer >= keys[at].least;
    case HEX_32:
        return is_hex(value, 32);
    case HEX_64:
        return is_hex(value, 64);
    case RULE:
        return take_rule(verify, (struct ow_slice){key.ptr + prefix, key.len - prefix}, value);
    }
    OW_IMPOSSIBLE("a value of no form");
}

static enum ow_status check_rows(struct ow_verify *verify, bool present[KEYS], struct ow_err *err)
{
    OW_STATEMENT statement = {0};
    OW_TRY(ow_sql_prepare(&verify->sql, "SELECT key, value FROM ow_meta ORDER BY key", &statement,
                          err));
    bool row = false;
    OW_TRY(ow_sql_step(&statement, &row, err));
    while (row) {
        const struct ow_slice key = ow_sql_slice(&statement, 0);
        const struct ow_value value = ow_sql_value(&statement, 1, NULL);
        const size_t at = find(key);
        ow_verify_checked(verify, OW_PROMISE_META, 1);
        if (at == KEYS) {
            ow_verify_broken(verify, OW_PROMISE_META, "'" OW_SLICE_FMT "' is no key of ow_meta",
                             OW_SLICE_ARG(key));
        } else {
            present[at] = true;
            if (!is_formed(verify, at, key, &value)) {
                ow_verify_broken(verify, OW_PROMISE_META,
                                 "'" OW_SLICE_FMT "' has a value that is not one of it",
                                 OW_SLICE_ARG(key));
            }
        }
        OW_TRY(ow_sql_step(&statement, &row, err));
    }
    return OW_OK;
}

/* The numbers of rules go up from 1, and every rule of a machine has one. */
static void check_rules(struct ow_verify *verify)
{
    for (int number = 2; number <= OW_FINGERPRINT_RULES_MAX; number++) {
        if (verify->rules[number] && !verify->rules[number - 1]) {
            ow_verify_broken(verify, OW_PROMISE_META, "there is a fingerprint_rule.%d and no %d",
                             number, number - 1);
        }
    }
    for (const struct ow_verify_machine *machine = verify->machines; machine != NULL;
         machine = machine->next) {
        const char *event = ow_verify_unnumbered(machine);
        if (event != NULL) {
            ow_verify_broken(verify, OW_PROMISE_META,
                             "the fingerprint rule of machine '%s', event '%s' has no number",
                             machine->name, event);
        }
    }
}

static enum ow_status load_key(struct ow_verify *verify, bool stored, struct ow_err *err)
{
    const char *file = verify->slices.options.hash_key_file;
    if (file == NULL && !stored) {
        ow_verify_remark(verify,
                         "claim keys and fingerprints were not recomputed: the store's hash "
                         "key is in a file of its own, name the configuration with -c");
        return OW_OK;
    }
    struct ow_err why;
    const enum ow_status status =
        ow_store_key_load(&verify->sql, file, false, &verify->hash_key, &why);
    if (status == OW_STORE_UNKNOWN) {
        *err = why;
        return status;
    }
    verify->has_key = status == OW_OK;
    if (!verify->has_key) {
        ow_verify_broken(verify, OW_PROMISE_META, "%s", why.text);
    }
    return OW_OK;
}

enum ow_status ow_verify_meta(struct ow_verify *verify, struct ow_err *err)
{
    bool present[KEYS] = {false};
    OW_TRY(check_rows(verify, present, err));
    bool stored_key = false;
    for (size_t i = 0; i < KEYS; i++) {
        if (!present[i] && !keys[i].optional) {
            ow_verify_broken(verify, OW_PROMISE_META, "ow_meta has no '%s'", keys[i].key);
        }
        stored_key = stored_key || (present[i] && strcmp(keys[i].key, "hash_key") == 0);
    }
    check_rules(verify);
    int64_t version = 0;
    int64_t said = 0;
    OW_TRY(ow_sql_query_i64(&verify->sql, "PRAGMA user_version", &version, err));
    OW_TRY(ow_sql_query_i64(&verify->sql, "SELECT value FROM ow_meta WHERE key = 'schema_version'",
                            &said, err));
    if (version != said) {
        ow_verify_broken(verify, OW_PROMISE_META,
                         "schema_version is %" PRId64 ", the file's user_version %" PRId64, said,
                         version);
    }
    verify->decoder.hash_key = &verify->hash_key;
    return load_key(verify, stored_key, err);
}
