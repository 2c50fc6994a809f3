#include "counters.h"

const char *ow_sometimes_text(enum ow_sometimes which)
{
    static const char *const texts[] = {
#define OW_SOMETIMES_TEXT(name, text) [OW_SOMETIMES_##name] = (text),
        OW_SOMETIMES_TABLE(OW_SOMETIMES_TEXT)
#undef OW_SOMETIMES_TEXT
    };
    return texts[which];
}

uint64_t *ow_sometimes(void)
{
    static uint64_t counters[OW_SOMETIMES_COUNT];
    return counters;
}
