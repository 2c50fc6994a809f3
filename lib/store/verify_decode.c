#include "store/verify_internal.h"

/*
 * A stored message is read again as an event. Which machines were configured when it was judged is
 * not stored, so each combination of stored versions of the machines of its topic is tried, the
 * newest first: one that explains the row is enough.
 */

/* Several machines of one topic with many versions each: more is not tried. */
enum { COMBINATIONS_MAX = 64 };

/* The machines that may read a topic: for each, which of its versions is chosen. */
struct choice {
    const struct ow_verify_machine *machine;
    size_t versions; /* that know the topic */
    size_t at;       /* 0: the newest of them; versions: the machine is not configured */
};

static bool knows_topic(const struct ow_machine *machine, struct ow_slice topic)
{
    for (size_t i = 0; i < machine->topic_count; i++) {
        if (ow_slice_equals_text(topic, machine->topics[i])) {
            return true;
        }
    }
    return false;
}

/* The n-th newest version that knows the topic, NULL where there are not so many; counts them. */
static struct ow_machine *version_at(const struct ow_verify_machine *machine, struct ow_slice topic,
                                     size_t n, size_t *ret_count)
{
    size_t count = 0;
    for (const struct ow_verify_version *version = machine->versions; version != NULL;
         version = version->next) {
        count += knows_topic(version->machine, topic);
    }
    *ret_count = count;
    size_t older = 0;
    for (const struct ow_verify_version *version = machine->versions; version != NULL;
         version = version->next) {
        if (knows_topic(version->machine, topic) && ++older + n == count) {
            return version->machine;
        }
    }
    return NULL;
}

static size_t list_choices(const struct ow_verify *verify, struct ow_slice topic,
                           struct choice choices[OW_MACHINES_MAX])
{
    size_t count = 0;
    for (const struct ow_verify_machine *machine = verify->machines;
         machine != NULL && count < OW_MACHINES_MAX; machine = machine->next) {
        size_t versions = 0;
        (void)version_at(machine, topic, 0, &versions);
        if (versions > 0) {
            choices[count++] = (struct choice){.machine = machine, .versions = versions};
        }
    }
    return count;
}

/* Counts on; false after the last combination. */
static bool next_combination(struct choice *choices, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (choices[i].at < choices[i].versions) {
            choices[i].at++;
            return true;
        }
        choices[i].at = 0;
    }
    return false;
}

static void choose(const struct choice *choices, size_t count, struct ow_slice topic,
                   struct ow_machines *ret_machines)
{
    ret_machines->count = 0;
    for (size_t i = 0; i < count; i++) {
        size_t versions = 0;
        struct ow_machine *machine =
            version_at(choices[i].machine, topic, choices[i].at, &versions);
        if (machine != NULL) {
            ret_machines->list[ret_machines->count++] = machine;
        }
    }
}

/* One more event that fits. */
static void take(struct ow_verify_reading *reading, const struct ow_event *event)
{
    if (!reading->found) {
        reading->found = true;
        reading->event = *event;
        reading->has_key = reading->has_fingerprint = event->verdict == OW_OUTCOME_APPLIED;
        return;
    }
    reading->has_key =
        reading->has_key && memcmp(event->key, reading->event.key, sizeof(event->key)) == 0;
    reading->has_fingerprint =
        reading->has_fingerprint &&
        memcmp(event->fingerprint, reading->event.fingerprint, sizeof(event->fingerprint)) == 0;
}

void ow_verify_decode(struct ow_verify *verify, const struct ow_record *record,
                      ow_verify_fits *fits, const void *wanted,
                      struct ow_verify_reading *ret_reading)
{
    struct choice choices[OW_MACHINES_MAX];
    const size_t count = list_choices(verify, record->topic, choices);
    struct ow_machines machines = {.count = 0};
    verify->decoder.machines = &machines;
    *ret_reading = (struct ow_verify_reading){.found = false};
    int tried = 0;
    bool more = true;
    while (more && !ret_reading->unsure) {
        choose(choices, count, record->topic, &machines);
        if (machines.count > 0) {
            struct ow_event event;
            ow_event_decode(&verify->decoder, record, &verify->scratch, &event);
            if (fits(&event, wanted)) {
                take(ret_reading, &event);
            }
        }
        more = next_combination(choices, count);
        ret_reading->unsure = more && ++tried == COMBINATIONS_MAX;
    }
    ret_reading->has_key = ret_reading->has_key && verify->has_key;
    ret_reading->has_fingerprint = ret_reading->has_fingerprint && verify->has_key;
    verify->decoder.machines = NULL;
}
