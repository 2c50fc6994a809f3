#include "base/fuse.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Cells are loaded and stored as they lie in memory, and they are written to files. */
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fuse: little-endian machines only");

enum {
    WAYS = 4,
    SEGMENT_BITS_MIN = 2,
    SEGMENT_BITS_MAX = 14, /* what 2^23 keys ask for */
    CELLS_MAX = 1 << 24,   /* 2^23 keys ask for less */
    BLOCK = 32,            /* hashes whose cells are asked for at once */
    /* A seed fits with a chance of 0.69 at 41 keys, where it is least, and of 0.95 or more from
     * 2000 keys on (measured): that 64 fail says that none will do. */
    SEEDS_MAX = 64,
};

#define WORD_MASK ((UINT32_C(1) << OW_FUSE_BITS) - 1)

struct shape {
    uint32_t segment_cells;
    uint32_t segment_count;
};

/* While it is built, a cell is the xor of the keys that have it: of the last one, the key itself.
 */
struct ow_fuse_cell {
    uint64_t hash;
    uint32_t value;
    uint32_t keys;
};

/* Where a hash looks. */
struct spot {
    uint32_t at[WAYS];
    uint32_t mask; /* xored to the word, so that a word of empty cells is no special one */
};

/*
 * The paper's figures for 4 ways: a segment has 2^floor(ln n / ln 2.91 - 1/2) cells, and there are
 * max(1.075, 0.77 + 0.305 ln 600000 / ln n) cells a key. The logarithm of the latter is a straight
 * line between powers of two, which errs towards more cells, by under 0.2 % from 50,000 keys on.
 */
static struct shape shape_of(size_t keys)
{
    OW_REQUIRE(keys <= OW_FUSE_KEYS_MAX);
    const double n = keys < 2 ? 2 : (double)keys;
    uint32_t segment_bits = SEGMENT_BITS_MIN;
    double next = 42; /* 2.91^3.5 */
    while (segment_bits < SEGMENT_BITS_MAX && n >= next) {
        segment_bits++;
        next *= 2.91;
    }
    double log2_n = 0;
    double power = 1;
    while (2 * power <= n) {
        power *= 2;
        log2_n += 1;
    }
    log2_n += n / power - 1;
    const double log2_600000 = 19.1946;
    const double by_size = 0.77 + 0.305 * log2_600000 / log2_n;
    const double cells = n * (by_size > 1.075 ? by_size : 1.075);
    const uint32_t segment_cells = UINT32_C(1) << segment_bits;
    const uint32_t segments = (uint32_t)(cells / segment_cells) + 1;
    return (struct shape){segment_cells, segments < WAYS ? 1 : segments - (WAYS - 1)};
}

static size_t cell_count(struct shape shape)
{
    return ((size_t)shape.segment_count + (WAYS - 1)) * shape.segment_cells;
}

/* A cell starts within a byte and is loaded with the three bytes that follow it. */
static size_t bytes_of(size_t cells)
{
    return (cells * OW_FUSE_BITS / 8 + sizeof(uint32_t) + 7) / 8 * 8;
}

size_t ow_fuse_bytes(size_t keys)
{
    return bytes_of(cell_count(shape_of(keys)));
}

bool ow_fuse_is_sound(const struct ow_fuse *fuse)
{
    const uint32_t cells = fuse->segment_cells;
    if (fuse->cells == NULL || fuse->keys > OW_FUSE_KEYS_MAX ||
        cells < (UINT32_C(1) << SEGMENT_BITS_MIN) || cells > (UINT32_C(1) << SEGMENT_BITS_MAX) ||
        (cells & (cells - 1)) != 0) {
        return false;
    }
    const struct shape shape = {cells, fuse->segment_count};
    return shape.segment_count >= 1 && shape.segment_count <= CELLS_MAX / cells &&
           fuse->bytes == bytes_of(cell_count(shape));
}

/* A bijection in which each bit depends on all, so that equal hashes stay equal and no others
 * become so. The finish of splitmix64 (Steele, Lea, Flood 2014; constants of Stafford's mix 13). */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* The upper half of the mixed hash chooses the first cell, the lower bits one in each segment after
 * it. These share some bits; the top of a product depends on all, so the mask is made of that. */
