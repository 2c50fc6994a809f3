#include "base/parse.h"
#include "engine/consume.h"
#include "store/verify.h"
#include "transcript.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

bool ow_play_fail(struct ow_play *play, const char *format, ...)
{
    if (play->failed) {
        return false; /* the first failure says it */
    }
    play->failed = true;
    char text[6000];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    ow_buffer_printf(&play->failure, "%s:%d: %s (%s): ", play->tree.file,
                     play->tree.root == NULL ? 0 : ow_tree_line(&play->tree, play->path),
                     play->path + 1, play->variant->name);
    ow_buffer_text(&play->failure, text);
    return false;
}

bool ow_play_known(struct ow_play *play, const json_t *object, const char *const *known)
{
    const char *name = NULL;
    json_t *member = NULL;
    json_object_foreach((json_t *)(uintptr_t)object, name, member)
    {
        size_t i = 0;
        while (known[i] != NULL && strcmp(known[i], name) != 0) {
            i++;
        }
        if (known[i] == NULL) {
            return ow_play_fail(play, "there is no '%s' here", name);
        }
    }
    return true;
}

static const char *text_of(const json_t *json, const char *name, const char *fallback)
{
    const json_t *member = json_object_get(json, name);
    return json_is_string(member) ? json_string_value(member) : fallback;
}

bool ow_play_check_status(struct ow_play *play, const json_t *json, enum ow_status status,
                          const struct ow_err *err)
{
    static const struct {
        const char *name;
        enum ow_status status;
    } names[] = {
        {"ok",         OW_OK        },
        {"failed",     OW_FAILED    },
        {"bad_config", OW_BAD_CONFIG},
        {"unsafe",     OW_UNSAFE    },
        {"temporary",  OW_TEMPORARY }
    };
    const char *expected = text_of(json, "status", "ok");
    const char *says = text_of(json, "says", "");
    const char *got = "another status";
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        got = names[i].status == status ? names[i].name : got;
    }
    const char *text = status == OW_OK ? "" : err->text;
    if (strcmp(got, expected) != 0 || strstr(text, says) == NULL) {
        return ow_play_fail(play, "expected the status %s%s%s, got %s: %s", expected,
                            says[0] == '\0' ? "" : ": ", says, got, text);
    }
    return true;
}

static bool step_send(struct ow_play *play, const json_t *json, const json_t *step)
{
    (void)step;
    const char *path = play->path;
    for (size_t i = 0; i < json_array_size(json); i++) {
        play->path = ow_arena_printf(&play->arena, "%s/send/%zu", path, i);
        if (!ow_play_send(play, json_array_get(json, i))) {
            return false;
        }
    }
    play->path = path;
    return json_array_size(json) > 0 || ow_play_fail(play, "send: a list of records");
}

static struct ow_consume_options consume_options(struct ow_play *play, const json_t *json,
                                                 struct ow_door *door)
{
    struct ow_consume_options options = {
        .source = door->source,
        .worker = play->worker,
        .machines = &play->machines,
        .clock = ow_clock_manual(&play->clock),
        .store_id = ow_store_id(play->store),
        .epoch = ow_store_epoch(play->store),
        .skips_honoured = strcmp(text_of(json, "skips", "refuse"), "honour") == 0,
        .restored = json_is_true(json_object_get(json, "restored")),
        .stop = &door->stop,
    };
    const char *start = text_of(json, "start", "earliest");
    if (strcmp(start, "latest") == 0) {
        options.start = OW_START_LATEST;
    } else if (ow_parse_time_ms(ow_slice_of(start), &options.start_time_ms)) {
        options.start = OW_START_TIME;
    }
    return options;
}

/* To the end of all partitions, or so many records further; then a look at the deadlines. */
static bool step_run(struct ow_play *play, const json_t *json, const json_t *step)
{
    static const char *const known[] = {"records",  "status", "says", "skips",
                                        "restored", "start",  NULL};
    (void)step;
    if (json_is_object(json) && !ow_play_known(play, json, known)) {
        return false;
    }
    if (play->worker == NULL) {
        return ow_play_fail(play, "nothing is open");
    }
    struct ow_door door;
    ow_door_open(&door, play->broker, &play->clock);
    const json_t *records = json_object_get(json, "records");
    if (records != NULL) {
        door.records_left = json_integer_value(records);
    } else if (play->variant->rebalances) {
        door.rebalance_every = 1;
        door.until_rebalance = 1;
    }
    const struct ow_consume_options options = consume_options(play, json, &door);
    struct ow_err err = {.text = ""};
    const enum ow_status status = ow_consume(&options, &err);
    (void)door.source->ops->close(door.source, 0);
    if (!ow_play_check_status(play, json, status, &err)) {
        return false;
    }
    if (status == OW_OK) {
        ow_worker_tick(play->worker);
    }
    return ow_play_check_sent(play, status == OW_OK && records == NULL);
}

