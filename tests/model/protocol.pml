/*
 * protocol.pml: the two-store protocol of DESIGN 2, 6 and 9, for Spin. `test_model.py` runs it.
 *
 * Two stores must agree without a transaction over both: the SQLite file, where claim, effect and position of a
 * record are one transaction, and the Kafka group, which is told the offset afterwards. Two processes work on them:
 * one owns the file; the other waits for its lock, or is a zombie that has lost it and does not know. Spin walks
 * through every order of their steps, with up to FAULTS faults anywhere, and looks at the promises in every state.
 *
 * The topic has two partitions of N records. Both hold the same N ids, the second in reverse order, so that each
 * record has a duplicate in the other partition. A record has its effect or is a duplicate: whatever else may become
 * of one (parked, quarantined, ...) is in the same transaction, and makes no difference here.
 *
 * Each atomic alternative below is one step, with the code that it models as (file function) of lib/. A step is as
 * large as what no other process, and no crash, can see a part of.
 *
 * How it differs from the code, and why that hides nothing:
 *   - The ring and the decode threads are left out: a batch takes its records straight from where the fetch is. What
 *     the ring holds of an older assignment lies before the new one, and is dropped there (engine/batch.c
 *     ow_batch_is_wanted) as if it had never been fetched.
 *   - Generations are only ever compared for equality, so they are the bits `pending`, `applied` and `newest`.
 *   - COMMIT and the publication of what it left (engine/durable.c) are one step: the table is for the process's own
 *     poll thread, which may as well have acted before. A crash between them is a crash after them.
 *   - high_offset and seen_committed have no copy in the process: the owner's is what the store holds, and whoever is
 *     not the owner any more learns so at BEGIN, before it matters.
 *   - ow_meta.batch (a second guard behind the epoch), a foreign store id, a second copy of the file (also in our own
 *     epoch), a file that was moved, a re-created topic (the anchor) and a group that was moved forward all end the
 *     worker with 4 before anything is written; transcripts, units and tests/broker hold that.
 *
 * The negative models break one rule each (spin -DNAME). Spin must find the promise that this breaks:
 *   OFFSET_FIRST        an offset is told to the poll thread before its transaction is durable      v7
 *   CLAIM_APART         the claim is a transaction of its own, before that of effect and position   v3
 *   POSITION_APART      the position is one, after that of claim and effect                         v1
 *   NO_CLAIM            nobody asks whether the id has had its effect                               v2
 *   EPOCH_NOT_ASSERTED  a batch does not look at the epoch                                          v16
 *   GROUP_IS_TRUTH      work goes on where the group is, not where the position is                  v18
 *   EARLY_COMMIT        offsets are committed before the store has applied the assignment           v7
 *   NO_RESEND           a commit that was lost is not sent again                                    handled
 *   REWIND_NOT_SEEN     a rewind that was honoured is not remembered                                v18_once
 *   TAKEN_IS_ENOUGH     it is forgotten when the source has taken a commit, not when it was answered v18_once
 *   OLD_ANSWERS         an answer from before an assignment counts for what that assignment does    v18_once
 */
#ifndef N
#define N 2 /* records of a partition */
#endif
#ifndef FAULTS
#define FAULTS 3 /* at most, of any kinds, in one run */
#endif
#ifndef LOCKS
#define LOCKS 0 /* how often the lock file does not hold: two processes work at once */
#endif

#define NONE 15   /* no offset; nobody */
#define STORED 14 /* what an assignment does to a partition: nothing, */
#define START 13  /* begin at the beginning, or (an offset) go back there */

#define ID(p, o) ((1 - (p)) * (o) + (p) * (N - 1 - (o))) /* o in partition 0, the reverse in partition 1 */

/* Process.life */
#define DOWN 0    /* its supervisor starts it again */
#define LOCKED 1  /* has the lock file, has not opened the store yet */
#define UP 2
#define REFUSED 3 /* ended with exit code 4: waits for a person */

/* Process.poll */
#define APART 0  /* not in the group, as far as it knows */
#define JOINED 1 /* was given an assignment, has not taken it */
#define ASSIGNED 2
#define REVOKING 3

