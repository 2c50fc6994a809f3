/*
 * demo_report: what the demo prints at the end: the database against what its producer knows.
 *
 * Threads: the main thread. Output on stdout.
 */
#ifndef OW_CMD_DEMO_REPORT_H
#define OW_CMD_DEMO_REPORT_H

#include "base/status.h"
#include "demo_events.h"
#include "demo_folder.h"

struct ow_demo_facts {
    const struct ow_demo_folder *folder;
    struct ow_demo_expected expected;
    int kills;
    double seconds;
};

/* Prints the table. DIFFERENT: the database is not what it must be. */
enum ow_status ow_demo_report(const struct ow_demo_facts *facts, struct ow_err *err) OW_MUST_USE;

#endif
