#include "base/log.h"
#include "groups.h"

int main(void)
{
    int failed = 0;
    ow_log_set_level(OW_LOG_ERROR);
    failed += ow_test_partition();
    failed += ow_test_port();
    failed += ow_test_job();
    failed += ow_test_positions();
    failed += ow_test_positions_fault();
    failed += ow_test_seed();
    failed += ow_test_apply();
    failed += ow_test_apply_edges();
    failed += ow_test_apply_careful();
    failed += ow_test_assign();
    failed += ow_test_fault();
    failed += ow_test_watchdog();
    failed += ow_test_careful();
    failed += ow_test_seed_fault();
    failed += ow_test_tend();
    failed += ow_test_worker();
    failed += ow_test_worker_accused();
    failed += ow_test_worker_edges();
    failed += ow_test_worker_death();
    failed += ow_test_worker_start();
    failed += ow_test_worker_steps();
    failed += ow_test_consume();
    failed += ow_test_consume_edges();
    failed += ow_test_consume_end();
    failed += ow_test_consume_full();
    failed += ow_test_consume_prune();
    failed += ow_test_consume_jam();
    failed += ow_test_consume_doubt();
    failed += ow_test_consume_again();
    failed += ow_test_flaky();
    failed += ow_test_answer();
    return failed == 0 ? 0 : 1;
}