static bool step_clock(struct ow_play *play, const json_t *json, const json_t *step)
{
    (void)step;
    int64_t more_ms = 0;
    if (!json_is_string(json) ||
        !ow_parse_duration_ms(ow_slice_of(json_string_value(json)), &more_ms)) {
        return ow_play_fail(play, "clock: a duration such as 73h");
    }
    play->clock.now_ms += more_ms;
    play->clock.elapsed_ns += more_ms * 1000000;
    return true;
}

static bool step_tick(struct ow_play *play, const json_t *json, const json_t *step)
{
    (void)json;
    (void)step;
    ow_worker_tick(play->worker);
    struct ow_err err = {.text = ""};
    const enum ow_status status = ow_worker_status(play->worker, &err);
    return ow_play_check_status(play, NULL, status, &err);
}

static bool step_reset(struct ow_play *play, const json_t *json, const json_t *step)
{
    static const char *const known[] = {"topic", "partition", "offset", NULL};
    (void)step;
    if (!ow_play_known(play, json, known)) {
        return false;
    }
    ow_memory_broker_reset(play->broker, text_of(json, "topic", play->first_topic),
                           (int32_t)json_integer_value(json_object_get(json, "partition")),
                           json_integer_value(json_object_get(json, "offset")));
    return true;
}

/* Nothing that is given to anybody, up to an offset. */
static bool step_markers(struct ow_play *play, const json_t *json, const json_t *step)
{
    static const char *const known[] = {"topic", "partition", "to", NULL};
    (void)step;
    if (!ow_play_known(play, json, known)) {
        return false;
    }
    const char *topic = text_of(json, "topic", play->first_topic);
    const json_int_t partition = json_integer_value(json_object_get(json, "partition"));
    for (struct ow_log_end *log = play->logs; log != NULL; log = log->next) {
        if (strcmp(log->topic, topic) == 0 && log->partition == partition) {
            log->end_offset = json_integer_value(json_object_get(json, "to"));
            ow_memory_broker_skip(play->broker, topic, log->partition, log->end_offset);
            return true;
        }
    }
    return ow_play_fail(play, "there is no topic %s with a partition %d", topic, (int)partition);
}

