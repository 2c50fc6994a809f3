#ifndef OW_TESTS_STORE_GROUPS_H
#define OW_TESTS_STORE_GROUPS_H

/* Each runs the tests of one file and returns how many failed. */
int ow_test_batch(void);
int ow_test_claim(void);
int ow_test_entity(void);
int ow_test_explain(void);
int ow_test_headers(void);
int ow_test_open(void);
int ow_test_position(void);
int ow_test_quarantine(void);
int ow_test_seal(void);
int ow_test_unread(void);
int ow_test_verify(void);
int ow_test_verify_edits(void);
int ow_test_verify_live(void);
int ow_test_verify_topic(void);

#endif