/* Process.work: what the open transaction is for. A batch is one record, or two. */
#define NOTHING 0
#define RECORDS 1
#define ASSIGNMENT 2

/* The SQLite file. All of it is durable. */
byte store_epoch;
byte position[2] = NONE; /* ow_position.next_offset; NONE: no row */
byte high[2];            /* ow_position.high_offset */
byte seen[2] = NONE;     /* ow_position.seen_committed */
bit claims[N];           /* ow_claims, by id */
byte effects[N];         /* business rows, by id */
bit outcome[2 * N];      /* ow_ledger: this offset has one */
byte writer = NONE;      /* SQLite's own lock: who is behind BEGIN IMMEDIATE */
byte file_lock = NONE;

/* The group, as its coordinator knows it. */
byte group_member = NONE;
byte group_offset[2] = NONE;
bit group_ours[2];   /* with our metadata, whose o= is that offset */
byte group_epoch[2]; /* e= of the metadata */

typedef Process {
    byte life;
    byte epoch;
    /* The poll thread: engine/consume_internal.h struct ow_consumer. */
    byte poll;
    bit pending;   /* an assignment is on its way to the apply thread */
    byte plan[2];  /* what that assignment does */
    byte fetch[2]; /* the next offset to be fetched */
    bit due[2];    /* what is durable is not what was committed last (tracked->committed) */
    /* The apply thread. */
    byte work;
    byte part[2], what[2]; /* partitions and offsets of the records; plans of the assignment in what[] */
    bit newest;            /* the assignment in work is the last that was submitted */
    byte half;             /* CLAIM_APART, POSITION_APART: the first of two transactions is done */
    bit has_committed[2];
    /* engine/durable.c: what the apply thread publishes, */
    bit applied; /* durables.generation is that of the last assignment */
    byte durable[2];
    bit taken[2]; /* and what the poll thread says back: the coordinator has taken a commit */
    /* The commit request on its way to the coordinator. It survives its sender. */
    byte sent[2];
    byte sent_epoch;
}
Process process[2];

byte faults = FAULTS;
byte locks = LOCKS;
byte asked[2] = NONE; /* where an operator's rewind goes that no assignment has honoured yet */
bit rewound[2];        /* an operator has rewound this partition at all */

/* The promises, by their numbers in reference/testing.md. A broken one, and nothing else, makes its variable false. */
bool v1_one_outcome = true;
bool v2_effect_at_most_once = true;
bool v3_below_the_position_all_have_their_effect = true;
bool v3_no_record_is_jumped_over = true;
bool v7_what_is_committed_is_durable = true;
bool v16_only_the_newest_epoch_writes = true;
bool v18_back_only_for_an_operator = true;
bool v18_once_for_each_rewind = true;
bool only_a_zombie_is_refused = true; /* model/position.c: the owner of the file never finds a reason for exit code 4 */

/* Liveness: once the faults are over all is handled, and the group knows. */
#define IS_HANDLED(p) (position[p] == N && group_offset[p] == N && group_ours[p] && asked[p] == NONE)
ltl handled { <>[] (IS_HANDLED(0) && IS_HANDLED(1)) }

hidden byte p, o, k, refused, plan[2]; /* scratch: means nothing between two steps */

inline check_promises()
{
    d_step {
        for (p : 0 .. 1) {
            for (o : 0 .. N - 1) {
                if
                :: position[p] != NONE && o < position[p] && (effects[ID(p, o)] == 0 || !outcome[p * N + o]) ->
                    v3_below_the_position_all_have_their_effect = false
                :: else
                fi
            }
            if
            :: group_ours[p] && (position[p] == NONE || group_offset[p] > position[p]) ->
                v7_what_is_committed_is_durable = false
            :: else
            fi
        }
        for (o : 0 .. N - 1) {
            v2_effect_at_most_once = v2_effect_at_most_once && effects[o] <= 1
        }
    }
    assert(v1_one_outcome);
    assert(v2_effect_at_most_once);
    assert(v3_below_the_position_all_have_their_effect);
    assert(v3_no_record_is_jumped_over);
    assert(v7_what_is_committed_is_durable);
    assert(v16_only_the_newest_epoch_writes);
    assert(v18_back_only_for_an_operator);
    assert(v18_once_for_each_rewind)
}

