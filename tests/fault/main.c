#include "alloc.h"
#include "base/log.h"
#include "calls.h"
#include "crash.h"
#include "entropy.h"
#include "handles.h"
#include "memory.h"

#include <sqlite3.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/*
 * fault: the store's disk loses power at each sync, each of its calls fails, each allocation fails,
 * during a story of everything that the worker does.
 */

static struct options {
    struct ow_crash_options crash;
    struct ow_calls_options calls;
    struct ow_memory_options memory;
    enum ow_deed deed;
    bool repeats; /* one fault that was told of, not a whole run */
    uint64_t seed;
    size_t jobs;
} options;

static int usage(const char *what)
{
    (void)fprintf(stderr,
                  "fault: cannot understand '%s'\n"
                  "usage: fault --crash [--points N] [--seed N] [--draws N] [--jobs N]\n"
                  "       fault --crash --seed N --boundary N [--loss N [--draw N]]\n"
                  "       fault --calls [--stride N] [--seed N] [--jobs N]\n"
                  "       fault --calls --step N --kind N --at N [--for-ever]\n"
                  "       fault --memory [--stride N] [--seed N] [--jobs N]\n"
                  "       fault --memory --step N --at N [--for-ever]\n",
                  what);
    return 2;
}

static int at_most(uint64_t number, int most)
{
    return number > (uint64_t)most ? most : (int)number;
}

static bool take_number(const char *name, uint64_t number)
{
    static const struct {
        const char *name;
        int *number;
    } numbers[] = {
        {"--draws",  &options.crash.draws },
        {"--loss",   &options.crash.loss  },
        {"--draw",   &options.crash.draw  },
        {"--stride", &options.calls.stride},
        {"--step",   &options.calls.step  },
        {"--kind",   &options.calls.kind  },
        {"--at",     &options.calls.at    },
    };
    if (strcmp(name, "--seed") == 0) {
        options.seed = number;
    } else if (strcmp(name, "--points") == 0) {
        options.crash.points = number;
    } else if (strcmp(name, "--boundary") == 0) {
        options.crash.boundary = at_most(number, INT32_MAX);
    } else if (strcmp(name, "--jobs") == 0) {
        options.jobs = (size_t)at_most(number, OW_TRIAL_JOBS_MAX);
    } else {
        size_t i = 0;
        while (i < sizeof(numbers) / sizeof(numbers[0]) && strcmp(numbers[i].name, name) != 0) {
            i++;
        }
        if (i == sizeof(numbers) / sizeof(numbers[0])) {
            return false;
        }
        *numbers[i].number = at_most(number, INT32_MAX);
    }
    return true;
}

static bool take_flag(const char *name)
{
    if (strcmp(name, "--crash") == 0) {
        options.deed = OW_DEED_CRASH;
    } else if (strcmp(name, "--calls") == 0) {
        options.deed = OW_DEED_CALLS;
    } else if (strcmp(name, "--memory") == 0) {
        options.deed = OW_DEED_MEMORY;
    } else if (strcmp(name, "--for-ever") == 0) {
        options.calls.for_ever = true;
    } else {
        return false;
    }
    return true;
}

static int parse(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (take_flag(argv[i])) {
            continue;
        }
        char *end = NULL;
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        const uint64_t number = strtoull(value, &end, 10);
        if (end == value || *end != '\0' || !take_number(argv[i], number)) {
            return usage(argv[i]);
        }
        i++;
    }
    return options.deed == OW_DEED_NONE || options.jobs == 0 || options.calls.stride == 0
               ? usage("nothing")
               : 0;
}

