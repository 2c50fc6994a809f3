#ifndef OW_TESTS_STORE_GROUPS_H
#define OW_TESTS_STORE_GROUPS_H

/* Each runs the tests of one file and returns how many failed. */
int ow_test_backup(void);
int ow_test_backup_place(void);
int ow_test_batch(void);
int ow_test_claim(void);
int ow_test_claim_fault(void);
int ow_test_claims_survey(void);
int ow_test_entity(void);
int ow_test_erase(void);
int ow_test_explain(void);
int ow_test_explain_difference(void);
int ow_test_filter(void);
int ow_test_filter_pieces(void);
int ow_test_headers(void);
int ow_test_horizon(void);
int ow_test_moved(void);
int ow_test_migrate(void);
int ow_test_inflight(void);
int ow_test_open(void);
int ow_test_position(void);
int ow_test_prune(void);
int ow_test_prune_clock(void);
int ow_test_quarantine(void);
int ow_test_restore(void);
int ow_test_restore_replaced(void);
int ow_test_seal(void);
int ow_test_unread(void);
int ow_test_two_writers(void);
int ow_test_verify(void);
int ow_test_verify_edits(void);
int ow_test_verify_live(void);
int ow_test_verify_topic(void);
int ow_test_wal(void);

#endif