/* ---- A process comes and goes ---- */

/* The transaction in work is over, whatever came of it. */
inline end_work(i)
{
    process[i].work = NOTHING;
    process[i].part[0] = 0;
    process[i].part[1] = 0;
    process[i].what[0] = NONE;
    process[i].what[1] = NONE;
    process[i].newest = 0;
    process[i].half = 0;
    if
    :: writer == i -> writer = NONE
    :: else
    fi
}

/* Nothing is left of it but a request on its way. SQLite rolls an open transaction back at the next start. */
inline end_process(i, to)
{
    process[i].life = to;
    process[i].epoch = 0;
    process[i].poll = APART;
    process[i].pending = 0;
    end_work(i);
    process[i].applied = 0;
    for (p : 0 .. 1) {
        process[i].plan[p] = 0;
        process[i].fetch[p] = 0;
        process[i].due[p] = 0;
        process[i].has_committed[p] = 0;
        process[i].durable[p] = NONE;
        process[i].taken[p] = 0
    }
    if
    :: file_lock == i -> file_lock = NONE
    :: else
    fi
}

/* engine/durable.c ow_durables_exchange, for partition p */
inline publish(i)
{
    process[i].due[p] = process[i].due[p] || process[i].durable[p] != position[p];
    process[i].durable[p] = position[p];
    process[i].has_committed[p] = (process[i].has_committed[p] || process[i].taken[p]) && seen[p] != NONE;
    process[i].taken[p] = 0
}

/* Its supervisor starts a process that ended, unless it said 4. */
proctype Life(byte i)
{
end:
    do
    /* store/store_lock.c ow_store_lock. Who finds it taken waits (--standby), or ends with 75 and is started again. */
    :: atomic { process[i].life == DOWN && file_lock == NONE ->
        d_step { process[i].life = LOCKED; file_lock = i } }
    /* store/store_open.c take_over, then engine/apply.c ow_apply_open */
    :: atomic { process[i].life == LOCKED && writer == NONE ->
        d_step {
            store_epoch++;
            process[i].epoch = store_epoch;
            process[i].durable[0] = position[0];
            process[i].durable[1] = position[1];
            process[i].life = UP
        } }
    /* kill -9; a power cut (what COMMIT said is durable: synchronous=FULL); a stop that did not come to its commit */
    :: atomic { (process[i].life == LOCKED || process[i].life == UP) && faults > 0 ->
        d_step { faults--; end_process(i, DOWN) } }
    od
}

/* ---- The poll thread ---- */

/* model/position.c ow_position_resume, for partition p. refused: exit code 4 */
inline resume(i)
{
    if
    :: process[i].durable[p] == NONE ->
        plan[p] = START;
        refused = refused || group_offset[p] != NONE
#ifdef GROUP_IS_TRUTH
    :: else ->
        plan[p] = (group_offset[p] == NONE || group_offset[p] >= process[i].durable[p] -> STORED : group_offset[p])
#else
    :: else ->
        refused = refused ||
            group_ours[p] && (group_epoch[p] > process[i].epoch || group_offset[p] > high[p]);
        if
        :: group_offset[p] == NONE || group_ours[p] || group_offset[p] == seen[p] ||
           group_offset[p] == process[i].durable[p] ->
            plan[p] = STORED
        :: else ->
            plan[p] = group_offset[p];
            refused = refused || group_offset[p] > process[i].durable[p]
        fi
#endif
    fi
}

#ifdef EARLY_COMMIT
#define MAY_COMMIT(i) true
#else
#define MAY_COMMIT(i) process[i].applied
#endif
/* engine/consume_commit.c list_commits */
#define IS_ON_ITS_WAY(i) (process[i].sent[0] != NONE || process[i].sent[1] != NONE)
#define IS_DUE(i, p) (process[i].due[p] && process[i].durable[p] != NONE)

