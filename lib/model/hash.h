/*
 * hash: BLAKE2b as DESIGN 5 uses it: keyed 16 and 8 bytes (claims, fingerprints), unkeyed 32
 * (state, digests).
 *
 * Threads: a hasher belongs to one thread. Memory: caller storage. Failure: none.
 * Each part is its length as u32 little-endian, then its bytes; an absent part is the length
 * 0xFFFFFFFF alone.
 */
#ifndef OW_MODEL_HASH_H
#define OW_MODEL_HASH_H

#include "base/limits.h"
#include "base/slice.h"

struct ow_hash {
    _Alignas(64) uint8_t opaque[384];
};

struct ow_hash_key {
    uint8_t bytes[OW_HASH_KEY_BYTES];
};

/* key: NULL for unkeyed; digest_bytes: 1 to 64. */
void ow_hash_begin(struct ow_hash *hash, const struct ow_hash_key *key, size_t digest_bytes);
void ow_hash_part(struct ow_hash *hash, struct ow_slice part);
/* digest: as many bytes as ow_hash_begin was told. */
void ow_hash_end(struct ow_hash *hash, uint8_t *digest, size_t digest_bytes);

/* Unkeyed BLAKE2b-256 over the bytes alone, without a length: the digest of a machine's text. */
enum { OW_DIGEST_BYTES = 32 };
void ow_hash_digest(struct ow_slice bytes, uint8_t digest[OW_DIGEST_BYTES]);
/* text: 2 * len + 1 bytes, lower case. */
void ow_hash_hex(const uint8_t *bytes, size_t len, char *text);

/* The anchor of a position: the claim-key hash over offset (decimal), key and value of the last
 * handled record. */
void ow_hash_anchor(const struct ow_hash_key *key, int64_t offset, struct ow_slice record_key,
                    struct ow_slice value, uint8_t anchor[OW_CLAIM_KEY_BYTES]);

/*
 * 64 bits of a table row, to be added up over the rows of a table (store/seal.h). SipHash-2-4 under
 * a fixed key: it tells accidents and careless hands, and is no defence against who can compute it.
 */
uint64_t ow_hash_row(struct ow_slice bytes);

/* Random bytes for a new store's key and id. */
void ow_hash_random(uint8_t *bytes, size_t len);

/* "1.0.18": of the libsodium that is linked. */
const char *ow_hash_library_version(void);

#endif
