#include "base/fuse.h"
#include "groups.h"

#include <stdlib.h>
#include <string.h>

#define WORDS (UINT32_C(1) << OW_FUSE_BITS)

/* Distinct for distinct numbers (a bijection), and random enough. */
static uint64_t hash_of(uint64_t number)
{
    number = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    number = (number ^ (number >> 32)) * UINT64_C(0xd6e8feb86659fd93);
    return number ^ (number >> 32);
}

struct built {
    uint64_t *hashes;
    uint16_t *values;
    size_t count;
    uint8_t *cells;
    struct ow_fuse fuse;
};

static struct built keys_of(size_t count, uint64_t first)
{
    struct built built = {.count = count};
    built.hashes = malloc((count + 1) * sizeof(uint64_t));
    built.values = malloc((count + 1) * sizeof(uint16_t));
    built.cells = malloc(ow_fuse_bytes(count)); /* exactly: ASan sees a byte too many */
    assert_true(built.hashes != NULL && built.values != NULL && built.cells != NULL);
    for (size_t i = 0; i < count; i++) {
        built.hashes[i] = hash_of(first + i);
        built.values[i] = (uint16_t)(hash_of(~(first + i)) % WORDS);
    }
    return built;
}

static bool build(struct ow_fuse_builder *builder, struct built *built, uint64_t seed)
{
    const struct ow_fuse_set set = {built->hashes, built->values, built->count};
    return ow_fuse_build(builder, &set, seed, built->cells, &built->fuse);
}

static void built_done(struct built *built)
{
    free(built->hashes);
    free(built->values);
    free(built->cells);
}

static void assert_holds(const struct built *built)
{
    assert_true(ow_fuse_is_sound(&built->fuse));
    assert_int_equal(built->fuse.keys, built->count);
    assert_int_equal(built->fuse.bytes, ow_fuse_bytes(built->count));
    size_t wrong = 0;
    for (size_t i = 0; i < built->count; i++) {
        wrong += ow_fuse_get(&built->fuse, built->hashes[i]) != built->values[i];
    }
    assert_int_equal(wrong, 0);
}

static void fuse__every_size__gives_each_key_its_value(void **state)
{
    (void)state;
    OW_FUSE_BUILDER builder = {0};
    const size_t fixed[] = {1000000, 100000, 1000, 100, 10, 3, 2, 1, 0};
    for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++) {
        struct built built = keys_of(fixed[i], i << 32);
        assert_true(build(&builder, &built, i));
        assert_holds(&built);
        built_done(&built);
    }
    for (uint64_t i = 0; i < 400; i++) { /* more small ones than large ones */
        struct built built = keys_of(hash_of(i) % (i < 300 ? 300 : 30000), i << 32);
        assert_true(build(&builder, &built, i));
        assert_holds(&built);
        built_done(&built);
    }
}

static void fuse_bytes__from_100000_keys_on__are_below_two_a_key(void **state)
{
    (void)state;
    for (size_t keys = 100000; keys <= OW_FUSE_KEYS_MAX; keys += keys / 50) {
        assert_true(ow_fuse_bytes(keys) < 2 * keys);
        assert_true(ow_fuse_bytes(keys) * 8 > 15 * keys); /* 14 * 1.075 */
    }
    assert_true(ow_fuse_bytes(500000) * 100 < 190 * (size_t)500000);
    assert_true(ow_fuse_bytes(OW_FUSE_KEYS_MAX) * 100 < 190 * (size_t)OW_FUSE_KEYS_MAX);
}

/* Of 2^20 foreign hashes each 10-bit fingerprint is met 1024 times, with a deviation of 32; the sum
 * of the squares over 1024 classes has mean 1023 and deviation 45. Four bits more, the same. */