proctype Poll(byte i)
{
end:
    do
    /* kafka/source.c subscribe. Membership is static (a store has one group.instance.id): whoever was there is fenced,
     * and requests from before are of another generation of the group and do not count. */
    :: atomic { process[i].life == UP && process[i].poll == APART ->
        d_step {
            group_member = i;
            process[i].poll = JOINED;
            process[i].sent[0] = NONE;
            process[i].sent[1] = NONE;
            process[i].sent_epoch = 0
        } }
    /* engine/consume_assign.c ow_consume_assign: engine/assign.c ow_assign_plan asks what the group has committed, for
     * all partitions at once (that needs no membership); then the assignment goes to the apply thread, and the fetch to
     * where it says. */
    :: atomic { process[i].poll == JOINED ->
        d_step {
            refused = false;
            for (p : 0 .. 1) {
                resume(i);
                process[i].plan[p] = plan[p];
                process[i].fetch[p] =
                    (plan[p] == STORED -> process[i].durable[p] : (plan[p] == START -> 0 : plan[p]));
                process[i].due[p] = 1;
#ifndef OLD_ANSWERS
                process[i].taken[p] = 0 /* engine/durable.c ow_durables_forget_committed */
#endif
            }
            process[i].poll = ASSIGNED;
            process[i].pending = 1;
            process[i].newest = 0;
            process[i].applied = 0;
            if
            :: refused ->
                only_a_zombie_is_refused = process[i].epoch != store_epoch;
                end_process(i, REFUSED)
            :: else
            fi
        }
        assert(only_a_zombie_is_refused) }
    /* engine/consume_commit.c ow_consume_commit; kafka/commits.c ow_kafka_commits_send: one request at a time */
    :: atomic { process[i].poll == ASSIGNED && MAY_COMMIT(i) && !IS_ON_ITS_WAY(i) && (IS_DUE(i, 0) || IS_DUE(i, 1)) ->
        d_step {
            for (p : 0 .. 1) {
                if
                :: IS_DUE(i, p) ->
                    process[i].sent[p] = process[i].durable[p];
                    process[i].due[p] = 0;
#ifdef TAKEN_IS_ENOUGH
                    process[i].taken[p] = 1
#endif
                :: else
                fi
            }
            process[i].sent_epoch = process[i].epoch
        } }
    /* A rebalance. engine/consume_assign.c ow_consume_revoke: what was fetched counts no more, ... */
    :: atomic { process[i].poll == ASSIGNED && group_member == i && faults > 0 ->
        d_step { faults--; process[i].poll = REVOKING; process[i].pending = 0 } }
    /* ... what is durable is committed, waiting for the answer (kafka/commits.c send_and_wait), then it unassigns. */
    :: atomic { process[i].poll == REVOKING && group_member != 1 - i && !IS_ON_ITS_WAY(i) ->
        d_step {
            for (p : 0 .. 1) {
                if
                :: group_member == i && MAY_COMMIT(i) && IS_DUE(i, p) ->
                    group_offset[p] = process[i].durable[p];
                    group_ours[p] = 1;
                    group_epoch[p] = process[i].epoch;
                    process[i].taken[p] = 1
                :: else
                fi
            }
            process[i].poll = APART
        }
        check_promises() }
    /* The same, and no answer comes. */
    :: atomic { process[i].poll == REVOKING && faults > 0 ->
        d_step { faults--; process[i].poll = APART } }
    /* The session ran out: kafka/source.c on_rebalance (rebalance_lost). It joins again. */
    :: atomic { (process[i].poll == JOINED || process[i].poll == ASSIGNED) && group_member == NONE ->
        d_step { process[i].poll = APART; process[i].pending = 0 } }
    /* Another process joined under our instance id: kafka/trouble.c stop_fatal, exit code 75 */
    :: atomic { process[i].poll != APART && group_member == 1 - i ->
        d_step { end_process(i, DOWN) } }
    od
}

