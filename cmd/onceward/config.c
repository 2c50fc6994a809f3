#include "config.h"

#include "base/parse.h"
#include "file.h"
#include "model/retention.h"

#include <stdio.h>
#include <stdlib.h>

enum { FILE_BYTES_MAX = 1 << 20, SECRET_BYTES_MAX = 65536 };

/* A configuration that is being read, and where its problems go. */
struct reading {
    const struct ow_config_source *source;
    struct ow_config *config;
    struct ow_tree tree;
    ow_option_report_fn *report;
    void *context;
    size_t problems;
};

static void tell(struct reading *reading, const struct ow_err *err)
{
    reading->report(reading->context, err->text);
    reading->problems++;
}

struct ow_config_source ow_config_source_of(const struct ow_invocation *invocation)
{
    return (struct ow_config_source){.file = ow_invocation_value(invocation, "config"),
                                     .sets = invocation->sets,
                                     .set_count = invocation->set_count};
}

static const char *environment(const char *name, void *context)
{
    (void)context;
    return getenv(name); /* NOLINT(concurrency-mt-unsafe): at start, before any thread */
}

static enum ow_status read_tree(struct reading *reading, struct ow_err *err)
{
    OW_BUFFER text = {0};
    const char *const file = reading->config->file;
    if (reading->source->file == NULL && !ow_file_exists(file)) {
        return ow_fail(err, OW_BAD_CONFIG,
                       "there is no '%s' here: name a configuration with -c FILE", file);
    }
    OW_TRY(ow_file_read(file, FILE_BYTES_MAX, &text, err));
    return ow_tree_parse(file, ow_buffer_view(&text), environment, NULL, &reading->tree, err);
}

static enum ow_status apply_set(struct reading *reading, const char *set, struct ow_err *err)
{
    const char *const equals = strchr(set, '=');
    OW_REQUIRE(equals != NULL);
    const char *const key = ow_arena_text(
        &reading->config->arena, (struct ow_slice){(const uint8_t *)set, (size_t)(equals - set)});
    return ow_option_set(ow_config_options(), &reading->tree, key, equals + 1, err);
}

/* X_file: the file's content is the value of X, without one line end. */
static enum ow_status read_secret(struct reading *reading, const char *path, const json_t *value,
                                  const char **ret_text, struct ow_err *err)
{
    if (!json_is_string(value)) {
        return ow_tree_fail(&reading->tree, path, err, "expects the name of a file");
    }
    OW_BUFFER text = {0};
    struct ow_err inner;
    if (ow_file_read(json_string_value(value), SECRET_BYTES_MAX, &text, &inner) != OW_OK) {
        return ow_tree_fail(&reading->tree, path, err, "%s", inner.text);
    }
    if (text.len > 0 && text.ptr[text.len - 1] == '\n') {
        text.len--;
    }
    *ret_text = ow_arena_text(&reading->config->arena, ow_buffer_view(&text));
    return OW_OK;
}

/* A number as it would be written; reals in the shortest form that reads back the same. */
static const char *scalar_text(struct ow_arena *arena, const json_t *value)
{
    if (json_is_integer(value)) {
        return ow_arena_printf(arena, "%lld", (long long)json_integer_value(value));
    }
    if (json_is_string(value)) {
        return ow_arena_text(arena, ow_slice_of(json_string_value(value)));
    }
    char *const text = json_dumps(value, JSON_ENCODE_ANY);
    OW_INVARIANT(text != NULL);
    const char *const copy = ow_arena_text(arena, ow_slice_of(text));
    free(text);
    return copy;
}

