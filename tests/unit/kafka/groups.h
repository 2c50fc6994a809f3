#ifndef OW_TESTS_KAFKA_GROUPS_H
#define OW_TESTS_KAFKA_GROUPS_H

/* Each runs the tests of one file and returns how many failed. */
int ow_test_producer(void);
int ow_test_reader(void);
int ow_test_settings(void);
int ow_test_source(void);
int ow_test_describe(void);
int ow_test_talk(void);
int ow_test_within(void);

#endif