/* ---- The apply thread ---- */

/* model/decide.c, store/claim.c: who finds the key free owns it and has its effect; else it is a duplicate. */
inline take_claim(i)
{
    if
#ifdef NO_CLAIM
    :: true -> effects[ID(p, o)]++
#else
    :: claims[ID(p, o)] == 0 ->
        claims[ID(p, o)] = 1;
#ifdef CLAIM_APART
        process[i].half = process[i].half | (1 << k) /* this one's is ours: the effect follows */
#else
        effects[ID(p, o)]++
#endif
    :: else
#endif
    fi
}

/* model/position.c ow_position_handled: the ledger's part */
inline write_outcome()
{
    if
    :: o >= high[p] ->
        v1_one_outcome = v1_one_outcome && !outcome[p * N + o];
        outcome[p * N + o] = 1
    :: else /* a re-read has its outcome already */
    fi
}

/* model/position.c ow_position_handled: the marks */
inline move_position(i)
{
    v3_no_record_is_jumped_over = v3_no_record_is_jumped_over && o == position[p];
    position[p] = o + 1;
    if
    :: o >= high[p] -> high[p] = o + 1
    :: else
    fi;
    if
    :: process[i].has_committed[p] -> seen[p] = NONE /* engine/partition.c ow_partitions_changes */
    :: else
    fi
}

/* engine/batch.c ow_batch_is_wanted: below the position is what was handled between the plan and the fetch. */
#define IS_WANTED(i, k) (process[i].what[k] != NONE && process[i].what[k] >= position[process[i].part[k]])

/* engine/batch.c ow_batch_judge, ow_batch_write: all in the one transaction, unless a negative model takes it apart */
inline judge(i)
{
    for (k : 0 .. 1) {
        p = process[i].part[k];
        o = process[i].what[k];
        if
        :: IS_WANTED(i, k) ->
#ifdef CLAIM_APART
            effects[ID(p, o)] = effects[ID(p, o)] + (process[i].half >> k & 1);
            write_outcome();
#elif !defined(POSITION_APART)
            take_claim(i);
            write_outcome();
#endif
            move_position(i)
        :: else
        fi
    }
}

#if defined(CLAIM_APART) || defined(POSITION_APART)
#define IS_APART
inline judge_first_half(i)
{
    for (k : 0 .. 1) {
        p = process[i].part[k];
        o = process[i].what[k];
        if
        :: IS_WANTED(i, k) ->
#ifdef POSITION_APART
            write_outcome();
#endif
            take_claim(i)
        :: else
        fi
    }
    process[i].half = process[i].half | 4
}
#define HAS_ALL(i) (process[i].work == ASSIGNMENT || process[i].work == RECORDS && process[i].half)
#else
#define HAS_ALL(i) (process[i].work != NOTHING)
#endif

/* engine/apply.c take_assigned, of all partitions */
inline take_assigned(i)
{
    for (p : 0 .. 1) {
        if
        :: process[i].what[p] == START && position[p] == NONE -> position[p] = 0
        :: process[i].what[p] < START ->
            v18_back_only_for_an_operator = v18_back_only_for_an_operator && rewound[p];
            v18_once_for_each_rewind =
                v18_once_for_each_rewind && (asked[p] != NONE || position[p] <= process[i].what[p]);
            asked[p] = (asked[p] == process[i].what[p] -> NONE : asked[p]);
            position[p] = process[i].what[p];
#ifndef REWIND_NOT_SEEN
            seen[p] = process[i].what[p];
#endif
            process[i].has_committed[p] = 0
        :: else
        fi
    }
    process[i].applied = process[i].newest
}

inline store_batch(i)
{
    v16_only_the_newest_epoch_writes = v16_only_the_newest_epoch_writes && process[i].epoch == store_epoch;
    if
    :: process[i].work == ASSIGNMENT -> take_assigned(i)
    :: else -> judge(i)
    fi
}

