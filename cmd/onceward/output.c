#include "output.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool ow_output_parse(const char *text, enum ow_output *ret_output)
{
    static const char *const words[] = {
        [OW_OUTPUT_TABLE] = "table", [OW_OUTPUT_JSON] = "json", [OW_OUTPUT_JSONL] = "jsonl"};
    if (text == NULL) {
        *ret_output = OW_OUTPUT_TABLE;
        return true;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret_output = (enum ow_output)i;
            return true;
        }
    }
    return false;
}

static void print_line(const json_t *value, size_t flags)
{
    char *const text = json_dumps(value, flags | JSON_ENCODE_ANY);
    OW_INVARIANT(text != NULL);
    puts(text);
    free(text);
}

void ow_output_json(enum ow_output output, const json_t *value)
{
    if (output != OW_OUTPUT_JSONL) {
        print_line(value, JSON_INDENT(2));
    } else if (!json_is_array(value)) {
        print_line(value, JSON_COMPACT);
    } else {
        for (size_t i = 0; i < json_array_size(value); i++) {
            print_line(json_array_get(value, i), JSON_COMPACT);
        }
    }
}

void ow_output_text(FILE *out, struct ow_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t byte = text.ptr[i];
        /* U+0080 to U+009F are controls too; they are two bytes. */
        const bool is_c1 = byte == 0xc2 && i + 1 < text.len && text.ptr[i + 1] < 0xa0;
        (void)fputc(byte < 0x20 || byte == 0x7f || is_c1 ? '?' : byte, out);
        i += is_c1;
    }
}

void ow_grid_row(struct ow_grid *grid, const char *const *texts)
{
    for (size_t i = 0; i < grid->column_count; i++) {
        ow_buffer_append(&grid->cells, texts[i], strlen(texts[i]) + 1);
    }
    grid->row_count++;
}

/* As many columns of a terminal as characters: good enough for what we print. */
static size_t width_of(const char *text)
{
    return ow_slice_characters(ow_slice_of(text));
}

enum { COLUMNS_MAX = 66 }; /* a machine's states, its events' names, and one to spare */

void ow_grid_print(const struct ow_grid *grid, FILE *out)
{
    OW_REQUIRE(grid->column_count <= COLUMNS_MAX);
    size_t widths[COLUMNS_MAX] = {0};
    const char *cell = (const char *)grid->cells.ptr;
    for (size_t i = 0; i < grid->row_count * grid->column_count; i++) {
        const size_t width = width_of(cell);
        size_t *const widest = &widths[i % grid->column_count];
        *widest = width > *widest ? width : *widest;
        cell += strlen(cell) + 1;
    }
    cell = (const char *)grid->cells.ptr;
    for (size_t row = 0; row < grid->row_count; row++) {
        (void)fputs(ow_output_colour(out, row == 0 ? OW_COLOUR_BOLD : OW_COLOUR_NONE), out);
        for (size_t i = 0; i < grid->column_count; i++) {
            const bool is_last = i + 1 == grid->column_count;
            ow_output_text(out, ow_slice_of(cell));
            (void)fprintf(out, "%*s", is_last ? 0 : (int)(widths[i] - width_of(cell)) + 2, "");
            cell += strlen(cell) + 1;
        }
        (void)fprintf(out, "%s\n", ow_output_colour(out, OW_COLOUR_NONE));
    }
}

void ow_grid_done(struct ow_grid *grid)
{
    ow_buffer_done(&grid->cells);
}

const char *ow_output_colour(FILE *out, enum ow_colour colour)
{
    static const char *const sequences[] = {
        [OW_COLOUR_NONE] = "\033[0m",   [OW_COLOUR_BOLD] = "\033[1m",
        [OW_COLOUR_DIM] = "\033[2m",    [OW_COLOUR_RED] = "\033[31m",
        [OW_COLOUR_GREEN] = "\033[32m", [OW_COLOUR_YELLOW] = "\033[33m"};
    /* https://no-color.org: set and not empty. The environment does not change after the start. */
    const char *const no_colour = getenv("NO_COLOR"); /* NOLINT(concurrency-mt-unsafe) */
    const bool wanted = isatty(fileno(out)) && (no_colour == NULL || no_colour[0] == '\0');
    return wanted ? sequences[colour] : "";
}
