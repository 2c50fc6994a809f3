/* The small parts that threads and layers meet at: chunks, the table of durable offsets, the memory
 * source. */
#include "engine/chunk.h"
#include "engine/durable.h"
#include "engine/source_memory.h"
#include "groups.h"

#include <stdlib.h>

static struct ow_chunk *new_chunk(size_t rows_max)
{
    struct ow_chunk *chunk = malloc(sizeof *chunk); /* too large for the stack */
    assert_non_null(chunk);
    ow_chunk_init(chunk, rows_max);
    ow_chunk_reset(chunk, 3);
    return chunk;
}

static void free_chunk(struct ow_chunk *chunk)
{
    ow_chunk_done(chunk);
    free(chunk);
}

static void chunk__is_full__by_rows_bytes_ends_or_an_assignment(void **state)
{
    (void)state;
    static uint8_t bytes[OW_CHUNK_BYTES];
    struct ow_record record = {
        .topic = OW_SLICE("t"), .value = {bytes, 1}
    };
    struct ow_chunk *chunk = new_chunk(2);
    ow_chunk_add(chunk, &record);
    assert_false(ow_chunk_is_full(chunk));
    ow_chunk_add(chunk, &record);
    assert_true(ow_chunk_is_full(chunk));
    free_chunk(chunk);

    chunk = new_chunk(OW_CHUNK_ROWS + 1);
    assert_int_equal(chunk->rows_max, OW_CHUNK_ROWS); /* there is no room for more */
    record.value.len = OW_CHUNK_BYTES - 1;
    ow_chunk_add(chunk, &record);
    assert_false(ow_chunk_is_full(chunk));
    record.value.len = 1;
    ow_chunk_add(chunk, &record);
    assert_true(ow_chunk_is_full(chunk));

    ow_chunk_reset(chunk, 4);
    for (size_t i = 0; i < OW_CHUNK_ENDS; i++) {
        assert_false(ow_chunk_is_full(chunk));
        assert_true(ow_chunk_add_end(chunk, &record));
    }
    assert_true(ow_chunk_is_full(chunk));
    assert_false(ow_chunk_add_end(chunk, &record)); /* it is told again with the next fetch */
    assert_int_equal(chunk->end_count, OW_CHUNK_ENDS);

    ow_chunk_reset(chunk, 5);
    assert_false(ow_chunk_is_full(chunk));
    chunk->assigned = OW_ARENA_NEW(&chunk->arena, struct ow_assigned);
    assert_true(ow_chunk_is_full(chunk)); /* an assignment is a batch of its own */
    free_chunk(chunk);
}

static void chunk__a_record__is_copied_with_its_headers(void **state)
{
    (void)state;
    char value[] = "value";
    char name[] = "name";
    const struct ow_header headers[] = {
        {ow_slice_of(name), {0}}
    };
    const struct ow_record record = {
        .topic = OW_SLICE("t"), .value = ow_slice_of(value), .headers = headers, .header_count = 1};
    struct ow_chunk *chunk = new_chunk(2);
    ow_chunk_add(chunk, &record);
    value[0] = name[0] = 'X'; /* what was handed over is the source's again */
    assert_true(ow_slice_equals_text(chunk->records[0].value, "value"));
    assert_true(ow_slice_equals_text(chunk->records[0].headers[0].name, "name"));
    assert_true(ow_slice_is_absent(chunk->records[0].headers[0].value));
    assert_int_equal(chunk->records[0].generation, 3);
    assert_int_equal(chunk->bytes, 9);
    free_chunk(chunk);
}

static void count_one(const struct ow_durable *durable, void *context)
{
    assert_non_null(durable->topic);
    *(int *)context += 1;
}

static void durables__what_is_not_there__is_not_told_and_not_noted(void **state)
{
    (void)state;
    struct ow_durables durables;
    struct ow_partitions partitions;
    struct ow_durable durable = {.next_offset = 77};
    int visited = 0;
    ow_durables_init(&durables);
    ow_partitions_init(&partitions);
    ow_durables_visit(&durables, count_one, &visited);
    assert_int_equal(visited, 0);
    (void)ow_partitions_add(&partitions, OW_SLICE("a"), 0, 5);
    struct ow_partition *b = ow_partitions_add(&partitions, OW_SLICE("a"), 1, 6);
    ow_durables_exchange(&durables, &partitions, 2);
    ow_durables_visit(&durables, count_one, &visited);
    assert_int_equal(visited, 2);
    assert_false(ow_durables_get(&durables, "b", 0, &durable));
    assert_false(ow_durables_get(&durables, "a", 2, &durable));
    assert_int_equal(durable.next_offset, 77);
    assert_true(ow_durables_get(&durables, "a", 1, &durable));
    assert_int_equal(durable.next_offset, 6);
    assert_int_equal(durable.generation, 2);
    ow_durables_committed(&durables, "b", 0); /* a partition that is not ours any more */
    ow_durables_committed(&durables, "a", 1);
    ow_durables_exchange(&durables, &partitions, 3);
    assert_true(b->has_committed);
    assert_false(partitions.list->next->has_committed);
    ow_durables_exchange(&durables, &partitions, 3);
    assert_true(b->has_committed); /* until the store has it */
    ow_partitions_done(&partitions);
    ow_durables_done(&durables);
}

static void memory_source__offset_for_time__is_the_first_as_late(void **state)
{
    (void)state;
    struct ow_memory_broker *broker = ow_memory_broker_open();
    ow_memory_broker_topic(broker, "t", 1);
    for (int64_t i = 0; i < 3; i++) {
        const struct ow_record record = {.topic = OW_SLICE("t"), .timestamp_ms = 10 * i};
        ow_memory_broker_append(broker, &record);
    }
    ow_memory_broker_skip(broker, "t", 0, 2); /* it cannot end before its records */
    ow_memory_broker_skip(broker, "t", 0, 5);
    struct ow_source *source = ow_memory_source_open(broker);
    static const int64_t expected[][2] = {
        {0,  0},
        {10, 1},
        {11, 2},
        {20, 2},
        {21, 5}
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        int64_t offset = -1;
        struct ow_err err;
        assert_int_equal(
            source->ops->offset_for_time(source, "t", 0, expected[i][0], &offset, &err), OW_OK);
        assert_int_equal(offset, expected[i][1]);
    }
    assert_true(source->ops->close(source, 0));
    ow_memory_broker_close(broker);
    ow_memory_broker_close(NULL);
}

int ow_test_port(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunk__is_full__by_rows_bytes_ends_or_an_assignment),
        cmocka_unit_test(chunk__a_record__is_copied_with_its_headers),
        cmocka_unit_test(durables__what_is_not_there__is_not_told_and_not_noted),
        cmocka_unit_test(memory_source__offset_for_time__is_the_first_as_late),
    };
    return cmocka_run_group_tests_name("port", tests, NULL, NULL);
}
