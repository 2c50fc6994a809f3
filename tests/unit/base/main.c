#include "groups.h"

int main(void)
{
    int failed = 0;
    failed += ow_test_arena();
    failed += ow_test_buffer();
    failed += ow_test_clock();
    failed += ow_test_failpoint();
    failed += ow_test_fuse();
    failed += ow_test_duration();
    failed += ow_test_map();
    failed += ow_test_nearest();
    failed += ow_test_parse();
    failed += ow_test_slice();
    failed += ow_test_status();
    return failed == 0 ? 0 : 1;
}
