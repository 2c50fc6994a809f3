#include "groups.h"

int main(void)
{
    int failed = 0;
    failed += ow_test_describe();
    failed += ow_test_talk();
    failed += ow_test_within();
    failed += ow_test_settings();
    failed += ow_test_producer();
    failed += ow_test_source();
    failed += ow_test_reader();
    return failed == 0 ? 0 : 1;
}
