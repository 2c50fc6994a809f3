#include "erase_life.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

int ow_life_start(void **state)
{
    struct ow_fixture *fixture = calloc(1, sizeof(*fixture));
    assert_non_null(fixture);
    ow_fixture_init(fixture);
    fixture->bucket_claims = 50;
    ow_fixture_open(fixture);
    *state = fixture;
    return 0;
}

int ow_life_stop(void **state)
{
    ow_fixture_done(*state);
    free(*state);
    return 0;
}

enum ow_status ow_life_try_erase(struct ow_fixture *fixture, const char *entity,
                                 bool discard_parked, struct ow_erasure *ret_erasure)
{
    const struct ow_erase_options options = {.path = fixture->path,
                                             .hash_key_file = fixture->hash_key_file,
                                             .machines = &fixture->machines,
                                             .clock = ow_clock_manual(&fixture->clock),
                                             .entity = entity,
                                             .discard_parked = discard_parked};
    return ow_erase(&options, ret_erasure, &fixture->err);
}

struct ow_erasure ow_life_erase(struct ow_fixture *fixture, const char *entity)
{
    struct ow_erasure erasure;
    if (ow_life_try_erase(fixture, entity, false, &erasure) != OW_OK) {
        fail_msg("erase: %s", fixture->err.text);
    }
    return erasure;
}

struct ow_verification ow_life_verify(struct ow_fixture *fixture)
{
    struct ow_verification verification;
    const struct ow_verify_options options = {
        .path = fixture->path, .hash_key_file = fixture->hash_key_file, .clock = ow_clock_system()};
    if (ow_verify_store(&options, &fixture->kept, &verification, &fixture->err) != OW_OK) {
        fail_msg("verify: %s", fixture->err.text);
    }
    return verification;
}

size_t ow_life_must_verify(struct ow_fixture *fixture)
{
    const struct ow_verification verification = ow_life_verify(fixture);
    for (size_t i = 0; i < verification.promise_count; i++) {
        if (verification.promises[i].broken != 0) {
            fail_msg("%s: %s", verification.promises[i].name, verification.promises[i].examples[0]);
        }
    }
    size_t notes = 0;
    while (verification.notes[notes] != NULL) {
        notes++;
    }
    return notes;
}

bool ow_life_is_broken(struct ow_fixture *fixture, const char *promise)
{
    const struct ow_verification verification = ow_life_verify(fixture);
    for (size_t i = 0; i < verification.promise_count; i++) {
        if (strcmp(verification.promises[i].name, promise) == 0) {
            return verification.promises[i].broken > 0;
        }
    }
    fail_msg("there is no promise %s", promise);
    return false;
}

size_t ow_life_count_in(const char *path, const char *text)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return 0;
    }
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    const long size = ftell(file);
    assert_true(size >= 0);
    rewind(file);
    char *bytes = malloc((size_t)size + 1);
    assert_non_null(bytes);
    assert_int_equal(fread(bytes, 1, (size_t)size, file), size);
    assert_int_equal(fclose(file), 0);
    size_t count = 0;
    const char *at = bytes;
    while ((at = memmem(at, (size_t)(bytes + size - at), text, strlen(text))) != NULL) {
        count++;
        at++;
    }
    free(bytes);
    return count;
}

size_t ow_life_count_everywhere(const struct ow_fixture *fixture, const char *text)
{
    static const char *const behind[] = {"", "-wal", "-shm"};
    size_t count = 0;
    for (size_t i = 0; i < 3; i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s%s", fixture->path, behind[i]);
        count += ow_life_count_in(path, text);
    }
    return count;
}

enum ow_outcome ow_life_send(struct ow_fixture *fixture, int entity,
                             const struct ow_life_message *message)
{
    static char value[20000];
    int len = snprintf(value, sizeof(value),
                       "{\"specversion\":\"1.0\",\"id\":\"%s-%d\",\"source\":\"/shop/eu\","
                       "\"type\":\"%s\",\"time\":\"2026-11-22T10:00:00Z\","
                       "\"data\":{\"order_id\":\"o%d\",%s\"note\":\"",
                       message->id, entity, message->type, entity, message->data);
    const size_t end = (size_t)len + message->bytes;
    while ((size_t)len < end) {
        len += snprintf(value + len, sizeof(value) - (size_t)len, "[%s of %d]", message->secret,
                        entity);
    }
    (void)snprintf(value + len, sizeof(value) - (size_t)len, "\"}}");
    return ow_fixture_feed(fixture, value);
}

void ow_life_live_all(struct ow_fixture *fixture)
{
    for (int i = 0; i < OW_LIFE_ENTITIES; i++) { /* some fill pages of their own */
        const struct ow_life_message early = {"d", "order.dispatched", "", "woken",
                                              (size_t)(i % 7) * 1500};
        assert_int_equal(ow_life_send(fixture, i, &early), OW_OUTCOME_PARKED);
    }
    for (int i = 0; i < OW_LIFE_ENTITIES; i++) {
        const struct ow_life_message created = {"c", "order.created", OW_LIFE_ORDER ",", "plain",
                                                10};
        assert_int_equal(ow_life_send(fixture, i, &created), OW_OUTCOME_APPLIED);
    }
    for (int i = 0; i < OW_LIFE_ENTITIES; i++) {
        const struct ow_life_message other = {"c", "order.created",
                                              "\"amount\":5,\"currency\":\"EUR\",", "conflict",
                                              (size_t)(i % 5) * 2000 + 20};
        assert_int_equal(ow_life_send(fixture, i, &other), OW_OUTCOME_QUARANTINED);
    }
    for (int i = 0; i < OW_LIFE_ENTITIES; i++) {
        char data[128];
        (void)snprintf(data, sizeof(data),
                       "\"payment_id\":\"p%d\"," OW_LIFE_ORDER ",\"method\":\"card\",", i);
        const struct ow_life_message paid = {"p", "payment.succeeded", data, "plain", 10};
        assert_int_equal(ow_life_send(fixture, i, &paid), OW_OUTCOME_APPLIED);
    }
    for (int r = 0; r < OW_LIFE_REFUNDS; r++) {
        for (int i = 0; i < OW_LIFE_ENTITIES; i++) {
            char id[32];
            char data[128];
            (void)snprintf(id, sizeof(id), "r%d", r);
            (void)snprintf(data, sizeof(data),
                           "\"refund_id\":\"r%d-%d\",\"amount\":%d,\"currency\":\"EUR\",", r, i,
                           r + 1);
            const struct ow_life_message refund = {id, "payment.refunded", data, "plain", 10};
            assert_int_equal(ow_life_send(fixture, i, &refund), OW_OUTCOME_APPLIED);
        }
    }
}
