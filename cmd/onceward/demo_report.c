#include "demo_report.h"

#include "output.h"
#include "store/survey.h"
#include "store/verify.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { GROUPS_MAX = 16, NUMBER_BYTES = 32 };

struct report {
    struct ow_grid grid;
    int64_t differences;
    int64_t payments; /* found */
};

/* 1234567 as "1,234,567". */
static void format_count(int64_t value, char text[NUMBER_BYTES])
{
    char digits[NUMBER_BYTES];
    const int len = snprintf(digits, sizeof(digits), "%" PRId64, value);
    size_t out = 0;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0 && digits[i - 1] != '-') {
            text[out++] = ',';
        }
        text[out++] = digits[i];
    }
    text[out] = '\0';
}

/* Minor units: 123456 as "1,234.56". */
static void format_money(int64_t minor, char text[NUMBER_BYTES])
{
    format_count(minor / 100, text);
    const size_t len = strlen(text);
    (void)snprintf(text + len, NUMBER_BYTES - len, ".%02d", (int)(minor % 100));
}

static void add_row(struct report *report, const char *what, const char *expected,
                    const char *found, bool equal)
{
    ow_grid_row(&report->grid,
                (const char *const[]){what, expected, found, equal ? "" : "DIFFERENT"});
    report->differences += !equal;
}

static void compare_counts(struct report *report, const char *what, int64_t expected, int64_t found)
{
    char left[NUMBER_BYTES];
    char right[NUMBER_BYTES];
    format_count(expected, left);
    format_count(found, right);
    add_row(report, what, left, right, expected == found);
}

static void compare_money(struct report *report, const char *what, int64_t expected, int64_t found)
{
    char left[NUMBER_BYTES];
    char right[NUMBER_BYTES];
    format_money(expected, left);
    format_money(found, right);
    add_row(report, what, left, right, expected == found);
}

static enum ow_status compare_outcomes(struct report *report, const struct ow_demo_facts *facts,
                                       struct ow_err *err)
{
    const struct ow_demo_expected *expected = &facts->expected;
    struct ow_survey_counters counters;
    OW_TRY(ow_survey_counters(facts->folder->store, &counters, err));
    const int64_t *counts = counters.counts;
    char what[64];
    char parked[NUMBER_BYTES];
    format_count(counts[OW_OUTCOME_PARKED], parked);
    (void)snprintf(what, sizeof(what), "applied (%s of them waited first)", parked);
    compare_counts(report, "records", expected->records, counters.records);
    compare_counts(report, what, expected->valid,
                   counts[OW_OUTCOME_APPLIED] + counts[OW_OUTCOME_PARKED]);
    compare_counts(report, "duplicate", expected->redelivered, counts[OW_OUTCOME_DUPLICATE]);
    compare_counts(report, "quarantined", expected->conflicts + expected->broken,
                   counts[OW_OUTCOME_QUARANTINED]);
    compare_counts(report, "stale, filtered", 0,
                   counts[OW_OUTCOME_STALE] + counts[OW_OUTCOME_FILTERED]);
    return OW_OK;
}

/* The group of that name, or one of zeros. */
static struct ow_survey_group find_group(const struct ow_survey_group *groups, size_t count,
                                         const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(groups[i].name, name) == 0) {
            return groups[i];
        }
    }
    return (struct ow_survey_group){0};
}

static enum ow_status compare_orders(struct report *report, const struct ow_demo_facts *facts,
                                     struct ow_err *err)
{
    struct ow_survey_group groups[GROUPS_MAX];
    size_t count = 0;
    const struct ow_survey_query by_state = {
        .path = facts->folder->store, .table = "orders", .by = "state"};
    OW_TRY(ow_survey_groups(&by_state, groups, GROUPS_MAX, &count, err));
    for (int i = 0; i < OW_DEMO_STATE_COUNT; i++) {
        char what[64];
        (void)snprintf(what, sizeof(what), "orders %s", ow_demo_state_text((enum ow_demo_state)i));
        compare_counts(report, what, facts->expected.orders[i],
                       find_group(groups, count, ow_demo_state_text((enum ow_demo_state)i)).rows);
    }
    return OW_OK;
}

