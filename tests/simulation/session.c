#include "session.h"

#include "base/contract.h"
#include "clock.h"
#include "counters.h"
#include "threads.h"

#include <stdio.h>
#include <stdlib.h>

enum { LATE_MAX = 64 };

struct fetcher {
    struct ow_log *log;
    int64_t position;
    int64_t end_told; /* -1: none */
};

struct late_commit {
    struct ow_log *log;
    int64_t offset;
    char metadata[OW_METADATA_BYTES];
    int polls;
};

struct ow_session {
    struct ow_source source; /* first */
    struct ow_sim_run *run;
    atomic_bool *stop; /* of the worker whose session it is */
    struct ow_random random;
    struct ow_partition_offset assignment[OW_BROKER_LOGS_MAX];
    size_t assignment_count;
    struct fetcher fetchers[OW_BROKER_LOGS_MAX];
    size_t fetcher_count;
    size_t turn;
    bool asked; /* ASSIGNED was given out, and stands until unassign */
    bool paused;
    bool revoke, revoke_lost;
    bool talk, fatal;
    int zombie_polls; /* until it learns; 0: it is none */
    struct late_commit late[LATE_MAX];
    size_t late_count;
    bool any_sent; /* a commit may have arrived since it was opened */
    bool any_lost; /* no answer to a commit came, or comes, since the last assignment */
    int64_t highest[OW_BROKER_LOGS_MAX]; /* behind what was ever given out */
};

static struct ow_session *session_of(struct ow_source *source)
{
    return (struct ow_session *)(void *)source;
}

static enum ow_status away(struct ow_session *session, struct ow_err *err)
{
    if (ow_vfs_is_dead()) {
        atomic_store(session->stop, true);
        return ow_fail(err, OW_TEMPORARY, "the host is gone");
    }
    if (ow_broker_is_away(&session->run->broker)) {
        ow_sim_clock_pass_ns(INT64_C(5000000000)); /* a request that waits for its answer */
        session->run->may_be_temporary = true;     /* if that goes on for a minute */
        ow_count_if(session->fetcher_count == 0, OW_SOMETIMES_BROKER_AWAY_PLAN);
        return ow_fail(err, OW_TEMPORARY, "no broker answers");
    }
    return OW_OK;
}

static void arrive_late(struct ow_session *session)
{
    size_t left = 0;
    for (size_t i = 0; i < session->late_count; i++) {
        struct late_commit *late = &session->late[i];
        if (--late->polls > 0) {
            session->late[left++] = *late;
            continue;
        }
        late->log->committed = late->offset;
        memcpy(late->log->metadata, late->metadata, sizeof(late->metadata));
        ow_count(OW_SOMETIMES_COMMIT_LATE);
    }
    session->late_count = left;
}

static void give_assignment(struct ow_session *session, struct ow_source_event *ret_event)
{
    struct ow_sim_run *run = session->run;
    const struct ow_broker *broker = &run->broker;
    session->asked = true;
    if (run->away_at_plan_ms > 0) {
        run->broker.away_until_ns = ow_sim_clock_elapsed_ns() + run->away_at_plan_ms * 1000000;
        run->away_at_plan_ms = 0;
    }
    session->assignment_count = broker->log_count - run->old_assignment;
    ow_count_if(run->old_assignment > 0 && broker->members == 1, OW_SOMETIMES_ASSIGNMENT_OLD);
    for (size_t i = 0; i < session->assignment_count; i++) {
        session->assignment[i] = (struct ow_partition_offset){
            .topic = broker->logs[i].topic, .partition = broker->logs[i].partition, .offset = -1};
    }
    *ret_event = (struct ow_source_event){.kind = OW_SOURCE_ASSIGNED,
                                          .partitions = session->assignment,
                                          .partition_count = session->assignment_count};
}

/* The record of a re-created topic: the offset is the same, and it says something else. */
static struct ow_record as_given(const struct ow_log *log, const struct ow_logged *logged)
{
    struct ow_record record = logged->record;
    if (log->recreated) {
        record.value = OW_SLICE("{\"other\":\"topic\"}");
    }
    return record;
}

