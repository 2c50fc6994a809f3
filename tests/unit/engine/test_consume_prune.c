#include "groups.h"
int ow_test_consume_prune(void)
{
    return 0;
}
