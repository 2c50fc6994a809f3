/*
 * What claims cost in a store with few and in one with many: time, memory, disk and pauses, as
 * issue 5 asks for them. `./dev bench claims` builds and runs it.
 */
#include "claims.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

struct results {
    struct claims_grown grown;
    struct claims_pruned pruned;
    struct claims_started started;
    struct claims_looked looked;
    struct claims_singled singled;
    struct claims_ordered ordered;
};

static double share(double part, double of)
{
    return of > 0 ? part / of : 0;
}

static double ratio_of(const struct claims_speed *at_1m, const struct claims_speed *at_n)
{
    return share(claims_speed_rate(at_n), claims_speed_rate(at_1m));
}

static double cpu_ratio_of(const struct claims_speed *at_1m, const struct claims_speed *at_n)
{
    return share(claims_speed_cpu(at_1m), claims_speed_cpu(at_n));
}

static void print_speeds(const char *what, const struct claims_speed *at_1m,
                         const struct claims_speed *at_n)
{
    printf("  %-34s %9.0f/s %9.0f/s %8.2f  %8.2f us %8.2f us %8.2f\n", what,
           claims_speed_rate(at_1m), claims_speed_rate(at_n), ratio_of(at_1m, at_n),
           claims_speed_cpu(at_1m), claims_speed_cpu(at_n), cpu_ratio_of(at_1m, at_n));
}

static void print_pauses(const char *what, struct claims_samples *samples)
{
    printf("  %-34s %7zu %9.1f %9.1f %9.1f %9.1f\n", what, samples->count,
           claims_samples_ms(samples, 0.5), claims_samples_ms(samples, 0.99),
           claims_samples_ms(samples, 0.999), claims_samples_ms(samples, 1));
}

static void print_table(struct results *results)
{
    struct claims_grown *grown = &results->grown;
    const struct claims_started *started = &results->started;
    printf("  %-34s %11s %11s %8s  %11s %11s %8s\n", "rate, with all that is tended", "at 1 M",
           "at the end", "ratio", "CPU each", "", "ratio");
    print_speeds("claims, growing", &grown->at_1m.speed, &grown->at_n.speed);
    print_speeds("claims, both stores by turns", &grown->beside_1m.speed, &grown->beside_n.speed);
    print_speeds("claims, single table", &results->singled.pace.at_1m, &results->singled.pace.at_n);
    print_speeds("orders", &results->ordered.pace.at_1m, &results->ordered.pace.at_n);
    printf("\n  %-34s %7s %9s %9s %9s %9s\n", "writer held, ms", "times", "p50", "p99", "p99.9",
           "most");
    print_pauses("a batch, at 1 M", &grown->at_1m.batches);
    print_pauses("a batch, at the end", &grown->at_n.batches);
    print_pauses("a step of tending, at 1 M", &grown->at_1m.steps);
    print_pauses("a step of tending, at the end", &grown->at_n.steps);
    print_pauses("a slice of pruning", &results->pruned.rate.steps);
    printf("\n  bytes a claim: %.2f of memory when growing, %.2f after a start;"
           " %.2f of disk, %.2f in a single table; an order %.0f\n",
           grown->memory, started->filters, grown->disk, results->singled.disk,
           results->ordered.disk);
    printf("  look-ups in the table a key: %.2f at 1 M, %.2f at the end; in vain for %.3f %% and"
           " %.3f %% of the keys; while pruning %.2f\n",
           claims_rate_lookups(&grown->at_1m), claims_rate_lookups(&grown->at_n),
           claims_rate_false(&grown->at_1m), claims_rate_false(&grown->at_n),
           claims_rate_lookups(&results->pruned.rate));
    printf("  a look-up of a free key: %.0f ns; with as many claims in %lld buckets %.0f ns, in"
           " %lld %.0f ns\n",
           started->look_ns, (long long)results->looked.one, results->looked.one_ns,
           (long long)results->looked.thousand, results->looked.thousand_ns);
    printf("  start: %.2f s, with the file out of memory %.2f s; without filters %.2f s, %.0f ns a"
           " look-up until they are there again after %.1f s\n",
           started->warm, started->cold, started->bare, started->plain_ns, started->rebuilt);
    printf("  pruning: %lld buckets, %lld claims gone and %lld new ones at"
           " %.0f/s; the file grew by %.1f MB\n\n",
           (long long)results->pruned.buckets, (long long)results->pruned.claims,
           (long long)results->pruned.rate.speed.count,
           claims_speed_rate(&results->pruned.rate.speed), results->pruned.grown_bytes / 1e6);
}

static double greater(double a, double b)
{
    return a > b ? a : b;
}