static inline struct spot spot_of(struct shape shape, uint64_t mixed)
{
    const uint64_t span = (uint64_t)shape.segment_count * shape.segment_cells;
    const uint64_t low = shape.segment_cells - 1;
    const uint64_t bits = (uint64_t)__builtin_ctz(shape.segment_cells);
    const uint64_t first = ((mixed >> 32) * span) >> 32;
    return (struct spot){
        .at =
            {
                 (uint32_t)first,
                 (uint32_t)((first + shape.segment_cells) ^ (mixed & low)),
                 (uint32_t)((first + 2 * (uint64_t)shape.segment_cells) ^ ((mixed >> bits) & low)),
                 (uint32_t)((first + 3 * (uint64_t)shape.segment_cells) ^
                           ((mixed >> (2 * bits)) & low)),
                 },
        .mask = (uint32_t)((mixed * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - OW_FUSE_BITS)),
    };
}

static inline const uint8_t *address(const uint8_t *cells, uint32_t at)
{
    return cells + (size_t)at * OW_FUSE_BITS / 8;
}

static inline uint32_t load(const uint8_t *cells, uint32_t at)
{
    uint32_t bytes;
    memcpy(&bytes, address(cells, at), sizeof(bytes));
    return bytes >> (at * OW_FUSE_BITS % 8);
}

static inline uint32_t word_at(const uint8_t *cells, const struct spot *spot)
{
    return (load(cells, spot->at[0]) ^ load(cells, spot->at[1]) ^ load(cells, spot->at[2]) ^
            load(cells, spot->at[3]) ^ spot->mask) &
           WORD_MASK;
}

uint32_t ow_fuse_get(const struct ow_fuse *fuse, uint64_t hash)
{
    const struct shape shape = {fuse->segment_cells, fuse->segment_count};
    const struct spot spot = spot_of(shape, mix(hash + fuse->seed));
    return word_at(fuse->cells, &spot);
}

void ow_fuse_get_many(const struct ow_fuse *fuse, const uint64_t *hashes, size_t count,
                      uint16_t *ret_values)
{
    const struct shape shape = {fuse->segment_cells, fuse->segment_count};
    const uint8_t *const cells = fuse->cells;
    struct spot spots[BLOCK];
    for (size_t from = 0; from < count; from += BLOCK) {
        const size_t block = count - from < BLOCK ? count - from : BLOCK;
        for (size_t i = 0; i < block; i++) {
            spots[i] = spot_of(shape, mix(hashes[from + i] + fuse->seed));
            for (size_t way = 0; way < WAYS; way++) {
                __builtin_prefetch(address(cells, spots[i].at[way]));
            }
        }
        for (size_t i = 0; i < block; i++) {
            ret_values[from + i] = (uint16_t)word_at(cells, &spots[i]);
        }
    }
}

void ow_fuse_builder_done(struct ow_fuse_builder *builder)
{
    free(builder->scratch);
    *builder = (struct ow_fuse_builder){0};
}

/* One block: the cells, and behind them a queue of cell numbers, with one more that peel writes
 * before it knows whether it counts. */
static uint32_t *reserve(struct ow_fuse_builder *builder, size_t cells)
{
    if (builder->cell_capacity < cells) {
        ow_fuse_builder_done(builder);
        builder->scratch =
            malloc(cells * sizeof(struct ow_fuse_cell) + (cells + 1) * sizeof(uint32_t));
        if (builder->scratch == NULL) {
            OW_IMPOSSIBLE("out of memory");
        }
        builder->cell_capacity = cells;
    }
    memset(builder->scratch, 0, cells * sizeof(struct ow_fuse_cell));
    return (uint32_t *)(void *)(builder->scratch + builder->cell_capacity);
}

