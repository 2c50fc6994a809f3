#include "base/log.h"
#include "groups.h"

int main(void)
{
    int failed = 0;
    ow_log_set_level(OW_LOG_ERROR);
    failed += ow_test_partition();
    failed += ow_test_apply();
    failed += ow_test_worker();
    failed += ow_test_consume();
    return failed == 0 ? 0 : 1;
}