static enum ow_status read_property(struct reading *reading, const char *name, const json_t *value,
                                    const json_t *properties, struct ow_err *err)
{
    struct ow_arena *const arena = &reading->config->arena;
    struct ow_kafka_property *const property =
        &reading->config->properties[reading->config->property_count];
    const char *const path = ow_tree_path(arena, "/kafka/properties", name);
    const size_t len = strlen(name);
    const bool is_file = len > 5 && strcmp(name + len - 5, "_file") == 0;
    property->name =
        ow_arena_text(arena, (struct ow_slice){(const uint8_t *)name, is_file ? len - 5 : len});
    const char *why = NULL;
    if (ow_kafka_property_is_reserved(property->name, &why)) {
        return OW_OK; /* the table refused it */
    }
    if (is_file && json_object_get(properties, property->name) != NULL) {
        return ow_tree_fail(&reading->tree, path, err, "'%s' is given too: say one of them",
                            property->name);
    }
    if (is_file) {
        OW_TRY(read_secret(reading, path, value, &property->value, err));
    } else {
        property->value = scalar_text(arena, value);
    }
    reading->config->property_count++;
    return OW_OK;
}

static void read_properties(struct reading *reading)
{
    struct ow_err err;
    json_t *const properties =
        json_object_get(json_object_get(reading->tree.root, "kafka"), "properties");
    reading->config->properties = OW_ARENA_ARRAY(
        &reading->config->arena, json_object_size(properties), struct ow_kafka_property);
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(properties, name, value)
    {
        if (read_property(reading, name, value, properties, &err) != OW_OK) {
            tell(reading, &err);
        }
    }
    if (properties != NULL && json_object_get(properties, "bootstrap.servers") == NULL &&
        json_object_get(properties, "metadata.broker.list") == NULL &&
        json_object_get(properties, "bootstrap.servers_file") == NULL) {
        (void)ow_tree_fail(&reading->tree, "/kafka/properties", &err,
                           "the key 'bootstrap.servers' is missing");
        tell(reading, &err);
    }
}

static void read_words(struct ow_config *config)
{
    static const char *const levels[] = {[OW_LOG_DEBUG] = "debug",
                                         [OW_LOG_INFO] = "info",
                                         [OW_LOG_WARN] = "warn",
                                         [OW_LOG_ERROR] = "error"};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (strcmp(levels[i], config->log_level_text) == 0) {
            config->log_level = (enum ow_log_level)i;
        }
    }
    config->skips_honoured = strcmp(config->skips_text, "honour") == 0;
    if (strcmp(config->start_text, "earliest") == 0) {
        config->start = OW_START_EARLIEST;
    } else if (strcmp(config->start_text, "latest") == 0) {
        config->start = OW_START_LATEST;
    } else {
        config->start = OW_START_TIME;
        const bool good = ow_parse_time_ms(ow_slice_of(config->start_text), &config->start_ms);
        OW_INVARIANT(good); /* the table checked it */
    }
}

/* SQLite itself waits for up to 5 s for an operator's tool, and that is no standstill. */
static void check_watchdog(struct reading *reading)
{
    enum { WATCHDOG_MS_MIN = 10000 };
    const int64_t watchdog_ms = reading->config->watchdog_ms;
    if (watchdog_ms > 0 && watchdog_ms < WATCHDOG_MS_MIN) {
        struct ow_err err;
        (void)ow_tree_fail(&reading->tree, "/limits/watchdog", &err,
                           "is shorter than 10s: 0s turns it off");
        tell(reading, &err);
    }
}

enum ow_status ow_config_add_machine(struct ow_machines *machines, const char *path,
                                     struct ow_err *err)
{
    OW_BUFFER text = {0};
    OW_TRY(ow_file_read(path, FILE_BYTES_MAX, &text, err));
    struct ow_tree tree;
    OW_TRY(ow_tree_parse(path, ow_buffer_view(&text), NULL, NULL, &tree, err));
    const enum ow_status status = ow_machines_add(machines, &tree, err);
    ow_tree_done(&tree);
    return status;
}

/* Relative to the current directory, or else to the folder of the configuration. */
static const char *find_machine(struct ow_config *config, const char *path)
{
    const char *const slash = strrchr(config->file, '/');
    if (path[0] == '/' || slash == NULL || ow_file_exists(path)) {
        return ow_arena_text(&config->arena, ow_slice_of(path));
    }
    const char *const beside =
        ow_arena_printf(&config->arena, "%.*s/%s", (int)(slash - config->file), config->file, path);
    return ow_file_exists(beside) ? beside : ow_arena_text(&config->arena, ow_slice_of(path));
}