static void fill(struct ow_fuse_cell *scratch, struct shape shape, const struct ow_fuse_set *set,
                 uint64_t seed)
{
    for (size_t i = 0; i < set->count; i++) {
        const uint64_t mixed = mix(set->hashes[i] + seed);
        const struct spot spot = spot_of(shape, mixed);
        for (size_t way = 0; way < WAYS; way++) {
            struct ow_fuse_cell *cell = &scratch[spot.at[way]];
            cell->hash ^= mixed;
            cell->value ^= set->values[i];
            cell->keys++;
        }
    }
}

/*
 * Takes out, one by one, a key that is alone in a cell; such a cell keeps it, and no key that is
 * taken later has that cell. queue: in front the cells in the order in which they gave a key,
 * behind them those that are to be looked at. How many gave one: all keys, or the seed does not
 * fit.
 */
static size_t peel(struct ow_fuse_cell *scratch, struct shape shape, uint32_t *queue)
{
    const size_t cells = cell_count(shape);
    size_t waiting = 0;
    for (uint32_t at = 0; at < cells; at++) {
        queue[waiting] = at;
        waiting += scratch[at].keys == 1;
    }
    size_t peeled = 0;
    for (size_t next = 0; next < waiting; next++) {
        const uint32_t own = queue[next];
        const struct ow_fuse_cell key = scratch[own];
        if (key.keys == 0) {
            continue; /* its key went through another cell */
        }
        queue[peeled++] = own;
        const struct spot spot = spot_of(shape, key.hash);
        for (size_t way = 0; way < WAYS; way++) {
            struct ow_fuse_cell *cell = &scratch[spot.at[way]];
            cell->keys--;
            if (spot.at[way] != own) {
                cell->hash ^= key.hash;
                cell->value ^= key.value;
                queue[waiting] = spot.at[way];
                waiting += cell->keys == 1;
            }
        }
    }
    return peeled;
}

/* In the reverse order each key finds its own cell free and its others final. */
static void assign(struct ow_fuse_cell *scratch, struct shape shape, const uint32_t *queue,
                   size_t peeled)
{
    for (size_t i = peeled; i-- > 0;) {
        const struct spot spot = spot_of(shape, scratch[queue[i]].hash);
        uint32_t value = spot.mask ^ scratch[queue[i]].value;
        for (size_t way = 0; way < WAYS; way++) {
            value ^= spot.at[way] == queue[i] ? 0 : scratch[spot.at[way]].value;
        }
        scratch[queue[i]].value = value;
    }
}

static void pack(const struct ow_fuse_cell *scratch, size_t count, uint8_t *cells, size_t bytes)
{
    uint64_t pending = 0;
    unsigned pending_bits = 0;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        pending |= (uint64_t)(scratch[i].value & WORD_MASK) << pending_bits;
        for (pending_bits += OW_FUSE_BITS; pending_bits >= 8; pending_bits -= 8) {
            cells[at++] = (uint8_t)pending;
            pending >>= 8;
        }
    }
    OW_ENSURE(pending_bits == 0 && at <= bytes); /* segments have a multiple of four cells */
    memset(cells + at, 0, bytes - at);
}

bool ow_fuse_build(struct ow_fuse_builder *builder, const struct ow_fuse_set *set, uint64_t seed,
                   uint8_t *cells, struct ow_fuse *ret_fuse)
{
    const struct shape shape = shape_of(set->count);
    const size_t count = cell_count(shape);
    for (size_t i = 0; i < set->count; i++) {
        OW_REQUIRE(set->values[i] <= WORD_MASK);
    }
    for (uint64_t attempt = 0; attempt < SEEDS_MAX; attempt++) {
        const uint64_t tried = mix(seed + attempt);
        uint32_t *queue = reserve(builder, count);
        fill(builder->scratch, shape, set, tried);
        const size_t peeled = peel(builder->scratch, shape, queue);
        if (peeled < set->count) {
            continue;
        }
        assign(builder->scratch, shape, queue, peeled);
        const size_t bytes = bytes_of(count);
        pack(builder->scratch, count, cells, bytes);
        *ret_fuse = (struct ow_fuse){.seed = tried,
                                     .keys = (uint32_t)set->count,
                                     .segment_cells = shape.segment_cells,
                                     .segment_count = shape.segment_count,
                                     .cells = cells,
                                     .bytes = bytes};
        return true;
    }
    return false;
}