static bool copy_store(struct ow_play *play, const char *name)
{
    const char *to = ow_arena_printf(&play->arena, "%s/%s.db", play->folder, name);
    sqlite3 *handle = NULL;
    const char *sql = ow_arena_printf(&play->arena, "VACUUM INTO '%s'", to);
    const bool done =
        sqlite3_open_v2(play->store_path, &handle, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
        sqlite3_exec(handle, sql, NULL, NULL, NULL) == SQLITE_OK;
    const char *error = ow_arena_text(&play->arena, ow_slice_of(sqlite3_errmsg(handle)));
    (void)sqlite3_close(handle);
    return done || ow_play_fail(play, "%s: %s", sql, error);
}

/* Another process: the store is closed and opened. save: a copy of it is kept; store: it opens that
 * one. */
static bool step_restart(struct ow_play *play, const json_t *json, const json_t *step)
{
    static const char *const known[] = {"machines", "save", "store", "status", "says", NULL};
    (void)step;
    if (json_is_object(json) && !ow_play_known(play, json, known)) {
        return false;
    }
    ow_play_close(play);
    const char *save = text_of(json, "save", NULL);
    if (save != NULL && !copy_store(play, save)) {
        return false;
    }
    const char *store = text_of(json, "store", NULL);
    if (store != NULL) {
        play->store_path = ow_arena_printf(&play->arena, "%s/%s.db", play->folder, store);
    }
    struct ow_err err = {.text = ""};
    enum ow_status status = OW_OK;
    return ow_play_open(play, json_object_get(json, "machines"), &status, &err) &&
           ow_play_check_status(play, json, status, &err);
}

static bool step_sql(struct ow_play *play, const json_t *json, const json_t *step)
{
    (void)step;
    return ow_play_execute(play, json_string_value(json));
}

static bool step_rows(struct ow_play *play, const json_t *json, const json_t *step)
{
    const json_t *are = json_object_get(step, "are");
    if (!json_is_string(json) || !json_is_array(are)) {
        return ow_play_fail(play, "rows: a query, and are: a list of rows");
    }
    return ow_play_check_rows(play, json_string_value(json), are);
}

static const char *settled_dump(struct ow_play *play)
{
    OW_BUFFER dump = {0};
    if (!ow_play_dump(play, true, &dump)) {
        return "";
    }
    return ow_arena_text(&play->arena, ow_buffer_view(&dump));
}

static bool step_remember(struct ow_play *play, const json_t *json, const json_t *step)
{
    (void)json;
    (void)step;
    play->remembered = settled_dump(play);
    return !play->failed;
}

/* Since `remember`: nothing but what re-reads may change. */
static bool step_unchanged(struct ow_play *play, const json_t *json, const json_t *step)
{
    (void)json;
    (void)step;
    const char *now = settled_dump(play);
    if (play->failed || strcmp(now, play->remembered) == 0) {
        return !play->failed;
    }
    return ow_play_fail(play, "something changed:\n  %s",
                        ow_dump_difference(&play->arena, play->remembered, now));
}

static bool play_step(struct ow_play *play, const json_t *step)
{
    static const struct {
        const char *name;
        bool (*play)(struct ow_play *play, const json_t *json, const json_t *step);
    } verbs[] = {
        {"send",      step_send             },
        {"run",       step_run              },
        {"clock",     step_clock            },
        {"tick",      step_tick             },
        {"reset",     step_reset            },
        {"markers",   step_markers          },
        {"recreate",  ow_play_step_recreate },
        {"delete",    ow_play_step_delete   },
        {"positions", ow_play_step_positions},
        {"restart",   step_restart          },
        {"sql",       step_sql              },
        {"rows",      step_rows             },
        {"remember",  step_remember         },
        {"unchanged", step_unchanged        }
    };
    static const char *const known[] = {"about",     "send",    "run",      "clock",  "tick",
                                        "reset",     "markers", "recreate", "delete", "positions",
                                        "restart",   "sql",     "rows",     "are",    "remember",
                                        "unchanged", NULL};
    if (!json_is_object(step) || !ow_play_known(play, step, known)) {
        return ow_play_fail(
            play, "a step is one of send, run, clock, tick, reset, markers, recreate, delete, "
                  "positions, restart, sql, rows, remember, unchanged");
    }
    for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
        const json_t *json = json_object_get(step, verbs[i].name);
        if (json != NULL && !verbs[i].play(play, json, step)) {
            return false;
        }
    }
    return true;
}

static bool play_steps(struct ow_play *play)
{
    const json_t *steps = json_object_get(play->tree.root, "steps");
    for (size_t i = 0; i < json_array_size(steps); i++) {
        play->path = ow_arena_printf(&play->arena, "/steps/%zu", i);
        if (!play_step(play, json_array_get(steps, i))) {
            return false;
        }
    }
    play->path = "/steps";
    for (const struct ow_sent *sent = play->sent; sent != NULL; sent = sent->next) {
        if (!sent->checked && strcmp(sent->outcome, "none") != 0) {
            play->path = sent->path;
            return ow_play_fail(play, "sent, and never run to the end");
        }
    }
    return json_array_size(steps) > 0 || ow_play_fail(play, "no steps");
}

/* After every story (unless `verify: false`): the promises of DESIGN 10 hold. */
static bool verify(struct ow_play *play)
{
    if (json_is_false(json_object_get(play->tree.root, "verify"))) {
        return true;
    }
    play->path = "/verify";
    struct ow_err err = {.text = ""};
    struct ow_verification verification = {.ok = false};
    if (ow_verify(play->store_path, &play->arena, &verification, &err) != OW_OK) {
        return ow_play_fail(play, "verify: %s", err.text);
    }
    for (size_t i = 0; i < verification.promise_count; i++) {
        const struct ow_promise *promise = &verification.promises[i];
        if (promise->broken > 0) {
            return ow_play_fail(play, "the promise %s is broken: %s", promise->name,
                                promise->examples[0]);
        }
    }
    return verification.ok || ow_play_fail(play, "verify is not content");
}

