#include "base/contract.h"

#include <stdio.h>
#include <stdlib.h>

void ow_contract_failed(const char *kind, const char *text, const char *file, int line)
{
    (void)fprintf(stderr, "onceward: this is a bug: %s broken at %s:%d: %s\n", kind, file, line,
                  text);
    abort();
}
