#include "model/outcome.h"

const char *ow_outcome_text(enum ow_outcome outcome)
{
    static const char *const texts[] = {
#define OW_OUTCOME_TEXT(name, text) [OW_OUTCOME_##name] = (text),
        OW_OUTCOME_TABLE(OW_OUTCOME_TEXT)
#undef OW_OUTCOME_TEXT
    };
    return texts[outcome];
}

const char *ow_reason_text(enum ow_reason reason)
{
    static const char *const texts[] = {
#define OW_REASON_TEXT(name, text, owns) [OW_REASON_##name] = (text),
        OW_REASON_TABLE(OW_REASON_TEXT)
#undef OW_REASON_TEXT
    };
    return texts[reason];
}

enum ow_reason ow_reason_of(struct ow_slice text)
{
    for (size_t i = OW_REASON_NONE + 1; i <= OW_REASON_PARK_TIMEOUT; i++) {
        if (ow_slice_equals_text(text, ow_reason_text((enum ow_reason)i))) {
            return (enum ow_reason)i;
        }
    }
    return OW_REASON_NONE;
}

bool ow_reason_owns(enum ow_reason reason, bool unread)
{
    static const bool owns[] = {
#define OW_REASON_OWNS(name, text, owns_it) [OW_REASON_##name] = (owns_it),
        OW_REASON_TABLE(OW_REASON_OWNS)
#undef OW_REASON_OWNS
    };
    return owns[reason] && !(reason == OW_REASON_POISON && unread);
}

const char *ow_via_text(enum ow_via via)
{
    static const char *const texts[] = {
#define OW_VIA_TEXT(name, text) [OW_VIA_##name] = (text),
        OW_VIA_TABLE(OW_VIA_TEXT)
#undef OW_VIA_TEXT
    };
    return texts[via];
}