/* After every story (unless `replay: false`): all is read once more, and nothing changes. */
static bool replay_all(struct ow_play *play)
{
    if (json_is_false(json_object_get(play->tree.root, "replay"))) {
        return true;
    }
    play->path = "/replay";
    play->remembered = settled_dump(play);
    for (const struct ow_log_end *log = play->logs; log != NULL; log = log->next) {
        ow_memory_broker_reset(play->broker, log->topic, log->partition, log->low_offset);
    }
    return step_run(play, NULL, NULL) && step_unchanged(play, NULL, NULL);
}

static bool make_topics(struct ow_play *play)
{
    const char *topic = NULL;
    json_t *partitions = NULL;
    struct ow_log_end **end = &play->logs;
    json_object_foreach(json_object_get(play->tree.root, "topics"), topic, partitions)
    {
        play->first_topic = play->first_topic == NULL ? topic : play->first_topic;
        ow_memory_broker_topic(play->broker, topic, (int32_t)json_integer_value(partitions));
        for (int32_t i = 0; i < json_integer_value(partitions); i++) {
            *end = OW_ARENA_NEW(&play->arena, struct ow_log_end);
            **end = (struct ow_log_end){.topic = topic, .partition = i};
            end = &(*end)->next;
        }
    }
    return play->logs != NULL || ow_play_fail(play, "topics: {name: partitions}");
}

/* A folder with a hash key that is always the same, so that claims can be compared between
 * variants. */
static bool make_folder(struct ow_play *play)
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(play->folder, sizeof(play->folder), "%.30s/ow-transcript-XXXXXX",
                   base == NULL ? "/tmp" : base);
    if (mkdtemp(play->folder) == NULL) {
        play->folder[0] = '\0';
        return ow_play_fail(play, "cannot make a folder");
    }
    play->store_path = ow_arena_printf(&play->arena, "%s/store.db", play->folder);
    play->key_path = ow_arena_printf(&play->arena, "%s/key", play->folder);
    FILE *file = fopen(play->key_path, "wxe");
    if (file == NULL ||
        fputs("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n", file) < 0 ||
        fclose(file) != 0) {
        return ow_play_fail(play, "cannot write %s", play->key_path);
    }
    return true;
}

static bool start(struct ow_play *play, const char *file)
{
    static const char *const known[] = {
        "name", "machines", "topics", "bucket_claims", "steps", "replay", "verify", "fails", NULL};
    enum { MOST = 1 << 20 };
    FILE *stream = fopen(file, "re");
    if (stream == NULL) {
        return ow_play_fail(play, "cannot open it");
    }
    char *text = ow_arena_alloc(&play->arena, MOST);
    const size_t len = fread(text, 1, MOST, stream);
    (void)fclose(stream);
    struct ow_err err = {.text = ""};
    struct ow_tree tree;
    if (ow_tree_parse(file, (struct ow_slice){(const uint8_t *)text, len}, NULL, NULL, &tree,
                      &err) != OW_OK) {
        return ow_play_fail(play, "%s", err.text);
    }
    free(play->tree.file);
    play->tree = tree;
    enum ow_status status = OW_OK;
    return ow_play_known(play, tree.root, known) && make_topics(play) && make_folder(play) &&
           ow_play_open(play, json_object_get(tree.root, "machines"), &status, &err) &&
           ow_play_check_status(play, NULL, status, &err);
}

bool ow_play_run(struct ow_play *play, const char *file, const struct ow_variant *variant,
                 struct ow_buffer *ret_dump)
{
    *play = (struct ow_play){.variant = variant,
                             .path = "/",
                             .clock = {.now_ms = 1767261600000}}; /* 2026-01-01T10:00Z */
    play->tree.file = strdup(file);
    play->sent_end = &play->sent;
    ow_arena_init(&play->arena, (size_t)1 << 16);
    ow_machines_init(&play->machines);
    play->broker = ow_memory_broker_open();
    return start(play, file) && play_steps(play) && ow_play_dump(play, false, ret_dump) &&
           verify(play) && replay_all(play) && verify(play);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

void ow_play_done(struct ow_play *play)
{
    ow_play_close(play);
    ow_memory_broker_close(play->broker);
    ow_machines_done(&play->machines);
    if (play->folder[0] != '\0') {
        (void)nftw(play->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    }
    ow_tree_done(&play->tree);
    ow_buffer_done(&play->failure);
    ow_arena_done(&play->arena);
}
