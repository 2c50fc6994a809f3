#include "program.h"

/*
 * A step is two bytes. First: bits 0 to 2 the type of event (6: a broken record, 7: something
 * happens), bits 3 and 4 the order, bits 5 to 7 and the second byte's bits 0 and 1 the message id.
 * Second: bits 2 to 4 the business key, bits 5 and 6 the amount, bit 7 the currency.
 */
enum { BROKEN = 6, HAPPENS = 7 };

static const struct ow_hash_key hash_key = {.bytes = {7}};

static const char *const types[] = {"order.created",  "payment.succeeded", "order.dispatched",
                                    "order.received", "order.cancelled",   "payment.refunded"};
static const char *const orders[] = {"A", "B", "C", "D"};

static struct ow_slice write_event(struct ow_arena *arena, const struct ow_program *program,
                                   unsigned first, unsigned second)
{
    static const int amounts[] = {100, 30, 70, 1};
    const char *const order = orders[first >> 3 & 3];
    const char *const owner = program->is_private ? order : "";
    const unsigned id = first >> 5 | (second & 3) << 3;
    const unsigned key = second >> 2 & 7;
    return ow_slice_of(ow_arena_printf(
        arena,
        "{\"specversion\":\"1.0\",\"id\":\"%s%u\",\"source\":\"/s\",\"type\":\"%s\",\"data\":{"
        "\"order_id\":\"%s\",\"payment_id\":\"p%s%u\",\"refund_id\":\"r%s%u\",\"amount\":%d,"
        "\"currency\":\"%s\",\"method\":\"card\"}}",
        owner, id, types[first & 7], order, owner, key, owner, key, amounts[second >> 5 & 3],
        second >> 7 == 0 ? "EUR" : "USD"));
}

static struct ow_slice write_broken(unsigned second)
{
    switch (second & 3) {
    case 0:
        return OW_SLICE("{\"specversion\":\"1.0\",\"type\":\"order.lost\",\"id\":\"1\"}");
    case 1:
        return OW_SLICE("{\"specversion\":\"1.0\",\"type\":\"order.created\",\"source\":\"/s\"}");
    case 2:
        return OW_SLICE("{\"a\":1,\"a\":1}");
    default:
        return (struct ow_slice){0};
    }
}

static void add_record(struct ow_program *program, const struct ow_machines *machines,
                       struct ow_arena *arena, unsigned first, unsigned second)
{
    static const uint8_t topic[] = "order-events"; /* interned, as a source does it */
    struct ow_record *const record = OW_ARENA_NEW(arena, struct ow_record);
    *record = (struct ow_record){
        .topic = {topic, sizeof topic - 1},
        .offset = program->record_count,
        .timestamp_ms = OW_PROGRAM_START_MS + program->record_count * 1000,
        .key = OW_SLICE("k"),
        .value = (first & 7) == BROKEN ? write_broken(second)
                                       : write_event(arena, program, first, second)
    };
    struct ow_event *const event = OW_ARENA_NEW(arena, struct ow_event);
    struct ow_decoder decoder = {
        .machines = machines, .hash_key = &hash_key, .record_bytes_max = 65536};
    ow_event_decode(&decoder, record, arena, event);
    ow_buffer_done(&decoder.scratch);
    OW_PROMISE((event->verdict == OW_OUTCOME_APPLIED) == ((first & 7) != BROKEN));
    program->record_count++;
    program->steps[program->step_count++] =
        (struct ow_step){.kind = OW_STEP_RECORD,
                         .event = event,
                         .order = (first & 7) == BROKEN ? -1 : (int)(first >> 3 & 3)};
}

static void add_happening(struct ow_program *program, unsigned first, unsigned second)
{
    static const enum ow_step_kind kinds[] = {OW_STEP_COMMIT,      OW_STEP_REREAD,  OW_STEP_POISON,
                                              OW_STEP_POISON_WAKE, OW_STEP_HORIZON, OW_STEP_CLOCK};
    const enum ow_step_kind kind = kinds[(first >> 3) % (sizeof kinds / sizeof *kinds)];
    program->has_records_only = program->has_records_only && kind == OW_STEP_COMMIT;
    program->steps[program->step_count++] = (struct ow_step){.kind = kind, .count = second};
}

void ow_program_read(struct ow_program *program, struct ow_slice bytes,
                     const struct ow_machines *machines, struct ow_arena *arena)
{
    struct ow_fuzz_input input = {.rest = bytes};
    *program = (struct ow_program){.is_private = (ow_fuzz_byte(&input) & 1) != 0,
                                   .has_records_only = true};
    while (input.rest.len > 0 && program->step_count < OW_PROGRAM_STEPS_MAX) {
        const unsigned first = ow_fuzz_byte(&input);
        const unsigned second = ow_fuzz_byte(&input);
        if ((first & 7) == HAPPENS) {
            add_happening(program, first, second);
        } else {
            add_record(program, machines, arena, first, second);
        }
    }
}
