#include "positions.h"
#include "store/position_survey.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

/* A change, as it was planned and done. */
struct changing {
    struct ow_positions_session *session;
    struct ow_positions_work work;
    bool dry_run;
    bool told; /* the group has the new offsets */
};

/* The user of the process, else the number. */
static const char *user_name(struct ow_arena *arena)
{
    const uid_t uid = getuid();
    char room[1024];
    struct passwd entry;
    struct passwd *found = NULL;
    if (getpwuid_r(uid, &entry, room, sizeof(room), &found) == 0 && found != NULL) {
        return ow_arena_text(arena, ow_slice_of(found->pw_name));
    }
    return ow_arena_printf(arena, "uid %u", (unsigned)uid);
}

static enum ow_status open_store(struct changing *changing, struct ow_err *err)
{
    struct ow_positions_session *session = changing->session;
    struct ow_config *config = &session->config;
    const struct ow_store_options options = {.path = config->store_path,
                                             .hash_key_file = config->hash_key_file,
                                             .clock = ow_clock_system()};
    if (access(config->store_path, F_OK) != 0) {
        return ow_fail(err, OW_BAD_CONFIG, "there is no store '%s'", config->store_path);
    }
    OW_TRY(ow_store_open(&options, &config->machines, &changing->work.store, err));
    struct ow_store *store = changing->work.store;
    OW_TRY(ow_store_positions(store, &session->arena, &changing->work.positions, err));
    return ow_positions_session_connect(session, ow_store_id(store), ow_store_epoch(store),
                                        ow_store_restored_epoch(store), err);
}

/* A start would raise the epoch, and bring an older file up to the present schema. */
static enum ow_status only_read_store(struct changing *changing, struct ow_err *err)
{
    struct ow_positions_session *session = changing->session;
    struct ow_position_survey survey;
    OW_TRY(ow_position_survey(session->config.store_path, &session->arena, &survey, err));
    changing->work.positions = survey.positions;
    return ow_positions_session_connect(session, survey.store_id, survey.epoch + 1,
                                        survey.restored_epoch, err);
}

static void print_table(const struct changing *changing, struct ow_arena *arena)
{
    OW_GRID grid = {.column_count = 7};
    ow_grid_row(&grid, (const char *const[]){"TOPIC", "PARTITION", "INCARNATION", "FROM", "TO",
                                             "LEFT OUT", changing->dry_run ? "WOULD BE" : "IS"});
    for (size_t i = 0; i < changing->work.count; i++) {
        const struct ow_positions_change *change = &changing->work.list[i];
        ow_grid_row(&grid,
                    (const char *const[]){
                        change->topic, ow_arena_printf(arena, "%d", (int)change->partition),
                        ow_arena_printf(arena, "%" PRId64, change->incarnation),
                        change->from < 0 ? "-" : ow_arena_printf(arena, "%" PRId64, change->from),
                        ow_arena_printf(arena, "%" PRId64, change->to),
                        ow_arena_printf(arena, "%" PRId64, change->left_out),
                        ow_positions_did_text(change->did)});
    }
    ow_grid_print(&grid, stdout);
}

static void print_json(const struct changing *changing, enum ow_output output)
{
    OW_JSON *list = json_array();
    for (size_t i = 0; i < changing->work.count; i++) {
        const struct ow_positions_change *change = &changing->work.list[i];
        (void)json_array_append_new(
            list,
            json_pack("{s:s, s:i, s:I, s:o, s:I, s:I, s:s}", "topic", change->topic, "partition",
                      (int)change->partition, "incarnation", (json_int_t)change->incarnation,
                      "from", change->from < 0 ? json_null() : json_integer(change->from), "to",
                      (json_int_t)change->to, "left_out", (json_int_t)change->left_out, "did",
                      ow_positions_did_text(change->did)));
    }
    if (output == OW_OUTPUT_JSONL) {
        ow_output_json(output, list);
        return;
    }
    OW_JSON *all = json_pack("{s:b, s:b, s:O}", "dry_run", (int)changing->dry_run, "group_told",
                             (int)changing->told, "positions", list);
    ow_output_json(output, all);
}

static void log_changes(const struct changing *changing)
{
    for (size_t i = 0; i < changing->work.count; i++) {
        const struct ow_positions_change *change = &changing->work.list[i];
        ow_log(OW_LOG_INFO, "position_changed",
               "topic=%s partition=%d did=%s incarnation=%" PRId64 " from=%" PRId64 " to=%" PRId64
               " left_out=%" PRId64,
               change->topic, (int)change->partition, ow_positions_did_text(change->did),
               change->incarnation, change->from, change->to, change->left_out);
    }
}

/* The store first. */
static enum ow_status apply(struct changing *changing, struct ow_err *err)
{
    OW_TRY(ow_positions_apply(&changing->work, err));
    log_changes(changing);
    OW_TRY(ow_positions_tell(&changing->work, &changing->told, err));
    if (!changing->told) {
        (void)fprintf(stderr,
                      "onceward: the position is changed; the group will be told by the next start "
                      "(now: %s)\n",
                      err->text);
    }
    return OW_OK;
}

static enum ow_status change_all(struct changing *changing, enum ow_output output,
                                 struct ow_err *err)
{
    struct ow_positions_session *session = changing->session;
    OW_TRY(changing->dry_run ? only_read_store(changing, err) : open_store(changing, err));
    OW_TRY(ow_positions_plan(&changing->work, err));
    if (!changing->dry_run) {
        OW_TRY(apply(changing, err));
    }
    if (changing->work.count == 0) {
        (void)fprintf(stderr, "onceward: topic '%s' has nothing of that kind: nothing was done\n",
                      changing->work.order->topic);
    }
    if (output == OW_OUTPUT_TABLE) {
        print_table(changing, &session->arena);
    } else {
        print_json(changing, output);
    }
    return OW_OK;
}

enum ow_status ow_positions_move(const struct ow_invocation *invocation,
                                 struct ow_positions_order *order, enum ow_output output,
                                 struct ow_err *err)
{
    struct ow_positions_session session;
    struct changing changing = {
        .session = &session,
        .work = {.options = &session.next, .order = order, .arena = &session.arena},
        .dry_run = ow_invocation_has(invocation, "dry-run"),
    };
    enum ow_status status = ow_positions_session_open(&session, invocation, err);
    if (status == OW_OK) {
        order->who = order->who == NULL ? user_name(&session.arena) : order->who;
        status = change_all(&changing, output, err);
    }
    ow_store_close(changing.work.store);
    ow_positions_session_close(&session);
    return status;
}