/* store/store.c ow_store_begin. Also after COMMIT nobody else may have the file: BEGIN IMMEDIATE waits. */
#define CAN_BEGIN(i) (process[i].life == UP && process[i].work == NOTHING && writer == NONE)
#ifdef EPOCH_NOT_ASSERTED
#define OWNS(i) true
#else
#define OWNS(i) (process[i].epoch == store_epoch)
#endif
/* engine/worker_apply.c apply_chunks: records of an assignment that was revoked, or not applied, are dropped. */
#define HAS_RECORD(i, p) (process[i].poll == ASSIGNED && process[i].applied && process[i].fetch[p] < N)

inline take_record(i, which, from)
{
    process[i].part[which] = from;
    process[i].what[which] = process[i].fetch[from];
    process[i].fetch[from]++;
#ifdef OFFSET_FIRST
    process[i].durable[from] = process[i].fetch[from];
    process[i].due[from] = 1
#endif
}

inline begin(i, its_work)
{
    writer = i;
    process[i].work = its_work
}

proctype Apply(byte i)
{
end:
    do
    /* Somebody else owns the store: OW_UNSAFE, exit code 4 */
    :: atomic { CAN_BEGIN(i) && !OWNS(i) && (process[i].pending || HAS_RECORD(i, 0) || HAS_RECORD(i, 1)) ->
        d_step { end_process(i, REFUSED) } }
    /* engine/apply.c ow_apply_assignment */
    :: atomic { CAN_BEGIN(i) && OWNS(i) && process[i].pending ->
        d_step {
            begin(i, ASSIGNMENT);
            process[i].what[0] = process[i].plan[0];
            process[i].what[1] = process[i].plan[1];
            process[i].plan[0] = 0;
            process[i].plan[1] = 0;
            process[i].pending = 0;
            process[i].newest = 1
        } }
    /* engine/apply.c ow_apply_batch: what has arrived, one record or two, in any order of the partitions */
    :: atomic { CAN_BEGIN(i) && OWNS(i) && (HAS_RECORD(i, 0) || HAS_RECORD(i, 1)) ->
        begin(i, RECORDS);
        if
        :: HAS_RECORD(i, 0) -> take_record(i, 0, 0)
        :: HAS_RECORD(i, 1) -> take_record(i, 0, 1)
        fi;
        if
        :: HAS_RECORD(i, 0) -> take_record(i, 1, 0)
        :: HAS_RECORD(i, 1) -> take_record(i, 1, 1)
        :: true /* no more has arrived */
        fi }
#ifdef IS_APART
    :: atomic { process[i].work == RECORDS && !process[i].half ->
        d_step { judge_first_half(i) }
        check_promises() }
#endif
    /* store/store.c ow_store_write, ow_store_commit; engine/durable.c ow_durables_exchange */
    :: atomic { HAS_ALL(i) ->
        d_step {
            store_batch(i);
            for (p : 0 .. 1) {
                publish(i)
            }
            end_work(i)
        }
        check_promises() }
    /* SQLITE_FULL: rolled back, and tried again (engine/worker_apply.c apply_with_retries) unless revoked meanwhile */
    :: atomic { process[i].work != NOTHING && faults > 0 ->
        d_step {
            faults--;
            if
            :: process[i].work == ASSIGNMENT && process[i].newest && process[i].poll == ASSIGNED ->
                process[i].pending = 1;
                process[i].plan[0] = process[i].what[0];
                process[i].plan[1] = process[i].what[1]
            :: process[i].work == RECORDS && process[i].applied && process[i].poll == ASSIGNED ->
                for (k : 0 .. 1) {
                    if
                    :: process[i].what[k] != NONE -> process[i].fetch[process[i].part[k]]--
                    :: else
                    fi
                }
            :: else
            fi;
            end_work(i)
        } }
    /* store/sql.c ow_sql_commit: an I/O error at COMMIT. The store has it or not; we do not know, and end with 75. */
    :: atomic { HAS_ALL(i) && faults > 0 ->
        d_step { faults--; store_batch(i); end_process(i, DOWN) }
        check_promises() }
    :: atomic { process[i].work != NOTHING && faults > 0 ->
        d_step { faults--; end_process(i, DOWN) } }
    /* engine/worker_apply.c apply_nothing: engine/apply.c ow_apply_forget_seen, when there is nothing else to write */
    :: atomic { CAN_BEGIN(i) && OWNS(i) &&
                (process[i].has_committed[0] && seen[0] != NONE || process[i].has_committed[1] && seen[1] != NONE) ->
        d_step {
            for (p : 0 .. 1) {
                if
                :: process[i].has_committed[p] -> seen[p] = NONE
                :: else
                fi;
                publish(i)
            }
            p = 0
        } }
    od
}