static void fuse_get__foreign_hashes__have_uniform_words(void **state)
{
    (void)state;
    OW_FUSE_BUILDER builder = {0};
    const size_t sizes[] = {0, 1, 50, 20000, 300000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        struct built built = keys_of(sizes[i], 0);
        assert_true(build(&builder, &built, 7));
        uint32_t by_top[1024] = {0};
        uint32_t by_low[16] = {0};
        for (uint64_t foreign = 0; foreign < (1U << 20); foreign++) {
            const uint32_t word = ow_fuse_get(&built.fuse, hash_of(sizes[i] + foreign));
            assert_true(word < WORDS);
            by_top[word >> 4]++;
            by_low[word & 15]++;
        }
        double top = 0;
        double low = 0;
        for (size_t j = 0; j < 1024; j++) {
            assert_in_range(by_top[j], 1024 - 6 * 32, 1024 + 6 * 32);
            const double off = (double)by_top[j] - 1024;
            top += off * off / 1024;
        }
        for (size_t j = 0; j < 16; j++) {
            const double off = (double)by_low[j] - 65536;
            low += off * off / 65536;
        }
        assert_true(top > 1023 - 6 * 45 && top < 1023 + 6 * 45);
        assert_true(low < 60);
        built_done(&built);
    }
}

static void fuse_build__two_equal_hashes__is_refused(void **state)
{
    (void)state;
    OW_FUSE_BUILDER builder = {0};
    const size_t sizes[] = {2, 3, 1000, 50000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        struct built built = keys_of(sizes[i], 0);
        built.hashes[sizes[i] - 1] = built.hashes[0];
        memset(built.cells, 0x5a, ow_fuse_bytes(sizes[i]));
        assert_false(build(&builder, &built, 0));
        assert_int_equal(built.cells[0], 0x5a);
        built.hashes[sizes[i] - 1] = hash_of(sizes[i] - 1);
        assert_true(build(&builder, &built, 0));
        assert_holds(&built);
        built_done(&built);
    }
}

static void fuse_build__hashes_alike_in_many_bits__is_no_worse(void **state)
{
    (void)state;
    OW_FUSE_BUILDER builder = {0};
    for (uint64_t kind = 0; kind < 3; kind++) {
        struct built built = keys_of(100000, 0);
        for (size_t i = 0; i < built.count; i++) {
            const uint64_t hash = built.hashes[i];
            built.hashes[i] = kind == 0   ? (UINT64_C(0xabcde) << 44) | (hash >> 20)
                              : kind == 1 ? i
                                          : (uint64_t)i << 44;
        }
        assert_true(build(&builder, &built, 0));
        assert_holds(&built);
        built_done(&built);
    }
}

static void fuse_build__same_set_in_another_order__gives_the_same_bytes(void **state)
{
    (void)state;
    OW_FUSE_BUILDER builder = {0};
    struct built one = keys_of(5000, 0);
    struct built other = keys_of(5000, 0);
    for (size_t i = 0; i < one.count; i++) {
        other.hashes[i] = one.hashes[one.count - 1 - i];
        other.values[i] = one.values[one.count - 1 - i];
    }
    assert_true(build(&builder, &one, 9) && build(&builder, &other, 9));
    assert_int_equal(one.fuse.seed, other.fuse.seed);
    assert_memory_equal(one.cells, other.cells, one.fuse.bytes);
    assert_true(build(&builder, &other, 10));
    assert_true(memcmp(one.cells, other.cells, one.fuse.bytes) != 0);
    built_done(&one);
    built_done(&other);
}

static void fuse_get_many__any_count__equals_get(void **state)
{
    (void)state;
    OW_FUSE_BUILDER builder = {0};
    struct built built = keys_of(3000, 0);
    assert_true(build(&builder, &built, 3));
    for (size_t count = 0; count <= 130; count++) {
        uint64_t hashes[130];
        uint16_t values[131];
        for (size_t i = 0; i < count; i++) {
            hashes[i] = hash_of(2900 + i); /* own and foreign ones */
        }
        values[count] = 0xffff;
        ow_fuse_get_many(&built.fuse, hashes, count, values);
        for (size_t i = 0; i < count; i++) {
            assert_int_equal(values[i], ow_fuse_get(&built.fuse, hashes[i]));
        }
        assert_int_equal(values[count], 0xffff);
    }
    built_done(&built);
}