static bool fetch(struct ow_session *session, struct fetcher *fetcher,
                  struct ow_source_event *ret_event)
{
    struct ow_log *log = fetcher->log;
    const size_t at = ow_log_find(log, fetcher->position);
    if (at < log->count) {
        const struct ow_logged *logged = log->records[at];
        fetcher->position = logged->record.offset + 1;
        const size_t index = ow_broker_index(&session->run->broker, log);
        ow_count_if(logged->record.offset < session->highest[index], OW_SOMETIMES_REDELIVERED);
        session->highest[index] = logged->record.offset + 1;
        *ret_event =
            (struct ow_source_event){.kind = OW_SOURCE_RECORD, .record = as_given(log, logged)};
        ow_run_delivered(session->run, logged);
        ow_count_if(session->zombie_polls > 0, OW_SOMETIMES_ZOMBIE_WORKED);
        return true;
    }
    if (fetcher->end_told == log->end) {
        return false;
    }
    fetcher->end_told = log->end;
    fetcher->position = log->end;
    *ret_event = (struct ow_source_event){
        .kind = OW_SOURCE_END,
        .record = {
                   .topic = ow_slice_of(log->topic), .partition = log->partition, .offset = log->end}
    };
    return true;
}

static void fetch_some(struct ow_session *session, struct ow_source_event *ret_event)
{
    if (session->fetcher_count == 0 || session->paused) {
        return;
    }
    if (ow_random_percent(&session->random, 30)) {
        session->turn = (size_t)ow_random_below(&session->random, (int)session->fetcher_count);
    }
    for (size_t i = 0; i < session->fetcher_count; i++) {
        const size_t at = (session->turn + i) % session->fetcher_count;
        if (fetch(session, &session->fetchers[at], ret_event)) {
            session->turn = at;
            return;
        }
    }
}

static bool tell_trouble(struct ow_session *session, struct ow_source_event *ret_event)
{
    if (!session->talk && !session->fatal) {
        return false;
    }
    *ret_event = (struct ow_source_event){.kind = OW_SOURCE_TROUBLE, .status = OW_OK};
    if (session->fatal) {
        session->run->may_be_temporary = true;
        ret_event->status =
            ow_fail(&ret_event->err, OW_TEMPORARY, "the simulated client is of no use any more");
    } else {
        (void)snprintf(ret_event->err.text, sizeof(ret_event->err.text), "a passing headache");
    }
    ow_count(session->fatal ? OW_SOMETIMES_TROUBLE_FATAL : OW_SOMETIMES_TROUBLE_TALK);
    session->talk = session->fatal = false;
    return true;
}

static void poll_group(struct ow_session *session, struct ow_source_event *ret_event)
{
    if (session->zombie_polls > 0 && --session->zombie_polls == 0) {
        ow_session_rebalance(session, true);
    }
    if (session->revoke && session->asked) {
        session->revoke = false;
        ow_count(session->revoke_lost ? OW_SOMETIMES_REBALANCE_LOST : OW_SOMETIMES_REBALANCE);
        *ret_event = (struct ow_source_event){.kind = OW_SOURCE_REVOKED,
                                              .partitions = session->assignment,
                                              .partition_count = session->assignment_count,
                                              .lost = session->revoke_lost};
        return;
    }
    if (!session->asked && !session->run->broker.mute) {
        give_assignment(session, ret_event);
        return;
    }
    fetch_some(session, ret_event);
}

static void session_poll(struct ow_source *source, int timeout_ms,
                         struct ow_source_event *ret_event)
{
    struct ow_session *session = session_of(source);
    struct ow_sim_run *run = session->run;
    *ret_event = (struct ow_source_event){.kind = OW_SOURCE_IDLE};
    ow_run_before_poll(run);
    if (ow_run_is_over(run)) {
        atomic_store(session->stop, true);
        return;
    }
    arrive_late(session);
    run->may_be_temporary = run->may_be_temporary || ow_broker_is_away(&run->broker);
    if (!tell_trouble(session, ret_event) && !ow_broker_is_away(&run->broker) &&
        !ow_random_percent(&session->random, run->calm ? 2 : run->plan->idle_percent)) {
        poll_group(session, ret_event);
    }
    /* Nothing came: the whole time has passed. */
    const int64_t ns = ret_event->kind == OW_SOURCE_IDLE ? (int64_t)timeout_ms * 1000000 : 20000;
    ow_sim_clock_pass_ns(ns);
    ow_threads_yield();
}

