#include "threads.h"

#include "base/contract.h"
#include "clock.h"
#include "random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

enum { STACK_BYTES = 512 * 1024 };

enum wait { WAIT_NOT, WAIT_MUTEX, WAIT_COND, WAIT_JOIN, WAIT_OVER };

/* What lies in the memory of a pthread_mutex_t: who has it, counted from 1; 0: nobody. */
struct mutex {
    int owner;
};

struct thread {
    ucontext_t context;
    void *stack; /* kept for the next one */
    bool used;
    enum wait wait;
    const void *on;      /* the mutex, condition or thread that it waits for */
    int64_t deadline_ns; /* of a condition */
    bool timed_out;
    void *(*run)(void *);
    void *argument;
};

static struct {
    struct thread threads[OW_THREADS_MAX]; /* the first is the caller's own */
    size_t current;
    struct ow_random random;
    void (*watch)(void *context);
    void *watch_context;
    bool watching;
} all;

_Static_assert(sizeof(struct mutex) <= sizeof(pthread_mutex_t), "a mutex has room for its owner");

void ow_threads_reset(uint64_t seed)
{
    for (size_t i = 1; i < OW_THREADS_MAX; i++) {
        OW_INVARIANT(!all.threads[i].used);
    }
    all.random = ow_random_stream(seed, 17);
    all.threads[0].used = true;
    all.threads[0].wait = WAIT_NOT;
    all.current = 0;
}

void ow_threads_watch(void (*watch)(void *context), void *context)
{
    all.watch = watch;
    all.watch_context = context;
}

static struct mutex *mutex_of(pthread_mutex_t *mutex)
{
    return (struct mutex *)(void *)mutex;
}

static bool can_run(const struct thread *thread)
{
    if (!thread->used) {
        return false;
    }
    switch (thread->wait) {
    case WAIT_NOT:
        return true;
    case WAIT_MUTEX:
        return ((const struct mutex *)thread->on)->owner == 0;
    case WAIT_COND:
        return thread->deadline_ns <= ow_sim_clock_elapsed_ns();
    case WAIT_JOIN:
        return ((const struct thread *)thread->on)->wait == WAIT_OVER;
    case WAIT_OVER:
        break;
    }
    return false;
}

/* Everybody waits: until the first of the waits is over. */
static void pass_time(void)
{
    int64_t first_ns = INT64_MAX;
    for (size_t i = 0; i < OW_THREADS_MAX; i++) {
        const struct thread *thread = &all.threads[i];
        if (thread->used && thread->wait == WAIT_COND && thread->deadline_ns < first_ns) {
            first_ns = thread->deadline_ns;
        }
    }
    OW_INVARIANT(first_ns != INT64_MAX); /* a deadlock */
    ow_sim_clock_pass_ns(first_ns - ow_sim_clock_elapsed_ns());
}

static size_t draw_next(void)
{
    for (;;) {
        size_t able[OW_THREADS_MAX];
        size_t count = 0;
        for (size_t i = 0; i < OW_THREADS_MAX; i++) {
            if (can_run(&all.threads[i])) {
                able[count++] = i;
            }
        }
        if (count > 0) {
            return able[ow_random_below(&all.random, (int)count)];
        }
        pass_time();
    }
}

/* Somebody goes on, maybe this one. */
static void switch_over(void)
{
    struct thread *from = &all.threads[all.current];
    const size_t next = draw_next();
    struct thread *to = &all.threads[next];
    to->timed_out = to->wait == WAIT_COND;
    if (to->wait != WAIT_OVER) {
        to->wait = WAIT_NOT;
    }
    if (to != from) {
        all.current = next;
        const int code = swapcontext(&from->context, &to->context);
        OW_INVARIANT(code == 0);
    }
}

void ow_threads_yield(void)
{
    for (int i = ow_random_below(&all.random, 4); i > 0; i--) {
        switch_over();
    }
}

void ow_threads_settle(void)
{
    enum { TURNS = 200 };
    for (int i = 0; i < TURNS; i++) {
        switch_over();
    }
}

static void run_thread(void)
{
    struct thread *thread = &all.threads[all.current];
    (void)thread->run(thread->argument);
    thread->wait = WAIT_OVER;
    for (;;) {
        switch_over();
    }
}

