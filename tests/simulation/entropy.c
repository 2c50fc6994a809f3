#include "entropy.h"

#include "base/contract.h"
#include "random.h"

#include <sodium.h>

static struct ow_random stream;

static const char *name(void)
{
    return "simulation";
}

static uint32_t draw(void)
{
    return (uint32_t)ow_random_next(&stream);
}

static void fill(void *const buffer, const size_t size)
{
    for (size_t i = 0; i < size; i++) {
        ((uint8_t *)buffer)[i] = (uint8_t)ow_random_next(&stream);
    }
}

void ow_entropy_register(void)
{
    static randombytes_implementation implementation = {
        .implementation_name = name, .random = draw, .buf = fill};
    const int code = randombytes_set_implementation(&implementation);
    OW_INVARIANT(code == 0);
}

void ow_entropy_reset(uint64_t seed)
{
    stream = ow_random_stream(seed, 31);
}