static enum ow_status session_committed(struct ow_source *source, struct ow_partition_offset *list,
                                        size_t count, struct ow_err *err)
{
    struct ow_session *session = session_of(source);
    OW_TRY(away(session, err));
    for (size_t i = 0; i < count; i++) {
        const struct ow_log *log =
            ow_broker_log(&session->run->broker, ow_slice_of(list[i].topic), list[i].partition);
        OW_INVARIANT(log != NULL);
        list[i].offset = log->committed;
        memcpy(list[i].metadata, log->metadata, sizeof(log->metadata));
    }
    ow_expect_plan(session->run);
    return OW_OK;
}

static enum ow_status session_bounds(struct ow_source *source, const char *topic, int32_t partition,
                                     int64_t *ret_low, int64_t *ret_high, struct ow_err *err)
{
    struct ow_session *session = session_of(source);
    OW_TRY(away(session, err));
    const struct ow_log *log = ow_broker_log(&session->run->broker, ow_slice_of(topic), partition);
    OW_INVARIANT(log != NULL);
    *ret_low = log->low;
    *ret_high = log->end;
    return OW_OK;
}

static enum ow_status session_offset_for_time(struct ow_source *source, const char *topic,
                                              int32_t partition, int64_t time_ms,
                                              int64_t *ret_offset, struct ow_err *err)
{
    (void)time_ms;
    int64_t low = 0;
    return session_bounds(source, topic, partition, &low, ret_offset, err);
}

static enum ow_status session_partition_count(struct ow_source *source, const char *topic,
                                              int32_t *ret_count, struct ow_err *err)
{
    struct ow_session *session = session_of(source);
    OW_TRY(away(session, err));
    *ret_count = ow_broker_partitions(&session->run->broker, topic);
    return OW_OK;
}

static enum ow_status session_member_count(struct ow_source *source, int32_t *ret_count,
                                           struct ow_err *err)
{
    struct ow_session *session = session_of(source);
    OW_TRY(away(session, err));
    *ret_count = session->run->broker.members;
    return OW_OK;
}

static enum ow_status session_assign(struct ow_source *source,
                                     const struct ow_partition_offset *list, size_t count,
                                     struct ow_err *err)
{
    (void)err;
    struct ow_session *session = session_of(source);
    session->paused = false;
    session->fetcher_count = count;
    for (size_t i = 0; i < count; i++) {
        struct ow_log *log =
            ow_broker_log(&session->run->broker, ow_slice_of(list[i].topic), list[i].partition);
        OW_INVARIANT(log != NULL);
        session->fetchers[i] =
            (struct fetcher){.log = log, .position = list[i].offset, .end_told = -1};
    }
    ow_expect_fetch(session->run, list, count);
    return OW_OK;
}

static enum ow_status session_unassign(struct ow_source *source, struct ow_err *err)
{
    (void)err;
    struct ow_session *session = session_of(source);
    ow_observe(session->run);
    ow_run_forget_pending(session->run); /* what was revoked must not come to a batch any more */
    session->fetcher_count = 0;
    session->asked = false;
    session->zombie_polls = 0;
    session->late_count = 0; /* of a generation that is over */
    session->any_lost = false;
    return OW_OK;
}

static void commit_one(struct ow_log *log, const struct ow_partition_offset *offset)
{
    log->committed = offset->offset;
    memcpy(log->metadata, offset->metadata, sizeof(log->metadata));
}

static void commit_late(struct ow_session *session, struct ow_log *log,
                        const struct ow_partition_offset *offset)
{
    if (session->late_count < LATE_MAX) {
        struct late_commit *late = &session->late[session->late_count++];
        *late = (struct late_commit){.log = log,
                                     .offset = offset->offset,
                                     .polls = ow_random_between(&session->random, 1, 6)};
        memcpy(late->metadata, offset->metadata, sizeof(late->metadata));
    }
}

static enum ow_commit_fate next_fate(struct ow_session *session)
{
    struct ow_broker *broker = &session->run->broker;
    if (session->zombie_polls > 0) {
        return OW_COMMIT_LOST;
    }
    if (broker->fated == 0) {
        return OW_COMMIT_TAKEN;
    }
    broker->fated--;
    static const enum ow_sometimes counters[] = {
        OW_SOMETIMES_COMMITTED, OW_SOMETIMES_COMMIT_REFUSED, OW_SOMETIMES_COMMIT_LOST,
        OW_SOMETIMES_COMMITTED, OW_SOMETIMES_COMMIT_TAKEN_REFUSED};
    ow_count(counters[broker->fate]);
    return broker->fate;
}

