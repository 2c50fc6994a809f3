#include "engine/durable.h"

void ow_durables_init(struct ow_durables *durables)
{
    *durables = (struct ow_durables){0};
    (void)pthread_mutex_init(&durables->lock, NULL);
    ow_arena_init(&durables->arena, (size_t)16 * 1024);
}

void ow_durables_done(struct ow_durables *durables)
{
    ow_arena_done(&durables->arena);
    (void)pthread_mutex_destroy(&durables->lock);
}

static struct ow_durable_entry *entry_of(struct ow_durables *durables,
                                         struct ow_partition *partition)
{
    if (partition->durable_entry == NULL) {
        struct ow_durable_entry *entry = OW_ARENA_NEW(&durables->arena, struct ow_durable_entry);
        entry->durable.topic = ow_arena_text(&durables->arena, partition->settled.topic);
        entry->durable.partition = partition->settled.partition;
        entry->next = durables->list;
        durables->list = entry;
        partition->durable_entry = entry;
    }
    return partition->durable_entry;
}

struct ow_durable ow_durable_of(const struct ow_position *position)
{
    return position == NULL ? (struct ow_durable){.seen_committed = -1}
                            : (struct ow_durable){.stored = position->stored,
                                                  .next_offset = position->next_offset,
                                                  .high_offset = position->high_offset,
                                                  .seen_committed = position->seen_committed,
                                                  .began_epoch = position->began_epoch};
}

void ow_durables_exchange(struct ow_durables *durables, struct ow_partitions *partitions,
                          uint32_t generation)
{
    (void)pthread_mutex_lock(&durables->lock);
    durables->generation = generation;
    for (struct ow_partition *partition = partitions->list; partition != NULL;
         partition = partition->next) {
        struct ow_durable_entry *entry = entry_of(durables, partition);
        entry->durable.assigned = partition->assigned;
        entry->durable.stored = partition->settled.stored;
        entry->durable.next_offset = partition->settled.next_offset;
        entry->durable.high_offset = partition->settled.high_offset;
        entry->durable.seen_committed = partition->settled.seen_committed;
        entry->durable.began_epoch = partition->settled.began_epoch;
        partition->has_committed = partition->has_committed || entry->committed;
        entry->committed = false;
    }
    (void)pthread_mutex_unlock(&durables->lock);
}

void ow_durables_visit(struct ow_durables *durables,
                       void (*visit)(const struct ow_durable *durable, void *context),
                       void *context)
{
    (void)pthread_mutex_lock(&durables->lock);
    for (const struct ow_durable_entry *entry = durables->list; entry != NULL;
         entry = entry->next) {
        visit(&entry->durable, context);
    }
    (void)pthread_mutex_unlock(&durables->lock);
}

static struct ow_durable_entry *find(struct ow_durables *durables, const char *topic,
                                     int32_t partition)
{
    for (struct ow_durable_entry *entry = durables->list; entry != NULL; entry = entry->next) {
        if (entry->durable.partition == partition && strcmp(entry->durable.topic, topic) == 0) {
            return entry;
        }
    }
    return NULL;
}

bool ow_durables_get(struct ow_durables *durables, const char *topic, int32_t partition,
                     struct ow_durable *ret_durable)
{
    (void)pthread_mutex_lock(&durables->lock);
    const struct ow_durable_entry *entry = find(durables, topic, partition);
    if (entry != NULL) {
        *ret_durable = entry->durable;
        ret_durable->generation = durables->generation;
    }
    ret_durable->any_sent = durables->any_sent;
    (void)pthread_mutex_unlock(&durables->lock);
    return entry != NULL;
}

void ow_durables_sent(struct ow_durables *durables)
{
    (void)pthread_mutex_lock(&durables->lock);
    durables->any_sent = true;
    (void)pthread_mutex_unlock(&durables->lock);
}

void ow_durables_committed(struct ow_durables *durables, const char *topic, int32_t partition)
{
    (void)pthread_mutex_lock(&durables->lock);
    struct ow_durable_entry *entry = find(durables, topic, partition);
    if (entry != NULL) {
        entry->committed = true;
    }
    (void)pthread_mutex_unlock(&durables->lock);
}

void ow_durables_forget_committed(struct ow_durables *durables)
{
    (void)pthread_mutex_lock(&durables->lock);
    for (struct ow_durable_entry *entry = durables->list; entry != NULL; entry = entry->next) {
        entry->committed = false;
    }
    (void)pthread_mutex_unlock(&durables->lock);
}