static void set_up(void)
{
    (void)mallopt(M_MMAP_THRESHOLD, 512 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
    (void)sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    ow_entropy_register();
    ow_vfs_register();
    ow_handles_watch();
    ow_log_set_level((enum ow_log_level)(OW_LOG_ERROR + 1)); /* none */
}

static void work(struct ow_trial *trial)
{
    options.crash.seed = options.calls.seed = options.seed;
    if (options.deed == OW_DEED_CRASH) {
        ow_crash_work(trial, &options.crash);
    } else if (options.deed == OW_DEED_CALLS) {
        ow_calls_work(trial, &options.calls, options.jobs);
    } else {
        options.memory = (struct ow_memory_options){.seed = options.seed,
                                                    .stride = options.calls.stride,
                                                    .step = options.calls.step,
                                                    .at = options.calls.at,
                                                    .for_ever = options.calls.for_ever};
        ow_memory_work(trial, &options.memory, options.jobs);
    }
}

static double now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* What has happened; how much of what must have has not. */
static int print_figures(const struct ow_trial_shared *shared)
{
    int missing = 0;
    for (int i = 0; i < OW_FIGURE_COUNT; i++) {
        const uint64_t figure = shared->figures[i];
        const bool must = ow_figure_deed((enum ow_figure)i) == options.deed;
        missing += must && figure == 0;
        if (must || figure > 0) {
            (void)printf("%10llu  %s\n", (unsigned long long)figure,
                         ow_figure_text((enum ow_figure)i));
        }
    }
    for (int i = 0; i < OW_OUTCOME_COUNT && options.deed == OW_DEED_CRASH; i++) {
        (void)printf("%10llu  records %s\n", (unsigned long long)shared->outcomes[i],
                     ow_outcome_text((enum ow_outcome)i));
        missing += shared->outcomes[i] == 0;
    }
    return missing;
}

static void print_summary(const struct ow_trial_shared *shared, double seconds)
{
    uint64_t figures[OW_FIGURE_COUNT];
    for (size_t i = 0; i < OW_FIGURE_COUNT; i++) {
        figures[i] = shared->figures[i];
    }
    (void)printf("fault: seed %llu, ", (unsigned long long)options.seed);
    if (options.deed == OW_DEED_CRASH) {
        (void)printf("stories %llu, sync boundaries %llu, crash points %llu, of these %llu after "
                     "another crash",
                     (unsigned long long)figures[OW_FIGURE_STORIES],
                     (unsigned long long)figures[OW_FIGURE_BOUNDARIES],
                     (unsigned long long)figures[OW_FIGURE_POINTS],
                     (unsigned long long)figures[OW_FIGURE_IN_RECOVERY]);
    } else if (options.deed == OW_DEED_CALLS) {
        (void)printf("stride %d, failing calls %llu, went on %llu, waited for room %llu",
                     options.calls.stride, (unsigned long long)figures[OW_FIGURE_CALLS],
                     (unsigned long long)figures[OW_FIGURE_CALL_ABSORBED],
                     (unsigned long long)figures[OW_FIGURE_CALL_RESUMED]);
    } else {
        (void)printf("stride %d, failing allocations %llu, went on %llu, died %llu",
                     options.calls.stride, (unsigned long long)figures[OW_FIGURE_ALLOCATIONS],
                     (unsigned long long)figures[OW_FIGURE_ALLOCATION_ABSORBED],
                     (unsigned long long)figures[OW_FIGURE_ALLOCATION_ABORTED]);
    }
    (void)printf(", seconds %.1f, violations %llu\n", seconds,
                 (unsigned long long)figures[OW_FIGURE_VIOLATIONS]);
}

int main(int argc, char **argv)
{
    options = (struct options){
        .crash = {.points = 20000, .draws = 2, .boundary = -1, .loss = -1,           .draw = -1},
        .calls = {.stride = 1,               .step = -1,               .kind = -1,     .at = -1},
        .seed = 1,
        .jobs = 1
    };
    const int wrong = parse(argc, argv);
    if (wrong != 0) {
        return wrong;
    }
    set_up();
    if (options.deed == OW_DEED_MEMORY && !ow_alloc_can_fail()) {
        (void)printf("SKIPPED: in this build allocations cannot be made to fail\n");
        return 77;
    }
    struct ow_trial_shared *shared = ow_trial_share();
    const double start = now();
    shared->next = options.seed;
    options.repeats =
        options.crash.boundary >= 0 || options.calls.step >= 0 || options.calls.kind >= 0;
    options.jobs = options.repeats ? 1 : options.jobs;
    ow_trial_jobs(shared, options.jobs, work);
    const int missing = print_figures(shared);
    const bool lacks = missing > 0 && !options.repeats;
    if (lacks) {
        (void)printf("%d things have never happened: FAILED\n", missing);
    }
    print_summary(shared, now() - start);
    return shared->figures[OW_FIGURE_VIOLATIONS] > 0 || lacks ? 1 : 0;
}
