#include "base/duration.h"

#include <inttypes.h>
#include <stdio.h>

const char *ow_duration_text(int64_t ms, char out[OW_DURATION_TEXT_MAX])
{
    static const struct {
        const char *name;
        int64_t ms;
    } units[] = {
        {"d",  86400000},
        {"h",  3600000 },
        {"m",  60000   },
        {"s",  1000    },
        {"ms", 1       },
    };
    if (ms == INT64_MAX) {
        (void)snprintf(out, OW_DURATION_TEXT_MAX, "for ever");
        return out;
    }
    size_t unit = 0;
    while (ms % units[unit].ms != 0) {
        unit++;
    }
    if (ms == 0) {
        unit = sizeof units / sizeof *units - 1;
    }
    (void)snprintf(out, OW_DURATION_TEXT_MAX, "%" PRId64 "%s", ms / units[unit].ms,
                   units[unit].name);
    return out;
}
