#include "base/log.h"
#include "jobs.h"
#include "shrink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/*
 * simulation: the whole worker under a seed. Without options: 1,000 seeds. A failing seed is
 * shrunk, and the command that repeats it is printed.
 */

enum { ALL_COUNTERS_FROM = 1000, SHRUNK_MAX = 3 };

struct options {
    struct ow_jobs_options jobs;
    uint64_t seed; /* one only */
    bool has_seed, verbose;
    const char *keep;
};

static int usage(const char *what)
{
    (void)fprintf(
        stderr,
        "simulation: cannot understand '%s'\n"
        "usage: simulation [--seeds N] [--from N] [--jobs N] [--steps N] [--first] [--days] "
        "[--twice-every N]\n"
        "       simulation --seed N [--steps N] [--keep LIST] [--verbose]\n",
        what);
    return 2;
}

static bool take_number(const char *text, uint64_t *ret_number)
{
    char *end = NULL;
    *ret_number = text == NULL ? 0 : strtoull(text, &end, 10);
    return text != NULL && end != text && *end == '\0';
}

static bool take_flag(const char *name, struct options *options)
{
    if (strcmp(name, "--verbose") == 0) {
        options->verbose = true;
    } else if (strcmp(name, "--first") == 0) {
        options->jobs.first = true;
    } else if (strcmp(name, "--days") == 0) {
        options->jobs.days = true;
    } else {
        return false;
    }
    return true;
}

static int at_most(uint64_t number, int most)
{
    return number > (uint64_t)most ? most : (int)number;
}

static bool take_option(const char *name, uint64_t number, struct options *options)
{
    struct ow_jobs_options *jobs = &options->jobs;
    if (strcmp(name, "--seed") == 0) {
        options->seed = number;
        options->has_seed = true;
    } else if (strcmp(name, "--seeds") == 0) {
        jobs->seeds = number;
    } else if (strcmp(name, "--from") == 0) {
        jobs->from = number;
    } else if (strcmp(name, "--jobs") == 0) {
        jobs->jobs = number < 1 ? 1 : at_most(number, OW_JOBS_MAX);
    } else if (strcmp(name, "--steps") == 0) {
        jobs->actions = at_most(number, OW_PLAN_ACTIONS_MAX / 2);
    } else if (strcmp(name, "--twice-every") == 0) {
        jobs->twice_every = at_most(number, INT32_MAX);
    } else {
        return false;
    }
    return true;
}

static int parse(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        uint64_t number = 0;
        if (take_flag(name, options)) {
            continue;
        }
        const char *value = i + 1 < argc ? argv[++i] : NULL;
        if (value != NULL && strcmp(name, "--keep") == 0) {
            options->keep = value;
        } else if (!take_number(value, &number) || !take_option(name, number, options)) {
            return usage(name);
        }
    }
    return 0;
}

static void print_plan(const struct ow_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (!plan->left_out[i]) {
            char text[256];
            ow_plan_text(&plan->actions[i], text, sizeof(text));
            (void)printf("  %4zu %s\n", i, text);
        }
    }
}

/* Shrinks a failing seed and tells how to see it again. */
static void tell_failure(const struct options *options, const struct ow_failure *failure)
{
    static struct ow_plan plan;
    static struct ow_result result;
    char kept[4096];
    char steps[32] = "";
    ow_plan_make(&plan, failure->seed, options->jobs.actions);
    const int tries = ow_shrink(&plan, failure->result.what);
    ow_jobs_run_one(&plan, true, &result);
    ow_plan_kept(&plan, kept, sizeof(kept));
    if (options->jobs.actions > 0) {
        (void)snprintf(steps, sizeof(steps), " --steps %d", options->jobs.actions);
    }
    (void)printf("  shrunk in %d tries; at action %d: %s: %s\n", tries, result.action, result.what,
                 result.text);
    print_plan(&plan);
    (void)printf("  again: simulation --seed %llu%s --keep %s --verbose\n",
                 (unsigned long long)failure->seed, steps, kept);
}

static int run_one(const struct options *options)
{
    static struct ow_plan plan;
    static struct ow_result result;
    ow_plan_make(&plan, options->seed, options->jobs.actions);
    if (options->keep != NULL && !ow_plan_keep(&plan, options->keep)) {
        return usage(options->keep);
    }
    ow_jobs_run_one(&plan, !options->verbose, &result);
    (void)printf("seed %llu: %lld steps, %lld records, %d crashes, trace %016llx\n",
                 (unsigned long long)options->seed, (long long)result.steps,
                 (long long)result.records, result.crashes, (unsigned long long)result.trace);
    if (result.failed) {
        (void)printf("FAILED at action %d: %s: %s\n", result.action, result.what, result.text);
    }
    return result.failed ? 1 : 0;
}

/* How many of the rare states were not met. */
static int print_counters(const struct ow_jobs_total *total)
{
    int missing = 0;
    for (int i = 0; i < OW_SOMETIMES_COUNT; i++) {
        (void)printf("%10llu  %s\n", (unsigned long long)total->sometimes[i],
                     ow_sometimes_text((enum ow_sometimes)i));
        missing += total->sometimes[i] == 0;
    }
    return missing;
}

static double now(void)
{
    struct timespec time;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int run_many(const struct options *options)
{
    static struct ow_jobs_total total;
    const double start = now();
    ow_jobs_run(&options->jobs, &total);
    const double seconds = now() - start;
    const int missing = print_counters(&total);
    const bool demand =
        options->jobs.seeds >= ALL_COUNTERS_FROM && !options->jobs.first && !options->jobs.days;
    for (int i = 0; i < total.failure_count; i++) {
        const struct ow_failure *failure = &total.failures[i];
        (void)printf("seed %llu FAILED at action %d: %s: %s\n", (unsigned long long)failure->seed,
                     failure->result.action, failure->result.what, failure->result.text);
        if (i < SHRUNK_MAX) {
            tell_failure(options, failure);
        }
        (void)fflush(stdout);
    }
    if (missing > 0) {
        (void)printf("%d of %d states were never met%s\n", missing, OW_SOMETIMES_COUNT,
                     demand ? ": FAILED" : " (too few seeds to tell)");
    }
    (void)printf(
        "simulation: seeds %llu from %llu, steps %lld, records %lld, batches %lld, restarts "
        "%lld, crashes %lld, seconds %.1f, violations %d\n",
        (unsigned long long)total.seeds, (unsigned long long)options->jobs.from,
        (long long)total.steps, (long long)total.records, (long long)total.batches,
        (long long)total.restarts, (long long)total.crashes, seconds, total.failure_count);
    return total.failure_count > 0 || (demand && missing > 0) ? 1 : 0;
}

int main(int argc, char **argv)
{
    struct options options = {
        .jobs = {.from = 1, .seeds = 1000, .jobs = 1, .twice_every = 50}
    };
    options.jobs.terminal = isatty(STDERR_FILENO) == 1;
    const int wrong = parse(argc, argv, &options);
    if (wrong != 0) {
        return wrong;
    }
    const int level = options.verbose ? OW_LOG_INFO : OW_LOG_ERROR + 1; /* none */
    ow_log_set_level((enum ow_log_level)level);
    ow_jobs_set_up();
    return options.has_seed ? run_one(&options) : run_many(&options);
}
