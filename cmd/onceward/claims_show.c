#include "base/duration.h"
#include "base/parse.h"
#include "claims.h"
#include "command.h"
#include "model/json.h"
#include "read_progress.h"
#include "store/claims_survey.h"
#include "store/explain.h"

#include <inttypes.h>
#include <string.h>

enum { KEY_BYTES = 16 };

/* 32 hexadecimal digits. */
static bool read_key(const char *text, uint8_t key[KEY_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    bool good = strlen(text) == (size_t)2 * KEY_BYTES;
    for (size_t i = 0; good && i < (size_t)2 * KEY_BYTES; i++) {
        const char lower =
            (char)(text[i] >= 'A' && text[i] <= 'F' ? text[i] + ('a' - 'A') : text[i]);
        const char *const digit = strchr(digits, lower);
        good = digit != NULL;
        key[i / 2] = (uint8_t)(key[i / 2] << 4 | (good ? (uint8_t)(digit - digits) : 0));
    }
    return good;
}

/* The rows that a ref can be the number of. */
struct owner {
    const char *table; /* NULL: none */
    int64_t id;
};

static struct owner owner_of(const struct ow_explain_event *event)
{
    if (event->seq != 0) {
        return (struct owner){"history", event->seq};
    }
    if (event->waits_for != NULL) {
        return (struct owner){"parked", event->ref};
    }
    if (event->quarantine != NULL) {
        return (struct owner){"quarantine", event->quarantine->id};
    }
    return (struct owner){event->sightings == NULL ? NULL : "sighting", event->ref};
}

/* The first sight of the message, as late as it can have been. */
static int64_t age_ms(const struct ow_explain_event *event, int64_t now_ms)
{
    const int64_t since_ms =
        event->seen.most_ms == INT64_MAX ? event->claim.bucket_opened_at_ms : event->seen.most_ms;
    return now_ms > since_ms ? now_ms - since_ms : 0;
}

/* Foreign bytes that are no UTF-8 become null rather than be made up. */
static json_t *text(const char *value)
{
    json_t *const made = value == NULL ? NULL : json_string(value);
    return made == NULL ? json_null() : made;
}

static json_t *owner_json(const struct ow_explain_event *event)
{
    const struct owner owner = owner_of(event);
    const bool placed = event->place.topic != NULL;
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "table", text(owner.table), "id",
        owner.table == NULL ? json_null() : json_integer((json_int_t)owner.id), "machine",
        text(event->machine), "entity_id", text(event->entity_id), "type", text(event->type),
        "source", text(event->source), "message_id", text(event->id), "topic",
        text(event->place.topic), "partition",
        placed ? json_integer((json_int_t)event->place.partition) : json_null(), "offset",
        placed ? json_integer((json_int_t)event->place.offset) : json_null());
}

static json_t *claim_json(const struct ow_explain_event *event, const char *rule_text,
                          int64_t now_ms)
{
    const struct ow_explain_claim *const claim = &event->claim;
    char class[OW_DURATION_TEXT_MAX];
    return json_pack(
        "{s:s, s:I, s:s, s:I, s:I, s:I, s:s, s:I, s:o, s:I, s:o}", "key", claim->key, "bucket",
        (json_int_t)claim->bucket, "class", ow_duration_text(claim->retention_ms, class),
        "class_ms", (json_int_t)claim->retention_ms, "bucket_opened_at_ms",
        (json_int_t)claim->bucket_opened_at_ms, "age_ms", (json_int_t)age_ms(event, now_ms),
        "fingerprint", claim->fingerprint, "rule", (json_int_t)claim->rule, "rule_text",
        text(rule_text), "ref", (json_int_t)event->ref, "owner", owner_json(event));
}

/* Whole units of the largest one that there are at least two of. */
static const char *rough(int64_t ms, char out[OW_DURATION_TEXT_MAX])
{
    static const int64_t units_ms[] = {86400000, 3600000, 60000, 1000};
    size_t i = 0;
    while (i < 3 && ms < 2 * units_ms[i]) {
        i++;
    }
    return ow_duration_text(ms - ms % units_ms[i], out);
}

static void print_field(const char *name, const char *value)
{
    if (value != NULL) {
        printf("%s", name);
        ow_output_text(stdout, ow_slice_of(value));
    }
}

static void print_owner(const struct ow_explain_event *event)
{
    const struct owner owner = owner_of(event);
    if (owner.table == NULL) {
        printf("owner        none is there any more\n");
        return;
    }
    printf("owner        %s %" PRId64, owner.table, owner.id);
    print_field(": ", event->type);
    print_field(" ", event->id);
    print_field(" from ", event->source);
    print_field(", entity ", event->entity_id);
    print_field(" of machine ", event->machine);
    if (event->place.topic != NULL) {
        print_field(", ", event->place.topic);
        printf("[%" PRId64 "] %" PRId64, event->place.partition, event->place.offset);
    }
    printf("\n");
}

