/*
 * limits: every bound of the program with its reason. Some are defaults of options (model/option
 * tables say which).
 */
#ifndef OW_BASE_LIMITS_H
#define OW_BASE_LIMITS_H

#include <assert.h>
#include <stdint.h>

/* JSON numbers are doubles elsewhere: beyond 2^53 other readers see other integers. */
#define OW_INTEGER_MAX (INT64_C(1) << 53)

/* DESIGN 3: a larger record is quarantined as oversize. */
#define OW_RECORD_BYTES_DEFAULT (INT64_C(1) << 20)

/* A batch: enough rows that an fsync is shared by many, few enough that a revoke or a stop is not
 * held up. */
#define OW_BATCH_ROWS_DEFAULT  4096
#define OW_BATCH_BYTES_DEFAULT (INT64_C(8) << 20)
#define OW_BATCH_MS_DEFAULT    250

/* Records between the poll thread and the store: some batches' worth, whatever their sizes are. */
#define OW_RING_BYTES_MAX (INT64_C(64) << 20)

/* SQLite writes the write-ahead log back at 64 MiB, and begins it anew once nobody reads an old
 * state. Somebody who does makes it grow: up to here that is borne (a query of a minute in full
 * work), and recovery after a kill reads no more than that. */
#define OW_WAL_BYTES_DEFAULT (INT64_C(1) << 30)
/* What it comes to while nobody does: 64 MiB, and what one batch adds to them. */
#define OW_WAL_BYTES_USUAL (INT64_C(96) << 20)

/* A bucket is sealed at so many claims, or, in a large store, at a share of all: small ones are
 * written faster, few ones are told apart with fewer bits (ARCHITECTURE 43). */
#define OW_BUCKET_CLAIMS 100000
#define OW_BUCKETS_AIM   1000
/* What of a filter is built in one go: some 20 ms. */
#define OW_PIECE_CLAIMS (1 << 17)

#define OW_PARK_PER_ENTITY_DEFAULT    32
#define OW_PARK_DEADLINE_MS_DEFAULT   (INT64_C(72) * 3600 * 1000)
#define OW_CLAIM_RETENTION_MS_DEFAULT (INT64_C(45) * 24 * 3600 * 1000)
#define OW_CLAIM_SKEW_MS_DEFAULT      (INT64_C(24) * 3600 * 1000)

/* A machine: cells and pointer sets are 64-bit masks. */
#define OW_MACHINE_STATES_MAX    63
#define OW_MACHINE_EVENTS_MAX    256
#define OW_EVENT_POINTERS_MAX    64
#define OW_EVENT_TRANSITIONS_MAX 64
#define OW_TABLE_COLUMNS_MAX     64
#define OW_MACHINES_MAX          32

/* Fingerprint rules are numbered in one byte, 0 means unknown. */
#define OW_FINGERPRINT_RULES_MAX 255

#define OW_CLAIM_KEY_BYTES   16
#define OW_FINGERPRINT_BYTES 9
#define OW_HASH_KEY_BYTES    32

static_assert(OW_MACHINE_STATES_MAX < 64, "states and 'none' fit a mask");
static_assert(OW_EVENT_POINTERS_MAX <= 64, "pointers fit a mask");

#endif
