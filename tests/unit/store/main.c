#include "groups.h"

int main(void)
{
    int failed = 0;
    failed += ow_test_headers();
    failed += ow_test_open();
    failed += ow_test_batch();
    failed += ow_test_claim();
    failed += ow_test_entity();
    failed += ow_test_quarantine();
    failed += ow_test_seal();
    failed += ow_test_verify();
    return failed == 0 ? 0 : 1;
}