static void print_json(const struct claims_options *options, struct results *results)
{
    struct claims_grown *grown = &results->grown;
    const struct claims_pace *single = &results->singled.pace;
    const struct claims_pace *orders = &results->ordered.pace;
    printf("{\"claims\":%lld,\"rate_1m\":%.0f,\"rate_n\":%.0f,\"ratio\":%.3f,"
           "\"memory_bytes_per_claim\":%.3f,\"disk_bytes_per_claim\":%.2f,\"pause_p999_ms\":%.1f,"
           "\"start_s\":%.3f,",
           (long long)options->claims, claims_speed_rate(&grown->at_1m.speed),
           claims_speed_rate(&grown->at_n.speed), ratio_of(&grown->at_1m.speed, &grown->at_n.speed),
           results->started.filters, grown->disk,
           greater(claims_samples_ms(&grown->at_n.steps, 0.999),
                   claims_samples_ms(&results->pruned.rate.steps, 0.999)),
           results->started.cold);
    printf("\"ratio_by_turns\":%.3f,\"cpu_ratio\":%.3f,\"memory_growing_bytes_per_claim\":%.3f,"
           "\"false_lookups_percent\":%.3f,\"lookup_ratio_1000\":%.3f,\"rebuild_s\":%.2f,",
           ratio_of(&grown->beside_1m.speed, &grown->beside_n.speed),
           cpu_ratio_of(&grown->at_1m.speed, &grown->at_n.speed), grown->memory,
           claims_rate_false(&grown->at_n),
           share(results->looked.thousand_ns, results->looked.one_ns), results->started.rebuilt);
    printf("\"buckets_pruned\":%lld,\"single_claims\":%lld,\"single_rate_1m\":%.0f,"
           "\"single_rate_n\":%.0f,\"single_ratio\":%.3f,",
           (long long)results->pruned.buckets, (long long)results->singled.claims,
           claims_speed_rate(&single->at_1m), claims_speed_rate(&single->at_n),
           ratio_of(&single->at_1m, &single->at_n));
    printf(
        "\"orders\":%lld,\"orders_rate_1m\":%.0f,\"orders_rate_n\":%.0f,\"orders_ratio\":%.3f}\n",
        (long long)results->ordered.orders, claims_speed_rate(&orders->at_1m),
        claims_speed_rate(&orders->at_n), ratio_of(&orders->at_1m, &orders->at_n));
}

static int64_t number(const char *text)
{
    char *end = NULL;
    const long long value = strtoll(text, &end, 10);
    if (end == text || *end != '\0' || value < 0 || value > 1000000000) {
        (void)fprintf(stderr, "claims: '%s' is not a number from 0 to 1000000000\n", text);
        exit(2);
    }
    return value;
}

static struct claims_options read_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"claims", required_argument, NULL, 0 },
        {"single", required_argument, NULL, 1 },
        {"orders", required_argument, NULL, 2 },
        {"look",   required_argument, NULL, 3 },
        {"prune",  required_argument, NULL, 4 },
        {"batch",  required_argument, NULL, 5 },
        {"again",  required_argument, NULL, 6 },
        {"bucket", required_argument, NULL, 7 },
        {"turns",  required_argument, NULL, 8 },
        {"among",  required_argument, NULL, 9 },
        {"folder", required_argument, NULL, 10},
        {NULL,     0,                 NULL, 0 }
    };
    struct claims_options options = {.claims = 2000000,
                                     .single = 10000000,
                                     .orders = 2000000,
                                     .look = 2000000,
                                     .prune = 20,
                                     .turns = 500000,
                                     .batch = 5000,
                                     .again = 5,
                                     .among = 1000000,
                                     .folder = "."};
    int64_t *const numbers[] = {&options.claims, &options.single, &options.orders, &options.look,
                                &options.prune,  &options.batch,  &options.again,  &options.bucket,
                                &options.turns,  &options.among};
    const int number_count = (int)(sizeof(numbers) / sizeof(*numbers));
    int option = 0;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option >= 0 && option < number_count) {
            *numbers[option] = number(optarg);
        } else if (option == number_count) {
            options.folder = optarg;
        } else {
            (void)fprintf(stderr, "usage: claims [--claims N] [--single N] [--orders N] [--look N]"
                                  " [--prune BUCKETS] [--turns N] [--batch N] [--again PERCENT]"
                                  " [--among N] [--bucket CLAIMS] [--folder FOLDER]\n");
            exit(2);
        }
    }
    options.single = options.single < options.claims ? options.single : options.claims;
    if (options.claims < 100000 || options.among == 0 || options.batch == 0 ||
        options.batch > 100000) {
        (void)fprintf(stderr, "claims: at least 100000 claims, in batches of 1 to 100000, and"
                              " redelivered ones among some\n");
        exit(2);
    }
    return options;
}

static void run_claims(const struct claims_options *options, struct results *results)
{
    struct claims_box box;
    claims_box_init(&box, options->folder, "claims");
    box.bucket_claims = options->bucket;
    box.among = options->among;
    claims_grow(options, &box, &results->grown);
    claims_start(&box, &results->started);
    if (options->turns > 0) {
        claims_grow_beside(options, &box, &results->grown);
    }
    claims_prune(options, &box, &results->pruned);
    claims_box_done(&box);
}

int main(int argc, char **argv)
{
    const struct claims_options options = read_options(argc, argv);
    struct results results = {0};
    printf("%lld claims in batches of %lld, and %lld %% more that are among the newest %lld.\n\n",
           (long long)options.claims, (long long)options.batch, (long long)options.again,
           (long long)options.among);
    run_claims(&options, &results);
    if (options.single > 0) {
        claims_single(&options, &results.singled);
    }
    if (options.look >= 1000) {
        claims_look(&options, &results.looked);
    }
    if (options.orders > 0) {
        claims_orders(&options, &results.ordered);
    }
    print_table(&results);
    print_json(&options, &results);
    claims_rate_done(&results.grown.at_1m);
    claims_rate_done(&results.grown.at_n);
    claims_rate_done(&results.grown.beside_1m);
    claims_rate_done(&results.grown.beside_n);
    claims_rate_done(&results.pruned.rate);
    return 0;
}