static enum ow_status session_commit(struct ow_source *source,
                                     const struct ow_partition_offset *list, size_t count,
                                     bool wait, struct ow_err *err)
{
    struct ow_session *session = session_of(source);
    struct ow_sim_run *run = session->run;
    OW_TRY(away(session, err));
    session->any_sent = true;
    const size_t reached = ow_run_before_commit(run, list, count);
    const enum ow_commit_fate fate = next_fate(session);
    const bool is_taken = fate == OW_COMMIT_TAKEN || fate == OW_COMMIT_TAKEN_REFUSED;
    for (size_t i = 0; i < reached; i++) {
        struct ow_log *log =
            ow_broker_log(&run->broker, ow_slice_of(list[i].topic), list[i].partition);
        OW_INVARIANT(log != NULL);
        if (is_taken) {
            commit_one(log, &list[i]);
        } else if (fate == OW_COMMIT_LATE) {
            commit_late(session, log, &list[i]);
        }
    }
    session->any_lost = session->any_lost || fate == OW_COMMIT_LOST || fate == OW_COMMIT_LATE;
    ow_count_if(is_taken, OW_SOMETIMES_COMMITTED);
    if (reached < count) {
        ow_vfs_die();
        ow_count(OW_SOMETIMES_CRASH_IN_GROUP);
        return away(session, err);
    }
    if (fate == OW_COMMIT_REFUSED || fate == OW_COMMIT_TAKEN_REFUSED ||
        (wait && fate != OW_COMMIT_TAKEN)) {
        return ow_fail(err, OW_TEMPORARY, "the simulated group does not answer");
    }
    return OW_OK;
}

static bool session_commits_taken(struct ow_source *source)
{
    return !session_of(source)->any_lost;
}

static bool session_any_sent(struct ow_source *source)
{
    return session_of(source)->any_sent;
}

static enum ow_status session_pause(struct ow_source *source, struct ow_err *err)
{
    (void)err;
    struct ow_session *session = session_of(source);
    struct ow_sim_run *run = session->run;
    OW_REQUIRE(!session->paused);
    session->paused = true;
    run->left = run->pending_count == 0 ? NULL : run->pending[run->pending_count - 1];
    ow_count(OW_SOMETIMES_PAUSED);
    return OW_OK;
}

static bool session_close(struct ow_source *source, int deadline_ms)
{
    (void)deadline_ms;
    free(session_of(source));
    return true;
}

struct ow_source *ow_session_open(struct ow_sim_run *run, atomic_bool *stop)
{
    static const struct ow_source_ops ops = {
        .poll = session_poll,
        .committed = session_committed,
        .bounds = session_bounds,
        .offset_for_time = session_offset_for_time,
        .partition_count = session_partition_count,
        .member_count = session_member_count,
        .assign = session_assign,
        .unassign = session_unassign,
        .commit = session_commit,
        .commits_taken = session_commits_taken,
        .any_sent = session_any_sent,
        .pause = session_pause,
        .close = session_close,
    };
    struct ow_session *session = calloc(1, sizeof(*session));
    OW_INVARIANT(session != NULL);
    session->source.ops = &ops;
    session->run = run;
    session->stop = stop;
    session->random = ow_random_stream(ow_random_next(&run->random), 3);
    run->session = session;
    return &session->source;
}

void ow_session_rebalance(struct ow_session *session, bool lost)
{
    session->revoke = true;
    session->revoke_lost = lost;
}

void ow_session_make_zombie(struct ow_session *session, int polls)
{
    if (session->asked && session->zombie_polls == 0) {
        session->zombie_polls = polls;
        ow_count(OW_SOMETIMES_ZOMBIE);
    }
}

void ow_session_trouble(struct ow_session *session, bool fatal)
{
    session->talk = session->talk || !fatal;
    session->fatal = session->fatal || fatal;
}

bool ow_session_is_drained(const struct ow_session *session)
{
    for (size_t i = 0; i < session->fetcher_count; i++) {
        if (session->fetchers[i].position < session->fetchers[i].log->end) {
            return false;
        }
    }
    return session->fetcher_count > 0;
}