static struct thread *free_place(void)
{
    size_t at = 1;
    while (at < OW_THREADS_MAX && all.threads[at].used) {
        at++;
    }
    OW_INVARIANT(at < OW_THREADS_MAX);
    return &all.threads[at];
}

int ow_threads_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                      void *context)
{
    (void)attributes;
    struct thread *const fresh = free_place();
    if (fresh->stack == NULL) {
        fresh->stack = malloc(STACK_BYTES);
        OW_INVARIANT(fresh->stack != NULL);
    }
    fresh->used = true;
    fresh->wait = WAIT_NOT;
    fresh->run = run;
    fresh->argument = context;
    const int code = getcontext(&fresh->context);
    OW_INVARIANT(code == 0);
    fresh->context.uc_stack.ss_sp = fresh->stack;
    fresh->context.uc_stack.ss_size = STACK_BYTES;
    fresh->context.uc_link = NULL;
    makecontext(&fresh->context, run_thread, 0);
    *thread = (pthread_t)(fresh - all.threads);
    return 0;
}

int ow_threads_join(pthread_t thread, void **ret_result)
{
    struct thread *joined = &all.threads[thread];
    struct thread *self = &all.threads[all.current];
    while (joined->wait != WAIT_OVER) {
        self->wait = WAIT_JOIN;
        self->on = joined;
        switch_over();
    }
    joined->used = false;
    if (ret_result != NULL) {
        *ret_result = NULL;
    }
    return 0;
}

int ow_threads_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    (void)attributes;
    memset(mutex, 0, sizeof(pthread_mutex_t));
    return 0;
}

int ow_threads_mutex_destroy(pthread_mutex_t *mutex)
{
    OW_INVARIANT(mutex_of(mutex)->owner == 0);
    return 0;
}

static void take_mutex(pthread_mutex_t *mutex)
{
    struct thread *self = &all.threads[all.current];
    while (mutex_of(mutex)->owner != 0) {
        self->wait = WAIT_MUTEX;
        self->on = mutex;
        switch_over();
    }
    mutex_of(mutex)->owner = (int)all.current + 1;
}

int ow_threads_mutex_lock(pthread_mutex_t *mutex)
{
    if (all.current != 0 && all.watch != NULL && !all.watching) {
        all.watching = true; /* what is called takes locks, too */
        all.watch(all.watch_context);
        all.watching = false;
    }
    if (!all.watching && ow_random_percent(&all.random, 25)) {
        switch_over();
    }
    take_mutex(mutex);
    return 0;
}

int ow_threads_mutex_unlock(pthread_mutex_t *mutex)
{
    OW_INVARIANT(mutex_of(mutex)->owner == (int)all.current + 1);
    mutex_of(mutex)->owner = 0;
    return 0;
}

int ow_threads_cond_init(pthread_cond_t *cond, const pthread_condattr_t *attributes)
{
    (void)attributes;
    memset(cond, 0, sizeof(pthread_cond_t));
    return 0;
}

int ow_threads_cond_destroy(pthread_cond_t *cond)
{
    (void)cond;
    return 0;
}

int ow_threads_cond_broadcast(pthread_cond_t *cond)
{
    for (size_t i = 0; i < OW_THREADS_MAX; i++) {
        struct thread *thread = &all.threads[i];
        if (thread->used && thread->wait == WAIT_COND && thread->on == cond) {
            thread->wait = WAIT_NOT;
        }
    }
    return 0;
}

int ow_threads_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                              const struct timespec *until)
{
    struct thread *self = &all.threads[all.current];
    (void)ow_threads_mutex_unlock(mutex);
    self->wait = WAIT_COND;
    self->on = cond;
    self->deadline_ns = (int64_t)until->tv_sec * 1000000000 + until->tv_nsec;
    switch_over();
    const bool timed_out = self->timed_out;
    take_mutex(mutex);
    return timed_out ? ETIMEDOUT : 0;
}

int ow_threads_clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    (void)clock;
    ret_time->tv_sec = ow_sim_clock_elapsed_ns() / 1000000000;
    ret_time->tv_nsec = ow_sim_clock_elapsed_ns() % 1000000000;
    return 0;
}