static void read_machines(struct reading *reading)
{
    struct ow_config *const config = reading->config;
    const json_t *const list = json_object_get(reading->tree.root, "machines");
    const size_t problems = reading->problems;
    struct ow_err err;
    config->machine_files = OW_ARENA_ARRAY(&config->arena, json_array_size(list), const char *);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *const name = json_array_get(list, i);
        if (!json_is_string(name)) {
            continue; /* was told */
        }
        const char *const path = find_machine(config, json_string_value(name));
        if (!ow_file_exists(path)) {
            (void)ow_tree_fail(&reading->tree, ow_arena_printf(&config->arena, "/machines/%zu", i),
                               &err, "there is no file '%s'", path);
            tell(reading, &err);
        } else if (ow_config_add_machine(&config->machines, path, &err) != OW_OK) {
            tell(reading, &err);
        } else {
            config->machine_files[config->machines.count - 1] = path;
        }
    }
    if (reading->problems == problems && ow_machines_check(&config->machines, &err) != OW_OK) {
        tell(reading, &err);
    }
}

static void check_skew(struct reading *reading)
{
    struct ow_config *const config = reading->config;
    struct ow_err err;
    const char *const problem =
        ow_retention_skew_problem(&config->machines, config->claim_skew_ms, &config->arena);
    if (problem != NULL) {
        (void)ow_tree_fail(&reading->tree, "/claims/skew", &err, "%s", problem);
        tell(reading, &err);
    }
}

static void count_problem(void *context, const char *text)
{
    struct reading *const reading = context;
    reading->report(reading->context, text);
    reading->problems++;
}

static void read_all(struct reading *reading)
{
    struct ow_err err;
    if (read_tree(reading, &err) != OW_OK) {
        tell(reading, &err);
        return;
    }
    for (size_t i = 0; i < reading->source->set_count; i++) {
        if (apply_set(reading, reading->source->sets[i], &err) != OW_OK) {
            tell(reading, &err);
        }
    }
    /* One wrong key does not keep the problems of properties and machines from being told. */
    reading->config->is_bound =
        ow_option_problems(ow_config_options(), &reading->tree, count_problem, reading) == 0;
    if (reading->config->is_bound) {
        ow_option_bind(ow_config_options(), &reading->tree, &reading->config->arena,
                       reading->config);
        read_words(reading->config);
        check_watchdog(reading);
    }
    read_properties(reading);
    read_machines(reading);
    if (reading->config->is_bound) {
        check_skew(reading);
    }
}

size_t ow_config_problems(const struct ow_config_source *source, struct ow_config *ret_config,
                          ow_option_report_fn *report, void *context)
{
    *ret_config = (struct ow_config){0};
    ow_arena_init(&ret_config->arena, 4096);
    ow_machines_init(&ret_config->machines);
    ret_config->file = source->file == NULL ? "onceward.yaml" : source->file;
    struct reading reading = {
        .source = source, .config = ret_config, .report = report, .context = context};
    read_all(&reading);
    ow_tree_done(&reading.tree);
    return reading.problems;
}

struct first_problem {
    bool found;
    struct ow_err *err;
};

static void keep_first(void *context, const char *text)
{
    struct first_problem *const first = context;
    if (!first->found) {
        first->found = true;
        (void)ow_fail(first->err, OW_BAD_CONFIG, "%s", text);
    }
}

enum ow_status ow_config_load(const struct ow_config_source *source, struct ow_config *ret_config,
                              struct ow_err *err)
{
    struct first_problem first = {.err = err};
    if (ow_config_problems(source, ret_config, keep_first, &first) > 0) {
        ow_config_done(ret_config);
        return OW_BAD_CONFIG;
    }
    ow_log_set_level(ret_config->log_level);
    if (ret_config->admin_listen != NULL) {
        ow_log(OW_LOG_INFO, "no_effect_yet", "key=admin.listen");
    }
    return OW_OK;
}

void ow_config_done(struct ow_config *config)
{
    ow_machines_done(&config->machines);
    ow_arena_done(&config->arena);
}
