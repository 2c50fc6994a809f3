/* A proof for people. */
#include "machine_prove.h"
#include "model/prove.h"

#include <inttypes.h>

/* 1234567 as "1,234,567". */
static const char *count_text(uint64_t count, struct ow_arena *arena)
{
    const char *const digits = ow_arena_printf(arena, "%" PRIu64, count);
    const size_t len = strlen(digits);
    char *const text = ow_arena_alloc(arena, 2 * len + 1);
    size_t at = 0;
    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            text[at++] = ',';
        }
        text[at++] = digits[i];
    }
    return text;
}

static void print_title(const char *text)
{
    printf("\n%s%s%s\n", ow_output_colour(stdout, OW_COLOUR_BOLD), text,
           ow_output_colour(stdout, OW_COLOUR_NONE));
}

static void print_events(const struct ow_proof *proof)
{
    OW_GRID grid = {.column_count = 3};
    print_title("Events that were tried");
    ow_grid_row(&grid, (const char *const[]){"EVENT", "AGAIN UNDER NEW IDS", "VALUES"});
    for (size_t i = 0; i < proof->event_count; i++) {
        const struct ow_proof_event *const event = &proof->events[i];
        ow_grid_row(&grid, (const char *const[]){event->name, event->renewable ? "yes" : "no",
                                                 event->values});
    }
    ow_grid_print(&grid, stdout);
    printf(
        "Each message also comes again, is read again, and its id comes on other content; all in "
        "every order.\n");
}

static void print_figures(const struct ow_proof *proof, size_t length_asked, struct ow_arena *arena)
{
    print_title(proof->broken == NULL ? "What was played" : "What was played until it broke");
    if (proof->broken == NULL) {
        printf("%s%s sequences of up to %zu events (%s)\n",
               proof->sequences == UINT64_MAX ? "at least " : "",
               count_text(proof->sequences, arena), proof->length,
               proof->sequences == UINT64_MAX ? "the counter ends there" : "all there are");
    }
    printf("%s configurations after up to %zu events; sequences that meet in one are continued "
           "together\n",
           count_text(proof->configurations, arena), proof->length - 1);
    printf("%s events judged, each by the worker and by a second reading of the rules\n",
           count_text(proof->steps, arena));
    printf(
        "not looked at: several entities at once, deadlines, the horizon, records that the store "
        "refuses\n");
    if (proof->length < length_asked) {
        printf("NOT further: %zu events lead to more than %s configurations, which is the bound; "
               "nothing is said of sequences longer than %zu\n",
               proof->length, count_text(OW_PROVE_CONFIGURATIONS_MAX, arena), proof->length);
    }
}

static void print_promises(const struct ow_proof *proof, struct ow_arena *arena)
{
    OW_GRID grid = {.column_count = 4};
    print_title("Promises");
    ow_grid_row(&grid, (const char *const[]){"", "PROMISE", "CHECKED", "IT SAYS"});
    for (size_t i = 0; i < OW_PROMISE_COUNT; i++) {
        const enum ow_promise promise = (enum ow_promise)i;
        const struct ow_proof_promise *const counts = &proof->promises[i];
        const char *const verdict = counts->broken         ? "BROKEN"
                                    : counts->checked == 0 ? "no case"
                                                           : "holds";
        ow_grid_row(&grid, (const char *const[]){verdict, ow_promise_name(promise),
                                                 count_text(counts->checked, arena),
                                                 ow_promise_text(promise)});
    }
    ow_grid_print(&grid, stdout);
}

static void print_broken(const struct ow_proof_witness *broken)
{
    print_title("The shortest sequence that breaks it");
    for (size_t i = 0; i < broken->line_count; i++) {
        printf("%3zu. %s: %s\n", i + 1, broken->lines[i].event, broken->lines[i].fate);
    }
    printf("expected: %s\nfound:    %s\n", broken->expected, broken->found);
}

static void print_pair(const struct ow_proof_pair *pair)
{
    printf("%s, %s\n    %s", pair->types[0]->name, pair->types[1]->name,
           pair->prefix_count == 0 ? "at the start" : "after ");
    for (size_t i = 0; i < pair->prefix_count; i++) {
        printf("%s%s", i == 0 ? "" : ", ", pair->prefix[i].event);
    }
    printf("\n");
    for (size_t i = 0; i < 2; i++) {
        printf("    %s %s: %s\n      then %s: %s\n      ends with %s\n",
               i == 0 ? "either" : "or    ", pair->plays[i][0].event, pair->plays[i][0].fate,
               pair->plays[i][1].event, pair->plays[i][1].fate, pair->ends[i]);
    }
}

static void print_pairs(const struct ow_proof *proof)
{
    size_t count = 0;
    for (const struct ow_proof_pair *pair = proof->pairs; pair != NULL; pair = pair->next) {
        count++;
    }
    print_title("Events whose order makes a difference");
    printf("pairs of types: %zu, each with a shortest witness. That is for you to know, and no "
           "fault:\nwhere both come from one partition, the producer's order decides.\n",
           count);
    for (const struct ow_proof_pair *pair = proof->pairs; pair != NULL; pair = pair->next) {
        print_pair(pair);
    }
}

static void print_cells(const struct ow_proof *proof, struct ow_arena *arena)
{
    OW_GRID grid = {.column_count = 3};
    bool is_refused = false;
    print_title("Cells that nothing came to, or that always refused");
    if (proof->cells == NULL) {
        printf("none of %zu\n", proof->cell_count);
        return;
    }
    printf("%zu of %zu\n", proof->cell_count - proof->cells_played, proof->cell_count);
    OW_CLEANUP(ow_tree_done) struct ow_tree tree = ow_machine_prove_tree(proof->machine);
    ow_grid_row(&grid, (const char *const[]){"STATE", "EVENT", "WHY"});
    for (const struct ow_proof_cell *cell = proof->cells; cell != NULL; cell = cell->next) {
        is_refused = is_refused || cell->cause == OW_PROOF_CAUSE_NEVER_FULFILLED;
        const int line = ow_machine_prove_line(&tree, cell);
        const char *const why =
            line > 0 ? ow_arena_printf(arena, "%s (%s:%d)", cell->why, proof->machine->file, line)
                     : cell->why;
        ow_grid_row(&grid, (const char *const[]){cell->state, cell->event->name, why});
    }
    ow_grid_print(&grid, stdout);
    if (is_refused) {
        printf("Never fulfilled: by the values that were tried (they are listed above); others may "
               "do it.\n");
    }
}

void ow_machine_prove_text(const struct ow_proof *proof, size_t length_asked)
{
    struct ow_arena arena;
    ow_arena_init(&arena, 4096);
    const char *const verdict =
        proof->broken != NULL
            ? "a promise is BROKEN"
            : ow_arena_printf(&arena, "all promises hold; %zu of %zu cells played",
                              proof->cells_played, proof->cell_count);
    printf("%s, version %lld (%s): %s\n", proof->machine->name, (long long)proof->machine->version,
           proof->machine->file, verdict);
    print_events(proof);
    print_figures(proof, length_asked, &arena);
    print_promises(proof, &arena);
    if (proof->broken != NULL) {
        print_broken(proof->broken);
    } else {
        print_pairs(proof);
        print_cells(proof, &arena);
    }
    ow_arena_done(&arena);
}
