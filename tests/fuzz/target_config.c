/*
 * config: the configuration file with ${VAR}, --set, X_file and the machines that it names: each
 * problem says where it is and gives no secret away; without one, everything is there and within
 * its range.
 *
 * An input is lines "--set KEY=VALUE", as many as there are, and then the file.
 */
#include "config.h"
#include "files.h"
#include "fuzz.h"

#include <stdlib.h>

struct told {
    size_t problems;
    bool secret_in_input; /* what the file says itself is no secret any more */
};

static bool starts_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static void hear_problem(void *context, const char *text)
{
    struct told *const told = context;
    told->problems++;
    OW_PROMISE(told->secret_in_input || strstr(text, OW_FILES_SECRET) == NULL);
    OW_PROMISE(starts_with(text, "onceward.yaml:") || starts_with(text, "--set") ||
               starts_with(text, "orders.yaml:") || starts_with(text, "loans.yaml:") ||
               starts_with(text, "broken.yaml:") || starts_with(text, "secret:") ||
               starts_with(text, "empty:"));
    OW_PROMISE(text[strlen(text) - 1] != '\n');
}

static bool within(int64_t value, int64_t least, int64_t most)
{
    return value >= least && value <= most;
}

static void check_properties(const struct ow_config *config)
{
    bool has_brokers = false;
    for (size_t i = 0; i < config->property_count; i++) {
        const struct ow_kafka_property *const property = &config->properties[i];
        const char *why = NULL;
        OW_PROMISE(property->name[0] != '\0' && property->value != NULL);
        OW_PROMISE(!ow_kafka_property_is_reserved(property->name, &why));
        has_brokers = has_brokers || strcmp(property->name, "bootstrap.servers") == 0 ||
                      strcmp(property->name, "metadata.broker.list") == 0;
        for (size_t j = 0; j < i; j++) {
            OW_PROMISE(strcmp(config->properties[j].name, property->name) != 0);
        }
    }
    OW_PROMISE(has_brokers);
}

/* Without a problem no property is left out without a word. */
static void check_all_taken(const struct ow_config *config, struct ow_slice text)
{
    struct ow_err err = {.text = ""};
    struct ow_tree tree;
    OW_PROMISE(ow_tree_parse("onceward.yaml", text, NULL, NULL, &tree, &err) == OW_OK);
    const json_t *const kafka = json_object_get(tree.root, "kafka");
    OW_PROMISE(json_object_size(json_object_get(kafka, "properties")) == config->property_count);
    ow_tree_done(&tree);
}

/* Without a problem a worker can start with it. */
static void check_good(const struct ow_config *config)
{
    OW_PROMISE(config->is_bound);
    OW_PROMISE(ow_fuzz_is_text(ow_slice_of(config->store_path)) &&
               ow_fuzz_is_text(ow_slice_of(config->group)));
    OW_PROMISE(config->hash_key_file == NULL || config->hash_key_file[0] != '\0');
    OW_PROMISE(within(config->record_bytes, 1024, INT64_C(64) << 20));
    OW_PROMISE(within(config->batch_rows, 1, 100000));
    OW_PROMISE(within(config->batch_bytes, 65536, INT64_C(1) << 30));
    OW_PROMISE(within(config->batch_ms, 1, 10000));
    OW_PROMISE(within(config->decode_threads, 1, 64));
    OW_PROMISE(within(config->claim_skew_ms, 0, INT64_C(8640000000000)));
    OW_PROMISE(within(config->log_level, OW_LOG_DEBUG, OW_LOG_ERROR));
    OW_PROMISE(config->start == OW_START_EARLIEST || config->start == OW_START_LATEST ||
               config->start == OW_START_TIME);
    OW_PROMISE(config->machines.count >= 1 && config->machines.count <= OW_MACHINES_MAX);
    for (size_t i = 0; i < config->machines.count; i++) {
        OW_PROMISE(strcmp(config->machines.list[i]->file, config->machine_files[i]) == 0);
    }
    check_properties(config);
}

/* The value that a path of --set names; what is behind kafka.properties. is one name. */
static const json_t *value_at(const json_t *root, const char *path)
{
    static const char properties[] = "kafka.properties.";
    if (starts_with(path, properties)) {
        const json_t *const kafka = json_object_get(root, "kafka");
        return json_object_get(json_object_get(kafka, "properties"), path + sizeof properties - 1);
    }
    const json_t *at = root;
    while (true) {
        char name[64] = "";
        const size_t len = strcspn(path, ".");
        OW_REQUIRE(len < sizeof name); /* names of the table are short */
        memcpy(name, path, len);
        at = json_object_get(at, name);
        if (path[len] == '\0') {
            return at;
        }
        path += len + 1;
    }
}