static void print_claim(const struct ow_explain_event *event, const char *rule_text, int64_t now_ms)
{
    const struct ow_explain_claim *const claim = &event->claim;
    char opened[OW_TIME_TEXT_BYTES];
    char span[OW_DURATION_TEXT_MAX];
    ow_format_time_ms(claim->bucket_opened_at_ms, opened);
    printf("key          %s\nbucket       %" PRId64 ", opened %s\n", claim->key, claim->bucket,
           opened);
    printf("class        %s\n", ow_duration_text(claim->retention_ms, span));
    printf("age          %s\n", rough(age_ms(event, now_ms), span));
    printf("fingerprint  %s\nrule         %" PRId64, claim->fingerprint, claim->rule);
    print_field(": ", rule_text);
    printf("\nref          %" PRId64 "\n", event->ref);
    print_owner(event);
}

/* Prints the messages that have their claims. *ret_count: how many. */
static enum ow_status print_all(const struct ow_explanation *explanation, const char *path,
                                enum ow_output output, struct ow_arena *arena, size_t *ret_count,
                                struct ow_err *err)
{
    const struct ow_clock clock = ow_clock_system();
    const int64_t now_ms = ow_clock_now_ms(&clock);
    OW_JSON *list = json_array();
    *ret_count = 0;
    for (const struct ow_explain_meaning *each = explanation->meanings; each != NULL;
         each = each->next) {
        const struct ow_explain_event *const event = each->events;
        const char *rule_text = NULL;
        if (event->claim.claimed != OW_EXPLAIN_CLAIM_FOUND) {
            continue;
        }
        OW_TRY(ow_claims_survey_rule(path, event->claim.rule, arena, &rule_text, err));
        if (output == OW_OUTPUT_TABLE) {
            printf("%s", *ret_count == 0 ? "" : "\n");
            print_claim(event, rule_text, now_ms);
        } else {
            json_array_append_new(list, claim_json(event, rule_text, now_ms));
        }
        (*ret_count)++;
    }
    if (output == OW_OUTPUT_JSONL) {
        ow_output_json(output, list);
    } else if (output == OW_OUTPUT_JSON) {
        OW_JSON *all = json_pack("{s:b, s:O}", "found", *ret_count > 0, "claims", list);
        ow_output_json(output, all);
    }
    return OW_OK;
}

/* What keeps a claim from being found by its message's id. */
static void say_limits(const struct ow_explanation *explanation, const char *source)
{
    if (explanation->key_missing) {
        (void)fputs("onceward: the store's hash key is in a file of its own: name the configuration"
                    " (-c FILE) to have claims looked up by a message's id\n",
                    stderr);
    }
    if (explanation->sources_cut && source == NULL) {
        (void)fputs("onceward: messages come from more sources than were tried: name one with"
                    " --source\n",
                    stderr);
    }
    if (explanation->uncomputable != NULL) {
        (void)fprintf(stderr,
                      "onceward: a claim of machine %s has parts that a message id does not give\n",
                      explanation->uncomputable);
    }
}

int ow_claims_show(const struct ow_claims_store *store, const char *id, const char *source,
                   enum ow_output output, struct ow_arena *arena)
{
    uint8_t key[KEY_BYTES] = {0};
    const bool is_key = source == NULL && read_key(id, key);
    struct ow_err err;
    struct ow_explanation explanation;
    struct ow_read_progress progress;
    ow_read_progress_init(&progress);
    const struct ow_explain_options options = {.path = store->path,
                                               .hash_key_file = store->hash_key_file,
                                               .id = id,
                                               .source = source,
                                               .claim_key = is_key ? key : NULL,
                                               .messages_only = true,
                                               .clock = ow_clock_system(),
                                               .progress = ow_read_progress_show,
                                               .context = &progress};
    size_t count = 0;
    enum ow_status status = ow_explain(&options, arena, &explanation, &err);
    ow_read_progress_done(&progress);
    if (status == OW_OK) {
        status = print_all(&explanation, store->path, output, arena, &count, &err);
    }
    if (status != OW_OK) {
        return ow_command_fail(status, &err);
    }
    if (count == 0) {
        (void)fprintf(stderr, "onceward: '%s' has no claim for %s '%s'\n", store->path,
                      is_key ? "key" : "a message with the id", id);
    }
    if (!is_key) {
        say_limits(&explanation, source);
    }
    /* FAILED and not DIFFERENT, as for explain: nothing was compared; there is no answer. */
    return ow_status_exit_code(count > 0 ? OW_OK : OW_FAILED);
}
