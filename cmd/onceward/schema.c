/* `onceward schema`: what is generated of the option tables and the commands: JSON Schemas and
 * manual pages. */
#include "config.h"
#include "file.h"
#include "manual.h"
#include "model/machine_option.h"
#include "output.h"

#include <string.h>

static const struct ow_argument arguments[] = {{.name = NULL}};

static int print_schema(const struct ow_option *root, const char *title)
{
    json_t *const schema = ow_option_schema(root, title);
    ow_output_json(OW_OUTPUT_JSON, schema);
    json_decref(schema);
    return 0;
}

static void print_problem(void *context, const char *text)
{
    (void)context;
    (void)fprintf(stderr, "onceward: %s\n", text);
}

/* Whether a file fits the table; what only the whole file can tell (is there such a column?) is not
 * looked at. */
static bool fits(const struct ow_option *root, const char *path)
{
    OW_BUFFER text = {0};
    struct ow_tree tree;
    struct ow_err err;
    enum ow_status status = ow_file_read(path, 1 << 20, &text, &err);
    if (status == OW_OK) {
        status = ow_tree_parse(path, ow_buffer_view(&text), NULL, NULL, &tree, &err);
    }
    if (status != OW_OK) {
        print_problem(NULL, err.text);
        return false;
    }
    const bool good = ow_option_problems(root, &tree, print_problem, NULL) == 0;
    ow_tree_done(&tree);
    return good;
}

static int check_files(const struct ow_option *root, char **files, size_t count)
{
    size_t bad = 0;
    for (size_t i = 0; i < count; i++) {
        const bool good = fits(root, files[i]);
        bad += good ? 0 : 1;
        printf("%s %s\n", good ? "fits" : "refused", files[i]);
    }
    return ow_status_exit_code(bad == 0 ? OW_OK : OW_BAD_CONFIG);
}

static int print_text(void (*make)(struct ow_buffer *out))
{
    OW_BUFFER out = {0};
    make(&out);
    (void)fwrite(out.ptr, 1, out.len, stdout);
    return 0;
}

static int run(int argc, char **argv)
{
    struct ow_invocation invocation;
    int code = 0;
    if (!ow_command_parse(&ow_command_schema, argc, argv, &invocation, &code)) {
        return code;
    }
    const char *const what = invocation.operand_count == 0 ? "" : invocation.operands[0];
    const bool is_config = strcmp(what, "config") == 0;
    if (is_config || strcmp(what, "machine") == 0) {
        const struct ow_option *const root = is_config ? ow_config_options() : ow_machine_options();
        return invocation.operand_count > 1
                   ? check_files(root, invocation.operands + 1, invocation.operand_count - 1)
                   : print_schema(root, is_config ? "The configuration of onceward"
                                                  : "A state machine of onceward");
    }
    if (invocation.operand_count > 1) {
        return ow_command_refuse(&ow_command_schema, "unexpected '%s'", invocation.operands[1]);
    }
    if (strcmp(what, "onceward.1") == 0) {
        return print_text(ow_manual_commands);
    }
    if (strcmp(what, "onceward.yaml.5") == 0) {
        return print_text(ow_manual_config);
    }
    if (strcmp(what, "onceward-machine.5") == 0) {
        return print_text(ow_manual_machine);
    }
    return ow_command_refuse(
        &ow_command_schema,
        "expects config, machine, onceward.1, onceward.yaml.5 or onceward-machine.5");
}

const struct ow_command ow_command_schema = {
    .name = "schema",
    .summary = "prints the JSON Schemas of the files, or the manual pages",
    .usage =
        "config [FILE...] | machine [FILE...] | onceward.1 | onceward.yaml.5 | onceward-machine.5",
    .arguments = arguments,
    .text = "They are made of the tables that the program itself reads files and options by.\n"
            "schemas/*.schema.json and deploy/onceward*.[15] are this command's output. With files "
            "it says whether\n"
            "they fit the table, and not more: `check` and `machine lint` look at all there is.",
    .run = run,
};
