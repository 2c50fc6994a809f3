/*
 * suspect: which record is to be blamed when the process dies, again and again: notes that outlive
 * the process, and what the next start makes of them.
 *
 * While records are in work each thread notes in a slot what it has. A process that starts where
 * another died with a slot in work looks at the notes:
 *   - one record alone was in work: it is accused. After three such deaths it is convicted, and
 *     quarantined instead of tried once more.
 *   - many were: nobody is to blame yet. At the second such death in a row, all that had been
 * handed out by then is handled carefully: one record at a time in the whole process, so that the
 * next death names one.
 *   - nothing was: no record did it.
 * A kill from outside hits whatever is in work, so a record is acquitted as soon as it is passed,
 * an accused one is in work for as long as its own handling takes and no longer (not while others
 * are, not during COMMIT), and before the try that could convict it the worker stands still for
 * OW_SUSPECT_CONTROL_MS with nothing in work: if the process dies then, it dies of something else,
 * and the record is acquitted. ARCHITECTURE 48 has the numbers.
 * What kills the process with every record is no record's fault: after some convictions in a row
 * there are no more of them, and nothing is begun.
 *
 * The notes are plain memory, mapped from a file by store/inflight.h, or anywhere in tests.
 * Threads: _adopt, _start, _clear while no other thread runs; _rest any; a slot is its thread's;
 * the partitions are the poll thread's, _pass is the apply thread's; everything else is not changed
 * between _start and the end.
 * Trust: what _adopt gets may be anything; what it leaves is sound.
 */
#ifndef OW_MODEL_SUSPECT_H
#define OW_MODEL_SUSPECT_H

#include "model/position.h"

#include <stdatomic.h>

enum {
    OW_SUSPECT_PATIENCE = 2, /* deaths of many together before they are handled one by one */
    OW_SUSPECT_DEATHS = 3,   /* deaths of one alone before it is convicted */
    /* So many convictions, none more than so many records after the one before, and it is not the
     * records: records of which a process dies are rare, and come in handfuls where one producer
     * makes them; a fault of the build or of the machine hits each one, or each of a type. */
    OW_SUSPECT_CONVICTIONS = 8,
    OW_SUSPECT_REDEEMING = 1000,
    OW_SUSPECT_CONTROL_MS = 1000,
    OW_SUSPECT_SLOTS = 17, /* the apply thread's and 16 of decode threads */
    OW_SUSPECT_ACCUSED_MAX = 16,
    OW_SUSPECT_PARTITIONS_MAX = 1024, /* further ones are not watched */
    OW_SUSPECT_TOPIC_BYTES = 256      /* Kafka's topic names have at most 249 characters */
};

/* Where a record is. */
struct ow_place {
    int64_t offset;
    int32_t partition;
    uint32_t topic_len;
    uint8_t topic[OW_SUSPECT_TOPIC_BYTES];
};

/* What a thread has in work. */
enum ow_stage {
    OW_STAGE_IDLE,
    OW_STAGE_READ,   /* one or more records are read as events */
    OW_STAGE_APPLY,  /* judged and written, but for the COMMIT */
    OW_STAGE_WAKE,   /* the same, to see whether one parked record can be woken by it */
    OW_STAGE_CONTROL /* it stands still before a record that is accused */
};

struct ow_slot {
    _Atomic uint32_t stage; /* of the others, what holds while it is not IDLE */
    uint32_t records;
    int64_t parked_id;     /* WAKE: whose; else 0 */
    struct ow_place place; /* of the first record */
};

struct ow_accused {
    struct ow_place place;
    int64_t parked_id; /* of the parked record that it wakes; 0: it is the record itself */
    uint32_t deaths;
    uint32_t stage; /* of the last one */
};

struct ow_suspect_partition {
    struct ow_place place;               /* the record that was handed out last; offset -1: none */
    int64_t suspect_last;                /* the last one that a process died with; -1: none */
    int64_t careful_first, careful_last; /* to be handled one by one; last -1: none */
};

