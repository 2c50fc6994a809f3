#include "model_claims.h"

#include "clock.h"
#include "counters.h"

int64_t ow_model_time_of(const struct ow_message *message)
{
    return message->time_ms >= 0 ? message->time_ms : message->timestamp_ms;
}

/* Whether claims of a type may have been of that retention: under this version of the machine, or
 * another. Of one that no type has any more that is not known. */
static bool may_have_had(const struct ow_model *model, enum ow_message_type type,
                         int64_t retention_ms)
{
    bool retired = true;
    for (int other = 0; other < OW_MESSAGE_TYPES; other++) {
        retired = retired && model->retention_ms[other] != retention_ms;
    }
    return retired || model->first_retention_ms[type] == retention_ms;
}

/* What lies before *ret_least_ms is expired, and what lies not before *ret_most_ms is not. In
 * between, after the machine was changed, it depends on how much the store remembers of that. */
static void horizons(const struct ow_model *model, enum ow_message_type type, int64_t *ret_least_ms,
                     int64_t *ret_most_ms)
{
    *ret_least_ms = *ret_most_ms = INT64_MIN;
    for (size_t i = 0; i < model->class_count; i++) {
        const struct ow_model_class *class = &model->classes[i];
        const int64_t horizon_ms = class->horizon_ms + model->skew_ms;
        if (class->retention_ms == model->retention_ms[type]) {
            *ret_least_ms = horizon_ms;
        }
        if ((class->retention_ms == model->retention_ms[type] ||
             may_have_had(model, type, class->retention_ms)) &&
            horizon_ms > *ret_most_ms) {
            *ret_most_ms = horizon_ms;
        }
    }
}

int64_t ow_model_horizon_ms(const struct ow_model *model, enum ow_message_type type)
{
    int64_t least_ms = 0;
    int64_t most_ms = 0;
    horizons(model, type, &least_ms, &most_ms);
    return most_ms;
}

static void count_expired(const struct ow_model_claim *before, int64_t early_ms)
{
    ow_count(before->pruned ? OW_SOMETIMES_EXPIRED_AGAIN : OW_SOMETIMES_EXPIRED_NEW);
    ow_count_if(early_ms == 1, OW_SOMETIMES_EXPIRED_JUST);
}

bool ow_model_claim_take(struct ow_model *model, struct ow_model_claim *claim,
                         const struct ow_logged *logged)
{
    const struct ow_model_claim before = *claim;
    const int64_t time_ms = ow_model_time_of(&logged->message);
    int64_t least_ms = 0;
    int64_t most_ms = 0;
    horizons(model, logged->message.type, &least_ms, &most_ms);
    const int64_t horizon_ms = model->said_expired ? most_ms : least_ms;
    *claim = (struct ow_model_claim){.ref = model->next_ref++,
                                     .by = logged,
                                     .number = model->claim_count++,
                                     .retention_ms = model->retention_ms[logged->message.type],
                                     .at = ow_sim_clock_window(),
                                     .least_ms = ow_sim_clock_window().low_ms};
    if (time_ms < horizon_ms) {
        count_expired(&before, horizon_ms - time_ms);
        return false;
    }
    ow_count_if(time_ms == horizon_ms, OW_SOMETIMES_HORIZON_JUST);
    if (before.pruned) {
        /*
         * Only what was dated further ahead of the wall clock than claims.skew allows for; or what
         * has another one's id, and is of a type whose claims are kept for longer.
         */
        if (time_ms < before.at.low_ms + model->skew_ms &&
            logged->message.type == before.by->message.type) {
            model->twice = logged;
        }
        ow_count(OW_SOMETIMES_REOPENED);
    }
    return true;
}

void ow_model_claim_met(const struct ow_model_claim *claim)
{
    const int64_t age_ms = ow_sim_clock_window().low_ms - claim->at.high_ms;
    ow_count_if(age_ms >= claim->retention_ms, OW_SOMETIMES_DUPLICATE_OVERDUE);
    ow_count_if(age_ms < claim->retention_ms && age_ms >= claim->retention_ms / 10 * 9,
                OW_SOMETIMES_DUPLICATE_LAST);
}

void ow_model_clock_was(struct ow_model *model, int64_t now_ms)
{
    for (int source = 0; source < OW_MESSAGE_SOURCES; source++) {
        for (int id = 0; id < OW_MESSAGE_IDS; id++) {
            struct ow_model_claim *claim = &model->claims[source][id];
            claim->least_ms = claim->least_ms < now_ms ? claim->least_ms : now_ms;
        }
    }
}

void ow_model_prune(struct ow_model *model, struct ow_model_claim *claim, int64_t claimed_ms)
{
    claim->at.low_ms = claimed_ms;
    claim->ref = 0;
    claim->pruned = true;
    model->pruned_count++;
}
