#include "positions.h"
#include "store/position_survey.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const by_texts[] = {[OW_POSITIONS_BY_NONE] = "none",
                                       [OW_POSITIONS_BY_OURS] = "ours",
                                       [OW_POSITIONS_BY_OTHER_STORE] = "other store",
                                       [OW_POSITIONS_BY_OPERATOR] = "operator"};

/* Records that were not handled yet, as offsets; by where it goes on now. */
static int64_t lag_of(const struct ow_positions_row *row)
{
    const int64_t at = row->position == NULL ? row->next.offset : row->position->next_offset;
    return row->end > at ? row->end - at : 0;
}

static bool has_lag(const struct ow_positions_row *row)
{
    return row->asked && (row->position != NULL || row->refused == NULL);
}

static const char *number(struct ow_arena *arena, int64_t value, bool known, const char *otherwise)
{
    return known ? ow_arena_printf(arena, "%" PRId64, value) : otherwise;
}

static const char *next_text(const struct ow_positions_row *row, struct ow_arena *arena)
{
    if (row->refused != NULL) {
        return "refused";
    }
    return row->asked ? ow_arena_printf(arena, "%s %" PRId64, ow_resume_text(row->next.resume),
                                        row->next.offset)
                      : "?";
}

static void print_table(const struct ow_positions_row *rows, size_t count, struct ow_arena *arena)
{
    OW_GRID grid = {.column_count = 11};
    ow_grid_row(&grid,
                (const char *const[]){"TOPIC", "PARTITION", "INCARNATION", "POSITION", "HIGH",
                                      "COMMITTED", "BY", "LOW", "END", "LAG", "NEXT START"});
    for (size_t i = 0; i < count; i++) {
        const struct ow_positions_row *row = &rows[i];
        const struct ow_position *position = row->position;
        const bool is = position != NULL;
        const bool asked = row->asked;
        ow_grid_row(&grid, (const char *const[]){
                               row->topic, number(arena, row->partition, true, ""),
                               number(arena, is ? position->incarnation : 0, is, "-"),
                               number(arena, is ? position->next_offset : 0, is, "-"),
                               number(arena, is ? position->high_offset : 0, is, "-"),
                               number(arena, row->committed, asked && row->committed >= 0,
                                      asked ? "-" : "?"),
                               asked ? by_texts[row->by] : "?", number(arena, row->low, asked, "?"),
                               number(arena, row->end, asked, "?"),
                               number(arena, has_lag(row) ? lag_of(row) : 0, has_lag(row), "?"),
                               next_text(row, arena)});
    }
    ow_grid_print(&grid, stdout);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].refused != NULL) {
            printf("%s", rows[i].asked ? "\n" : "");
            if (!rows[i].asked) {
                printf("\n%s[%d]: ", rows[i].topic, (int)rows[i].partition);
            }
            ow_output_text(stdout, ow_slice_of(rows[i].refused));
            printf("\n");
        }
    }
}

static json_t *whole(int64_t value, bool known)
{
    return known ? json_integer((json_int_t)value) : json_null();
}

static json_t *text_or_null(const char *text)
{
    return text == NULL ? json_null() : json_string(text);
}

static json_t *row_json(const struct ow_positions_row *row)
{
    const struct ow_position *position = row->position;
    const bool is = position != NULL;
    const bool asked = row->asked;
    json_t *next = !asked || row->refused != NULL
                       ? json_null()
                       : json_pack("{s:s, s:I}", "by", ow_resume_text(row->next.resume), "offset",
                                   (json_int_t)row->next.offset);
    return json_pack(
        "{s:s, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "topic", row->topic,
        "partition", (int)row->partition, "incarnation", whole(is ? position->incarnation : 0, is),
        "position", whole(is ? position->next_offset : 0, is), "high_offset",
        whole(is ? position->high_offset : 0, is), "committed",
        whole(row->committed, asked && row->committed >= 0), "committed_by",
        text_or_null(asked ? by_texts[row->by] : NULL), "low", whole(row->low, asked), "end",
        whole(row->end, asked), "lag", whole(has_lag(row) ? lag_of(row) : 0, has_lag(row)),
        "next_start", next, "refused", text_or_null(row->refused));
}

static void print_json(const struct ow_positions_session *session,
                       const struct ow_position_survey *survey, const struct ow_positions_row *rows,
                       size_t count, enum ow_output output)
{
    OW_JSON *list = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(list, row_json(&rows[i]));
    }
    if (output == OW_OUTPUT_JSONL) {
        ow_output_json(output, list);
        return;
    }
    OW_JSON *all =
        json_pack("{s:s, s:I, s:s, s:O}", "store_id", survey->store_id, "epoch",
                  (json_int_t)survey->epoch, "group", session->config.group, "positions", list);
    ow_output_json(output, all);
}

static enum ow_status show(struct ow_positions_session *session, enum ow_output output,
                           struct ow_err *err)
{
    struct ow_position_survey survey;
    size_t count = 0;
    const char *silent = NULL;
    OW_TRY(ow_position_survey(session->config.store_path, &session->arena, &survey, err));
    OW_TRY(ow_positions_session_connect(session, survey.store_id, survey.epoch + 1,
                                        survey.restored_epoch, err));
    const struct ow_positions_row *rows =
        ow_positions_list(&session->next, survey.positions, &session->arena, &count, &silent);
    if (silent != NULL) {
        (void)fprintf(stderr, "onceward: what the brokers know is left out: %s\n", silent);
    }
    if (output == OW_OUTPUT_TABLE) {
        print_table(rows, count, &session->arena);
    } else {
        print_json(session, &survey, rows, count, output);
    }
    return OW_OK;
}

enum ow_status ow_positions_show(const struct ow_invocation *invocation, enum ow_output output,
                                 struct ow_err *err)
{
    struct ow_positions_session session;
    enum ow_status status = ow_positions_session_open(&session, invocation, err);
    if (status == OW_OK) {
        status = show(&session, output, err);
    }
    ow_positions_session_close(&session);
    return status;
}
