#include "model/hash.h"

#include "base/contract.h"

#include <sodium.h>

#include <stdio.h>

static_assert(sizeof(crypto_generichash_blake2b_state) <= sizeof(((struct ow_hash *)0)->opaque),
              "the state of libsodium's BLAKE2b fits");

static crypto_generichash_blake2b_state *state_of(struct ow_hash *hash)
{
    return (crypto_generichash_blake2b_state *)(void *)hash->opaque;
}

void ow_hash_begin(struct ow_hash *hash, const struct ow_hash_key *key, size_t digest_bytes)
{
    /*
     * libsodium documents digests of 16 bytes and more; its BLAKE2b takes 1 to 64, as RFC 7693
     * does. The unit test hash__eight_byte_digest__is_blake2b_of_rfc_7693 holds that against
     * vectors made by another implementation.
     */
    OW_REQUIRE(digest_bytes >= 1 && digest_bytes <= 64);
    const int failed =
        crypto_generichash_blake2b_init(state_of(hash), key == NULL ? NULL : key->bytes,
                                        key == NULL ? 0 : sizeof(key->bytes), digest_bytes);
    OW_ENSURE(failed == 0);
}

void ow_hash_part(struct ow_hash *hash, struct ow_slice part)
{
    OW_REQUIRE(part.len < UINT32_MAX);
    const uint32_t len = ow_slice_is_absent(part) ? UINT32_MAX : (uint32_t)part.len;
    const uint8_t prefix[4] = {(uint8_t)len, (uint8_t)(len >> 8), (uint8_t)(len >> 16),
                               (uint8_t)(len >> 24)};
    (void)crypto_generichash_blake2b_update(state_of(hash), prefix, sizeof(prefix));
    if (part.len > 0) {
        (void)crypto_generichash_blake2b_update(state_of(hash), part.ptr, part.len);
    }
}

void ow_hash_end(struct ow_hash *hash, uint8_t *digest, size_t digest_bytes)
{
    const int failed = crypto_generichash_blake2b_final(state_of(hash), digest, digest_bytes);
    OW_ENSURE(failed == 0);
}

void ow_hash_digest(struct ow_slice bytes, uint8_t digest[OW_DIGEST_BYTES])
{
    const int failed =
        crypto_generichash_blake2b(digest, OW_DIGEST_BYTES, bytes.ptr, bytes.len, NULL, 0);
    OW_ENSURE(failed == 0);
}

void ow_hash_hex(const uint8_t *bytes, size_t len, char *text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    text[2 * len] = '\0';
}

void ow_hash_anchor(const struct ow_hash_key *key, int64_t offset, struct ow_slice record_key,
                    struct ow_slice value, uint8_t anchor[OW_CLAIM_KEY_BYTES])
{
    char offset_text[24];
    (void)snprintf(offset_text, sizeof(offset_text), "%lld", (long long)offset);
    struct ow_hash hash;
    ow_hash_begin(&hash, key, OW_CLAIM_KEY_BYTES);
    ow_hash_part(&hash, ow_slice_of(offset_text));
    ow_hash_part(&hash, record_key);
    ow_hash_part(&hash, value);
    ow_hash_end(&hash, anchor, OW_CLAIM_KEY_BYTES);
}

uint64_t ow_hash_row(struct ow_slice bytes)
{
    static const uint8_t key[crypto_shorthash_KEYBYTES] = "onceward seal 1";
    uint8_t digest[crypto_shorthash_BYTES];
    const int failed = crypto_shorthash(digest, bytes.ptr, bytes.len, key);
    OW_ENSURE(failed == 0);
    uint64_t value = 0;
    for (size_t i = sizeof(digest); i > 0; i--) {
        value = (value << 8) | digest[i - 1];
    }
    return value;
}

void ow_hash_random(uint8_t *bytes, size_t len)
{
    randombytes_buf(bytes, len);
}

const char *ow_hash_library_version(void)
{
    return sodium_version_string();
}
