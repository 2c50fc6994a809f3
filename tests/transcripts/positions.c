/* Steps of operators: what they do to topics, and `onceward positions`. */
#include "engine/positions.h"

#include "base/parse.h"
#include "transcript.h"

static struct ow_log_end *find_log(struct ow_play *play, const json_t *json)
{
    const char *topic = json_string_value(json_object_get(json, "topic"));
    const json_int_t partition = json_integer_value(json_object_get(json, "partition"));
    topic = topic == NULL ? play->first_topic : topic;
    for (struct ow_log_end *log = play->logs; log != NULL; log = log->next) {
        if (strcmp(log->topic, topic) == 0 && log->partition == partition) {
            return log;
        }
    }
    (void)ow_play_fail(play, "there is no topic %s with a partition %d", topic, (int)partition);
    return NULL;
}

bool ow_play_step_recreate(struct ow_play *play, const json_t *json, const json_t *step)
{
    static const char *const known[] = {"topic", "partition", NULL};
    (void)step;
    struct ow_log_end *log = find_log(play, json);
    if (log == NULL || (json_is_object(json) && !ow_play_known(play, json, known))) {
        return false;
    }
    log->low_offset = log->end_offset = 0;
    log->incarnation++;
    ow_memory_broker_recreate(play->broker, log->topic, log->partition);
    return true;
}

bool ow_play_step_delete(struct ow_play *play, const json_t *json, const json_t *step)
{
    static const char *const known[] = {"topic", "partition", "before", NULL};
    (void)step;
    struct ow_log_end *log = find_log(play, json);
    if (log == NULL || !ow_play_known(play, json, known)) {
        return false;
    }
    log->low_offset = json_integer_value(json_object_get(json, "before"));
    ow_memory_broker_delete(play->broker, log->topic, log->partition, log->low_offset);
    return true;
}

static bool read_order(struct ow_play *play, const json_t *json, struct ow_positions_order *order)
{
    const char *verb = json_string_value(json_object_get(json, "do"));
    const char *to = json_string_value(json_object_get(json, "to"));
    const char *topic = json_string_value(json_object_get(json, "topic"));
    const json_t *partition = json_object_get(json, "partition");
    const json_t *offset = json_object_get(json, "offset");
    verb = verb == NULL ? "" : verb;
    *order = (struct ow_positions_order){
        .verb = strcmp(verb, "set") == 0     ? OW_POSITIONS_SET
                : strcmp(verb, "adopt") == 0 ? OW_POSITIONS_ADOPT
                                             : OW_POSITIONS_ACCEPT_LOST,
        .topic = topic == NULL ? play->first_topic : topic,
        .offset = json_integer_value(offset),
        .target = offset != NULL ? OW_POSITIONS_TO_OFFSET : OW_POSITIONS_TO_EARLIEST,
        .skip = json_is_true(json_object_get(json, "skip")),
        .foreign = json_is_true(json_object_get(json, "foreign")),
        .who = "somebody",
        .why = "the story says so",
    };
    order->partition = partition != NULL                 ? (int32_t)json_integer_value(partition)
                       : order->verb == OW_POSITIONS_SET ? 0
                                                         : -1;
    if (to != NULL && strcmp(to, "latest") == 0) {
        order->target = OW_POSITIONS_TO_LATEST;
    } else if (to != NULL && ow_parse_time_ms(ow_slice_of(to), &order->time_ms)) {
        order->target = OW_POSITIONS_TO_TIME;
    }
    return order->verb != OW_POSITIONS_ACCEPT_LOST || strcmp(verb, "accept-lost") == 0 ||
           ow_play_fail(play, "do: set, adopt or accept-lost");
}

/* told: false: the process ends between the store's transaction and the group's. */
static enum ow_status change(struct ow_play *play, const json_t *json, struct ow_source *source,
                             const struct ow_positions_order *order, struct ow_err *err)
{
    const struct ow_consume_options options = {
        .source = source,
        .machines = &play->machines,
        .clock = ow_clock_manual(&play->clock),
        .store_id = ow_store_id(play->store),
        .epoch = ow_store_epoch(play->store),
        .restored = json_is_true(json_object_get(json, "restored")),
    };
    struct ow_positions_work work = {
        .options = &options, .store = play->store, .order = order, .arena = &play->arena};
    bool told = false;
    OW_TRY(ow_store_positions(play->store, &play->arena, &work.positions, err));
    OW_TRY(ow_positions_plan(&work, err));
    OW_TRY(ow_positions_apply(&work, err));
    return json_is_false(json_object_get(json, "told")) ? OW_OK
                                                        : ow_positions_tell(&work, &told, err);
}

/* A process of its own, as the command is. */
bool ow_play_step_positions(struct ow_play *play, const json_t *json, const json_t *step)
{
    static const char *const known[] = {"do",     "topic",   "partition", "offset", "to",
                                        "skip",   "foreign", "restored",  "told",   "members",
                                        "status", "says",    NULL};
    (void)step;
    struct ow_positions_order order;
    struct ow_err err = {.text = ""};
    enum ow_status status = OW_OK;
    if (!ow_play_known(play, json, known) || !read_order(play, json, &order)) {
        return false;
    }
    ow_play_close(play);
    if (!ow_play_open(play, NULL, &status, &err) || status != OW_OK) {
        return ow_play_fail(play, "open: %s", err.text);
    }
    ow_memory_broker_members(play->broker,
                             (int32_t)json_integer_value(json_object_get(json, "members")));
    struct ow_source *source = ow_memory_source_open(play->broker);
    const enum ow_status done = change(play, json, source, &order, &err);
    (void)source->ops->close(source, 0);
    ow_memory_broker_members(play->broker, 1);
    if (!ow_play_check_status(play, json, done, &err)) {
        return false;
    }
    ow_play_close(play);
    return (ow_play_open(play, NULL, &status, &err) && status == OW_OK) ||
           ow_play_fail(play, "open: %s", err.text);
}