static uint32_t random_number(uint64_t *state)
{
    const uint64_t drawn = hash_of((*state)++);
    const uint32_t bits = (uint32_t)(drawn >> 32) % 33; /* small ones as often as large ones */
    return bits == 0 ? 0 : (uint32_t)drawn >> (32 - bits);
}

/* Looks up under ASan, in a block of just so many bytes. */
static void look_up_all_over(struct ow_fuse fuse, uint64_t *random)
{
    uint8_t *cells = malloc(fuse.bytes);
    assert_non_null(cells);
    memset(cells, 0xa5, fuse.bytes);
    fuse.cells = cells;
    for (size_t i = 0; i < 2000; i++) {
        assert_true(ow_fuse_get(&fuse, hash_of((*random)++)) < WORDS);
    }
    free(cells);
}

static void fuse_is_sound__any_numbers__no_look_up_leaves_the_cells(void **state)
{
    (void)state;
    static const uint8_t somewhere[1];
    uint64_t random = 0;
    size_t sound = 0;
    for (size_t i = 0; i < 100000; i++) {
        struct ow_fuse fuse = {.seed = hash_of(random), .cells = somewhere};
        fuse.keys = random_number(&random);
        fuse.segment_count = random_number(&random);
        const uint32_t cells = random_number(&random);
        fuse.segment_cells = i % 2 == 0 ? cells : UINT32_C(1) << cells % 32;
        const uint64_t all = ((uint64_t)fuse.segment_count + 3) * fuse.segment_cells;
        fuse.bytes = (size_t)(all * OW_FUSE_BITS / 8 + (i / 2) % 16);
        if (ow_fuse_is_sound(&fuse)) {
            sound++;
            look_up_all_over(fuse, &random);
        }
    }
    assert_true(sound > 100);
}

static void fuse_is_sound__one_number_off__is_not(void **state)
{
    (void)state;
    OW_FUSE_BUILDER builder = {0};
    struct built built = keys_of(1000, 0);
    assert_true(build(&builder, &built, 3));
    struct ow_fuse bad = built.fuse;
    bad.cells = NULL;
    assert_false(ow_fuse_is_sound(&bad));
    bad = built.fuse;
    bad.bytes -= 8;
    assert_false(ow_fuse_is_sound(&bad));
    bad = built.fuse;
    bad.segment_cells *= 2;
    assert_false(ow_fuse_is_sound(&bad));
    bad = built.fuse;
    bad.segment_count = 0;
    assert_false(ow_fuse_is_sound(&bad));
    bad = built.fuse;
    bad.segment_count += 1;
    assert_false(ow_fuse_is_sound(&bad));
    bad = built.fuse;
    bad.keys = UINT32_MAX;
    assert_false(ow_fuse_is_sound(&bad));
    built_done(&built);
}

int ow_test_fuse(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(fuse__every_size__gives_each_key_its_value),
        cmocka_unit_test(fuse_bytes__from_100000_keys_on__are_below_two_a_key),
        cmocka_unit_test(fuse_get__foreign_hashes__have_uniform_words),
        cmocka_unit_test(fuse_build__two_equal_hashes__is_refused),
        cmocka_unit_test(fuse_build__hashes_alike_in_many_bits__is_no_worse),
        cmocka_unit_test(fuse_build__same_set_in_another_order__gives_the_same_bytes),
        cmocka_unit_test(fuse_get_many__any_count__equals_get),
        cmocka_unit_test(fuse_is_sound__any_numbers__no_look_up_leaves_the_cells),
        cmocka_unit_test(fuse_is_sound__one_number_off__is_not),
    };
    return cmocka_run_group_tests_name("fuse", tests, NULL, NULL);
}