/* What --set takes is in the tree afterwards. */
static void check_set(const char *set)
{
    struct ow_err err = {.text = ""};
    struct ow_tree tree;
    OW_REQUIRE(ow_tree_parse("onceward.yaml", OW_SLICE("store: {path: before}"), NULL, NULL, &tree,
                             &err) == OW_OK);
    struct ow_arena arena;
    ow_arena_init(&arena, 256);
    const char *const equals = strchr(set, '=');
    const char *const path =
        ow_arena_text(&arena, (struct ow_slice){(const uint8_t *)set, (size_t)(equals - set)});
    if (ow_option_set(ow_config_options(), &tree, path, equals + 1, &err) == OW_OK) {
        const json_t *const value = value_at(tree.root, path);
        OW_PROMISE(value != NULL);
        OW_PROMISE(!json_is_string(value) || strcmp(json_string_value(value), equals + 1) == 0);
    } else {
        OW_PROMISE(starts_with(err.text, "--set"));
    }
    ow_arena_done(&arena);
    ow_tree_done(&tree);
}

/* A file that can be read says the same thing when it is written as JSON. */
static void check_as_json(struct ow_slice text)
{
    struct ow_err err = {.text = ""};
    struct ow_tree tree;
    if (ow_tree_parse("onceward.yaml", text, NULL, NULL, &tree, &err) != OW_OK) {
        return;
    }
    char *const json = json_dumps(tree.root, JSON_ENSURE_ASCII);
    OW_PROMISE(json != NULL);
    /* YAML has no surrogates and no DEL, and its keys end after 1,024 characters. */
    if (strlen(json) < 1000 && strstr(json, "\\u") == NULL && strchr(json, 0x7f) == NULL) {
        struct ow_tree again;
        OW_PROMISE(ow_tree_parse("onceward.yaml", ow_slice_of(json), NULL, NULL, &again, &err) ==
                   OW_OK);
        OW_PROMISE(json_equal(tree.root, again.root));
        ow_tree_done(&again);
    }
    free(json);
    ow_tree_done(&tree);
}

static void set_environment(void)
{
    static bool done;
    if (!done) {
        done = true;
        OW_REQUIRE(setenv("FILE", "orders.yaml", 1) == 0 && setenv("NUMBER", "7", 1) == 0 &&
                   setenv("NONE", "", 1) == 0);
    }
}

/* Takes the lines "--set KEY=VALUE" off the input. */
static size_t take_sets(struct ow_fuzz_input *input, struct ow_arena *arena,
                        const char *sets[OW_SETS_MAX])
{
    size_t count = 0;
    while (input->rest.len > 6 && memcmp(input->rest.ptr, "--set ", 6) == 0) {
        const struct ow_slice line = ow_fuzz_line(input);
        const char *const set = ow_arena_text(arena, (struct ow_slice){line.ptr + 6, line.len - 6});
        if (strchr(set, '=') != NULL && count < OW_SETS_MAX) {
            sets[count++] = set;
        }
    }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    set_environment();
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    struct ow_fuzz_input input = {
        .rest = {bytes, len}
    };
    const char *sets[OW_SETS_MAX];
    const struct ow_config_source source = {.sets = sets,
                                            .set_count = take_sets(&input, &arena, sets)};
    ow_files_set_configuration(input.rest);
    struct ow_config config;
    const size_t secret_len = sizeof OW_FILES_SECRET - 1;
    struct told told = {.secret_in_input = memmem(bytes, len, OW_FILES_SECRET, secret_len) != NULL};
    const size_t problems = ow_config_problems(&source, &config, hear_problem, &told);
    OW_PROMISE(problems == told.problems);
    if (problems == 0) {
        check_good(&config);
    }
    if (problems == 0 && source.set_count == 0) {
        check_all_taken(&config, input.rest);
    }
    ow_config_done(&config);
    for (size_t i = 0; i < source.set_count; i++) {
        check_set(sets[i]);
    }
    check_as_json(input.rest);
    ow_arena_done(&arena);
    return 0;
}