struct ow_suspects {
    uint8_t magic[16];
    uint32_t version, bytes;
    char boot[40]; /* of the machine's start */
    char store_id[OW_STORE_ID_BYTES + 7];
    uint32_t deaths;      /* in a row, of many records together */
    uint32_t convictions; /* in a row: fewer than REDEEMING records between one and the next */
    int64_t passed;       /* records handled since the last one */
    int64_t epoch;        /* of the store's owner who took them */
    uint32_t accused_count, partition_count;
    struct ow_slot slots[OW_SUSPECT_SLOTS]; /* the first is the apply thread's */
    struct ow_accused accused[OW_SUSPECT_ACCUSED_MAX];
    struct ow_suspect_partition partitions[OW_SUSPECT_PARTITIONS_MAX];
};

enum ow_adopted {
    OW_ADOPTED,        /* they go on */
    OW_ADOPTED_NEW,    /* there were none */
    OW_ADOPTED_OTHER,  /* of another start of the machine, or another store: begun anew */
    OW_ADOPTED_DAMAGED /* begun anew */
};
/* Whatever the memory held: afterwards they are notes of this store and this start of the machine.
 */
enum ow_adopted ow_suspects_adopt(struct ow_suspects *suspects, const char *boot,
                                  const char *store_id);

/* How the process before ended. */
struct ow_death {
    enum ow_stage stage; /* IDLE: without a record in work */
    bool alone;          /* one record was in work: place, parked_id */
    struct ow_place place;
    int64_t parked_id;
    uint32_t deaths; /* of that record alone, or of many in a row */
};
/* Draws the conclusions from the notes and begins new ones. positions: of the store, as it is;
 * epoch: of its owner who starts. What began under the name of a topic since the notes were taken
 * is another one (DESIGN 9), and they say nothing of it. */
void ow_suspects_start(struct ow_suspects *suspects, const struct ow_position *positions,
                       int64_t epoch, struct ow_death *ret_death);
/* Whether so many were convicted that it cannot be the records: then nothing is to be begun. */
bool ow_suspects_are_too_many(const struct ow_suspects *suspects);
/* So many records were handled, and are durable. Takes NULL. */
void ow_suspects_pass(struct ow_suspects *suspects, int64_t records);
/* What is in work has nothing to do with the end of the process that comes now. Takes NULL. */
void ow_suspects_rest(struct ow_suspects *suspects);
/* A clean stop: nobody is suspected of anything. */
void ow_suspects_clear(struct ow_suspects *suspects);

/* The notes of a partition, made where there are none; NULL where there is no room. */
struct ow_suspect_partition *ow_suspects_partition(struct ow_suspects *suspects,
                                                   struct ow_slice topic, int32_t partition);

/* How a record is to be handled. */
enum ow_care {
    OW_CARE_NONE,
    OW_CARE_CAREFUL, /* while nothing else is in work */
    OW_CARE_ALONE    /* likewise, and in a transaction of its own: it is accused */
};
enum ow_care ow_suspects_care(const struct ow_suspects *suspects,
                              const struct ow_suspect_partition *partition, int64_t offset);

enum ow_treatment {
    OW_TREATMENT_TRY,    /* as always */
    OW_TREATMENT_POISON, /* not applied, but quarantined with its claim */
    OW_TREATMENT_UNREAD  /* quarantined as bytes, not even read */
};
/* *ret_deaths: of the record alone. */
enum ow_treatment ow_suspects_treatment(const struct ow_suspects *suspects,
                                        const struct ow_record *record, uint32_t *ret_deaths);
/* Whether a record or what it wakes is accused, so that its parked ones are tried one by one. */
bool ow_suspects_is_accused(const struct ow_suspects *suspects, const struct ow_record *record);
/* Whether one more death of it, or of what it wakes, would convict. */
bool ow_suspects_needs_control(const struct ow_suspects *suspects, const struct ow_record *record);
/* Deaths of a parked record that this one wakes. */
uint32_t ow_suspects_parked_deaths(const struct ow_suspects *suspects,
                                   const struct ow_record *record, int64_t parked_id);

/* A slot's note, before the work; first: of `records` records. NULL: nobody takes notes. */
void ow_slot_work(struct ow_slot *slot, enum ow_stage stage, const struct ow_record *first,
                  size_t records, int64_t parked_id);
static inline void ow_slot_rest(struct ow_slot *slot)
{
    if (slot != NULL) {
        atomic_store_explicit(&slot->stage, OW_STAGE_IDLE, memory_order_release);
    }
}

#endif
