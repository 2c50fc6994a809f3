/* `onceward version` */
#include "command.h"
#include "http/server.h"
#include "kafka/source.h"
#include "model/hash.h"
#include "model/tree.h"
#include "output.h"
#include "ow_version.h"
#include "store/check.h"

static const struct ow_argument arguments[] = {OW_ARGUMENT_OUTPUT, {.name = NULL}};

/* Of the libraries that are linked, not of the headers that were compiled against. */
static json_t *versions(void)
{
    return json_pack("{s:s, s:s, s:s, s:{s:s, s:s}, s:s, s:s, s:s, s:s}", "onceward", OW_VERSION,
                     "commit", OW_COMMIT, "librdkafka", ow_kafka_library_version(), "sqlite",
                     "version", ow_store_library_version(), "source_id",
                     ow_store_library_source_id(), "jansson", jansson_version_str(), "libyaml",
                     ow_tree_library_version(), "libsodium", ow_hash_library_version(),
                     "libmicrohttpd", ow_http_server_library_version());
}

static int run(int argc, char **argv)
{
    struct ow_invocation invocation;
    enum ow_output output = OW_OUTPUT_TABLE;
    int code = 0;
    if (!ow_command_parse(&ow_command_version, argc, argv, &invocation, &code)) {
        return code;
    }
    if (!ow_output_parse(ow_invocation_value(&invocation, "output"), &output)) {
        return ow_command_refuse(&ow_command_version, "expects --output table, json or jsonl");
    }
    if (output == OW_OUTPUT_TABLE) {
        printf("onceward %s (%s)\nlibrdkafka %s\nSQLite %s (%s)\njansson %s\nlibyaml %s\nlibsodium "
               "%s\nlibmicrohttpd %s\n",
               OW_VERSION, OW_COMMIT, ow_kafka_library_version(), ow_store_library_version(),
               ow_store_library_source_id(), jansson_version_str(), ow_tree_library_version(),
               ow_hash_library_version(), ow_http_server_library_version());
        return 0;
    }
    json_t *const value = versions();
    OW_INVARIANT(value != NULL);
    ow_output_json(output, value);
    json_decref(value);
    return 0;
}

const struct ow_command ow_command_version = {
    .name = "version",
    .summary = "prints the versions of onceward and of its libraries",
    .usage = "[-o FORMAT]",
    .arguments = arguments,
    .run = run,
};
