#include "base.h"

#define K0 0x9e3779b97f4a7c15u
#define K1 0xd1b54a32d192ed03u
#define K2 0x8cb92ba72f3d8dd7u

static uint64_t read64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static uint64_t read_tail(const uint8_t *p, uint64_t n)
{
    uint64_t v = 0;
    memcpy(&v, p, n);
    return v;
}

/* Sixteen bytes a round, each half keyed, so that no input byte is lost by a zero factor alone. */
uint64_t mps_hash_bytes(const void *data, uint64_t n, uint64_t seed)
{
    const uint8_t *p = data;
    uint64_t h = seed ^ mps_mix(n ^ K0, K1);
    while (n >= 16) {
        h = mps_mix(read64(p) ^ K1 ^ h, read64(p + 8) ^ K2);
        p += 16;
        n -= 16;
    }
    uint64_t a = 0, b = 0;
    if (n >= 8) {
        a = read64(p);
        b = read_tail(p + 8, n - 8);
    } else {
        a = read_tail(p, n);
    }
    return mps_mix(mps_mix(a ^ K1 ^ h, b ^ K2), h ^ K0);
}
