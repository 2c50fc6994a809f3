#include "groups.h"

int main(void)
{
    int failed = 0;
    failed += ow_test_headers();
    failed += ow_test_open();
    failed += ow_test_migrate();
    failed += ow_test_inflight();
    failed += ow_test_unread();
    failed += ow_test_batch();
    failed += ow_test_backup();
    failed += ow_test_backup_place();
    failed += ow_test_restore();
    failed += ow_test_restore_replaced();
    failed += ow_test_position();
    failed += ow_test_claim();
    failed += ow_test_claim_fault();
    failed += ow_test_filter();
    failed += ow_test_filter_pieces();
    failed += ow_test_horizon();
    failed += ow_test_prune();
    failed += ow_test_prune_clock();
    failed += ow_test_moved();
    failed += ow_test_wal();
    failed += ow_test_two_writers();
    failed += ow_test_entity();
    failed += ow_test_quarantine();
    failed += ow_test_seal();
    failed += ow_test_verify();
    failed += ow_test_verify_edits();
    failed += ow_test_verify_live();
    failed += ow_test_verify_topic();
    failed += ow_test_explain();
    failed += ow_test_claims_survey();
    failed += ow_test_explain_difference();
    failed += ow_test_erase();
    return failed == 0 ? 0 : 1;
}
