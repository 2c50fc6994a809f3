#include "model_machine.h"

/* The table of DESIGN 4 for the shipped machine, worked out by hand. */
enum ow_model_cell ow_model_cell(enum ow_message_type type, enum ow_model_state state)
{
    /* none, created, paid, dispatched, received, cancelled */
    static const enum ow_model_cell cells[OW_MESSAGE_TYPES][OW_MODEL_STATES] = {
        [OW_CREATED] = {OW_MODEL_APPLY, OW_MODEL_STALE, OW_MODEL_STALE, OW_MODEL_STALE,
                        OW_MODEL_STALE,                                                                  OW_MODEL_STALE },
        [OW_PAID] = {OW_MODEL_PARK,  OW_MODEL_APPLY, OW_MODEL_STALE, OW_MODEL_STALE,  OW_MODEL_STALE,
                        OW_MODEL_APPLY                                                                                  },
        [OW_DISPATCHED] = {OW_MODEL_PARK,  OW_MODEL_PARK,  OW_MODEL_APPLY, OW_MODEL_STALE,
                        OW_MODEL_STALE,                                                                  OW_MODEL_REJECT},
        [OW_RECEIVED] = {OW_MODEL_PARK,  OW_MODEL_PARK,  OW_MODEL_PARK,  OW_MODEL_APPLY,
                        OW_MODEL_STALE,                                                                  OW_MODEL_REJECT},
        [OW_CANCELLED] = {OW_MODEL_PARK,  OW_MODEL_APPLY, OW_MODEL_APPLY, OW_MODEL_REJECT,
                        OW_MODEL_REJECT,                                                                 OW_MODEL_STALE },
        [OW_REFUNDED] = {OW_MODEL_PARK,  OW_MODEL_PARK,  OW_MODEL_APPLY, OW_MODEL_APPLY,
                        OW_MODEL_APPLY,                                                                  OW_MODEL_APPLY },
    };
    return cells[type][state];
}

enum ow_model_state ow_model_target(enum ow_message_type type, enum ow_model_state state)
{
    switch (type) {
    case OW_CREATED:
        return OW_STATE_CREATED;
    case OW_PAID:
        return state == OW_STATE_CREATED ? OW_STATE_PAID : state;
    case OW_DISPATCHED:
        return OW_STATE_DISPATCHED;
    case OW_RECEIVED:
        return OW_STATE_RECEIVED;
    case OW_CANCELLED:
        return OW_STATE_CANCELLED;
    case OW_REFUNDED:
    case OW_MESSAGE_TYPES:
        return state;
    }
    return state;
}

struct ow_model_row *ow_model_row_of(struct ow_model *model, const struct ow_message *message)
{
    if (message->type == OW_PAID) {
        return &model->payments[message->payment];
    }
    return message->type == OW_REFUNDED ? &model->refunds[message->payment] : NULL;
}

bool ow_model_row_says(const struct ow_model_row *row, const struct ow_message *message)
{
    return row->order == message->order && row->amount == message->amount &&
           row->currency == message->currency &&
           (message->type == OW_REFUNDED || row->method == message->method);
}

bool ow_model_may_apply(const struct ow_model_order *order, const struct ow_message *message)
{
    switch (message->type) {
    case OW_PAID:
        return message->amount == order->amount && message->currency == order->currency &&
               order->paid + message->amount <= OW_INTEGER_MAX;
    case OW_REFUNDED:
        return order->refunded + message->amount <= order->paid &&
               message->currency == order->currency;
    case OW_CREATED:
    case OW_DISPATCHED:
    case OW_RECEIVED:
    case OW_CANCELLED:
    case OW_MESSAGE_TYPES:
        break;
    }
    return true;
}