static enum ow_status compare_money_tables(struct report *report, const struct ow_demo_facts *facts,
                                           struct ow_err *err)
{
    const struct ow_demo_expected *expected = &facts->expected;
    struct ow_survey_query query = {
        .path = facts->folder->store, .table = "payments", .sum = "amount_minor"};
    struct ow_survey_group paid = {0};
    struct ow_survey_group refunded = {0};
    size_t count = 0;
    OW_TRY(ow_survey_groups(&query, &paid, 1, &count, err));
    query.table = "refunds";
    OW_TRY(ow_survey_groups(&query, &refunded, 1, &count, err));
    report->payments = paid.rows;
    compare_counts(report, "payments", expected->payments, paid.rows);
    compare_money(report, "sum of payments", expected->paid_minor, paid.sum);
    compare_counts(report, "refunds", expected->refunds, refunded.rows);
    compare_money(report, "sum of refunds", expected->refunded_minor, refunded.sum);
    return OW_OK;
}

static enum ow_status print_verification(const struct ow_demo_facts *facts, bool *ret_ok,
                                         struct ow_err *err)
{
    struct ow_arena arena;
    ow_arena_init(&arena, 65536);
    struct ow_verification verification = {0};
    const enum ow_status status = ow_verify(facts->folder->store, &arena, &verification, err);
    if (status == OW_OK) {
        *ret_ok = verification.ok;
        (void)printf("verify: %zu promises %s\n", verification.promise_count,
                     verification.ok ? "hold" : "checked, BROKEN:");
        for (size_t i = 0; i < verification.promise_count; i++) {
            const struct ow_promise *promise = &verification.promises[i];
            if (promise->broken > 0) {
                (void)printf("  %s: %" PRId64 " of %" PRId64 "\n", promise->name, promise->broken,
                             promise->checked);
            }
        }
    }
    ow_arena_done(&arena);
    return status;
}

static enum ow_status fill(struct report *report, const struct ow_demo_facts *facts,
                           struct ow_err *err)
{
    ow_grid_row(&report->grid, (const char *const[]){"", "the shop sent", "the database has", ""});
    OW_TRY(compare_outcomes(report, facts, err));
    OW_TRY(compare_orders(report, facts, err));
    return compare_money_tables(report, facts, err);
}

/* How this program is called from here: below the current folder by a relative path. */
static void find_program(char *program, size_t size)
{
    char folder[1024];
    char self[1024];
    (void)snprintf(program, size, "onceward");
    const ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (len <= 0 || getcwd(folder, sizeof(folder)) == NULL) {
        return;
    }
    self[len] = '\0';
    const size_t folder_len = strlen(folder);
    const bool below = strncmp(self, folder, folder_len) == 0 && self[folder_len] == '/';
    (void)snprintf(program, size, "%s", below ? self + folder_len + 1 : self);
}

static void print_next_steps(const struct ow_demo_folder *folder)
{
    char program[1024];
    find_program(program, sizeof(program));
    (void)printf(
        "\nThe database is %s. Look at it:\n"
        "  %s verify %s\n"
        "  sqlite3 -readonly %s 'SELECT state, count(*), sum(paid_minor) FROM orders GROUP BY "
        "state'\n"
        "  sqlite3 -readonly %s 'SELECT reason, count(*) FROM ow_quarantine GROUP BY reason'\n"
        "  less %s\n"
        "  rm -r %s\n",
        folder->store, program, folder->store, folder->store, folder->store, folder->log,
        folder->path);
}

enum ow_status ow_demo_report(const struct ow_demo_facts *facts, struct ow_err *err)
{
    struct report report = {.grid = {.column_count = 4}};
    bool verified = false;
    enum ow_status status = fill(&report, facts, err);
    if (status == OW_OK) {
        (void)printf("\n");
        ow_grid_print(&report.grid, stdout);
        (void)printf("\n");
        status = print_verification(facts, &verified, err);
    }
    ow_grid_done(&report.grid);
    OW_TRY(status);
    const bool right = report.differences == 0 && verified;
    char found[NUMBER_BYTES];
    char expected[NUMBER_BYTES];
    format_count(report.payments, found);
    format_count(facts->expected.payments, expected);
    (void)printf("%s%s%s: %s payments for %s payment events, through %d kill%s, in %.1f s\n",
                 ow_output_colour(stdout, right ? OW_COLOUR_GREEN : OW_COLOUR_RED),
                 right ? "exactly once" : "NOT exactly once",
                 ow_output_colour(stdout, OW_COLOUR_NONE), found, expected, facts->kills,
                 facts->kills == 1 ? "" : "s", facts->seconds);
    print_next_steps(facts->folder);
    return right ? OW_OK
                 : ow_fail(err, OW_DIFFERENT, "the database is not what the shop's events say");
}