/* ---- The group's coordinator, and people ---- */

proctype Coordinator(byte i)
{
end:
    do
    /* An OffsetCommit arrives; it counts only from the member that there is. */
    :: atomic { IS_ON_ITS_WAY(i) ->
        d_step {
            for (p : 0 .. 1) {
                if
                :: group_member == i && process[i].sent[p] != NONE ->
                    group_offset[p] = process[i].sent[p];
                    group_ours[p] = 1;
                    group_epoch[p] = process[i].sent_epoch;
                    /* engine/consume_commit.c note_answers */
                    process[i].taken[p] = process[i].life == UP && process[i].poll == ASSIGNED
                :: else
                fi;
                process[i].sent[p] = NONE
            }
            process[i].sent_epoch = 0
        }
        check_promises() }
    /* It is lost, or its answer says no: kafka/commits.c ow_kafka_commits_answered sends it again. */
    :: atomic { IS_ON_ITS_WAY(i) && faults > 0 ->
        d_step {
            faults--;
            for (p : 0 .. 1) {
#ifndef NO_RESEND
                process[i].due[p] = process[i].due[p] || process[i].sent[p] != NONE;
#endif
                process[i].sent[p] = NONE
            }
            process[i].sent_epoch = 0
        } }
    /* The session of a process that is gone runs out; that of one that stands still, too. */
    :: atomic { group_member == i && process[i].life != UP -> group_member = NONE }
    :: atomic { group_member == i && process[i].life == UP && faults > 0 ->
        d_step { faults--; group_member = NONE } }
    od
}

/* kafka-consumer-groups --reset-offsets: only while the group is empty. It clears the metadata. */
inline rewind(which, to)
{
    faults--;
    group_offset[which] = to;
    group_ours[which] = 0;
    group_epoch[which] = 0;
    asked[which] = to;
    rewound[which] = 1
}
#define CAN_REWIND(which, to) \
    (group_member == NONE && group_offset[which] != NONE && group_offset[which] > to && faults > 0)

proctype People()
{
end:
    do
    :: atomic { CAN_REWIND(0, 0) -> d_step { rewind(0, 0) } }
    :: atomic { CAN_REWIND(1, 0) -> d_step { rewind(1, 0) } }
#if N > 1
    :: atomic { CAN_REWIND(0, 1) -> d_step { rewind(0, 1) } }
    :: atomic { CAN_REWIND(1, 1) -> d_step { rewind(1, 1) } }
#endif
#if N > 2
    :: atomic { CAN_REWIND(0, 2) -> d_step { rewind(0, 2) } }
    :: atomic { CAN_REWIND(1, 2) -> d_step { rewind(1, 2) } }
#endif
    /* The lock does not hold: somebody removed its file, or the disk is shared and knows no locks. */
    :: atomic { file_lock != NONE && locks > 0 ->
        d_step { locks--; file_lock = NONE } }
    od
}

init
{
    atomic {
        for (k : 0 .. 1) {
            process[k].what[0] = NONE;
            process[k].what[1] = NONE;
            process[k].durable[0] = NONE;
            process[k].durable[1] = NONE;
            process[k].sent[0] = NONE;
            process[k].sent[1] = NONE
        }
        process[0].life = LOCKED; /* process 0 is the first; the two are alike */
        file_lock = 0;
        run Life(0); run Poll(0); run Apply(0); run Coordinator(0);
        run Life(1); run Poll(1); run Apply(1); run Coordinator(1);
        run People()
    }
}
