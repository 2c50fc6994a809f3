/* What lies in quarantine, for people: the row, and of a conflict in what it differs. */
#include "base/parse.h"
#include "explain_print.h"

#include <inttypes.h>

static void print_difference(const struct ow_difference *difference)
{
    const char *const remark = ow_difference_remark(difference);
    for (size_t i = 0; i < difference->count; i++) {
        const struct ow_difference_field *const field = &difference->fields[i];
        printf("    ");
        ow_output_text(stdout, ow_slice_of(field->name));
        printf(": ");
        ow_output_text(stdout, ow_slice_of(field->first == NULL ? "absent" : field->first));
        printf(" → ");
        ow_output_text(stdout, ow_slice_of(field->second == NULL ? "absent" : field->second));
        printf("\n");
    }
    if (difference->more > 0) {
        printf("    and %zu more\n", difference->more);
    }
    if (remark != NULL) {
        printf("    %s\n", remark);
    }
}

void ow_explain_print_quarantine(const struct ow_explain_quarantine *row)
{
    char first[OW_TIME_TEXT_BYTES];
    char last[OW_TIME_TEXT_BYTES];
    ow_format_time_ms(row->first_seen_ms, first);
    ow_format_time_ms(row->last_seen_ms, last);
    printf(
        "%sin quarantine:%s row %" PRId64 ", %s, status %s, %s[%" PRId64 "] %" PRId64 ", since %s",
        ow_output_colour(stdout, OW_COLOUR_RED), ow_output_colour(stdout, OW_COLOUR_NONE), row->id,
        row->reason, row->status, row->place.topic, row->place.partition, row->place.offset, first);
    if (row->seen > 1) {
        printf(", seen %" PRId64 " times, last %s", row->seen, last);
    }
    if (row->attempts > 0) {
        printf(", requeued %" PRId64 " times", row->attempts);
    }
    printf("%s", row->note == NULL ? "" : "; note: ");
    ow_output_text(stdout, ow_slice_of(row->note));
    printf("\n");
    if (row->difference != NULL) {
        print_difference(row->difference);
    }
}
