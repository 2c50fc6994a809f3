/* Vectors made by another implementation: Python's hashlib.blake2b with the key 00 01 02 … 1f, over
 * each part as u32 little-endian length and bytes. */
#include "groups.h"
#include "model/hash.h"

static struct ow_hash_key test_key(void)
{
    struct ow_hash_key key = {{0}};
    for (size_t i = 0; i < sizeof(key.bytes); i++) {
        key.bytes[i] = (uint8_t)i;
    }
    return key;
}

/* The keyed digest of some parts, in hexadecimal. */
static void assert_digest(const struct ow_slice *parts, size_t count, size_t digest_bytes,
                          const char *expected)
{
    const struct ow_hash_key key = test_key();
    struct ow_hash hash;
    uint8_t digest[64];
    char text[129];
    ow_hash_begin(&hash, &key, digest_bytes);
    for (size_t i = 0; i < count; i++) {
        ow_hash_part(&hash, parts[i]);
    }
    ow_hash_end(&hash, digest, digest_bytes);
    ow_hash_hex(digest, digest_bytes, text);
    assert_string_equal(text, expected);
}

static void hash__sixteen_byte_digest__is_blake2b_of_rfc_7693(void **state)
{
    (void)state;
    const struct ow_slice parts[] = {OW_SLICE("shop"), OW_SLICE("/shop/eu"), OW_SLICE("c1")};
    assert_digest(parts, 3, 16, "2b4f7339838715982ecccf85de7dff51");
    assert_digest(NULL, 0, 16, "3daf97bce7888fd59773c66bf647459c");
}

static void hash__eight_byte_digest__is_blake2b_of_rfc_7693(void **state)
{
    (void)state;
    const struct ow_slice parts[] = {OW_SLICE("shop"), OW_SLICE("/shop/eu"), OW_SLICE("c1")};
    assert_digest(parts, 3, 8, "fb436a43e6f50e9a");
}

static void hash_part__absent_and_empty__differ(void **state)
{
    (void)state;
    const struct ow_slice parts[] = {{0}, OW_SLICE(""), OW_SLICE("x")};
    assert_digest(parts, 3, 8, "41a8ddbaea884ff4");
}

static void hash__many_blocks__is_blake2b(void **state)
{
    (void)state;
    static uint8_t bytes[1000];
    memset(bytes, 'x', sizeof(bytes));
    static struct ow_slice parts[300];
    for (size_t i = 0; i < 300; i++) {
        parts[i] = (struct ow_slice){bytes, sizeof(bytes)};
    }
    assert_digest(parts, 300, 16, "6df9568b30ea0d623db2946f22f9f57a");
}

static void hash__unkeyed__is_blake2b_256(void **state)
{
    (void)state;
    struct ow_hash hash;
    uint8_t digest[OW_DIGEST_BYTES];
    char text[2 * OW_DIGEST_BYTES + 1];
    ow_hash_begin(&hash, NULL, sizeof(digest));
    ow_hash_part(&hash, OW_SLICE("a"));
    ow_hash_part(&hash, (struct ow_slice){0});
    ow_hash_end(&hash, digest, sizeof(digest));
    ow_hash_hex(digest, sizeof(digest), text);
    assert_string_equal(text, "47e5de7059b5ef075eea99cf9885679931760ebf12a7d06dcaad4ab6088178c3");
}

static void hash_digest__of_bytes_alone__is_blake2b_256(void **state)
{
    (void)state;
    uint8_t digest[OW_DIGEST_BYTES];
    char text[2 * OW_DIGEST_BYTES + 1];
    ow_hash_digest(OW_SLICE("abc"), digest);
    ow_hash_hex(digest, sizeof(digest), text);
    assert_string_equal(text, "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    ow_hash_digest(OW_SLICE(""), digest);
    ow_hash_hex(digest, sizeof(digest), text);
    assert_string_equal(text, "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
}

static void hash_anchor__offset_key_and_value__null_is_not_empty(void **state)
{
    (void)state;
    const struct ow_hash_key key = test_key();
    const struct ow_slice null = {0};
    uint8_t anchor[OW_CLAIM_KEY_BYTES];
    char text[2 * OW_CLAIM_KEY_BYTES + 1];
    ow_hash_anchor(&key, 42, OW_SLICE("key"), OW_SLICE("value"), anchor);
    ow_hash_hex(anchor, sizeof(anchor), text);
    assert_string_equal(text, "9f3cdaec8182fdc13fe8307b639d2353");
    ow_hash_anchor(&key, -1, null, null, anchor);
    ow_hash_hex(anchor, sizeof(anchor), text);
    assert_string_equal(text, "db614d1557aa3f7a421df174ab1885b9");
    ow_hash_anchor(&key, 0, OW_SLICE(""), OW_SLICE(""), anchor);
    ow_hash_hex(anchor, sizeof(anchor), text);
    assert_string_equal(text, "30f3b3ed3d4d6342335d52c4d10711d5");
}

static void hash_random__twice__differs(void **state)
{
    (void)state;
    struct ow_hash_key a;
    struct ow_hash_key b;
    ow_hash_random(a.bytes, sizeof(a.bytes));
    ow_hash_random(b.bytes, sizeof(b.bytes));
    assert_memory_not_equal(a.bytes, b.bytes, sizeof(a.bytes));
}

int ow_test_hash(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash__sixteen_byte_digest__is_blake2b_of_rfc_7693),
        cmocka_unit_test(hash__eight_byte_digest__is_blake2b_of_rfc_7693),
        cmocka_unit_test(hash_part__absent_and_empty__differ),
        cmocka_unit_test(hash__many_blocks__is_blake2b),
        cmocka_unit_test(hash__unkeyed__is_blake2b_256),
        cmocka_unit_test(hash_digest__of_bytes_alone__is_blake2b_256),
        cmocka_unit_test(hash_anchor__offset_key_and_value__null_is_not_empty),
        cmocka_unit_test(hash_random__twice__differs),
    };
    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
