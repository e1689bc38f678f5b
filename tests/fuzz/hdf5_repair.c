/* hdf5_repair.c - see hdf5_repair.h. The formats: HDF5 File Format Specification 3.0, II.A and IV.A.1.b. The checksum
 * is Bob Jenkins' lookup3 (hashlittle, initial value 0). Test: tests/fuzz/test_hdf5_mutants.c */
#include "tests/fuzz/hdf5_repair.h"

#include <stdbool.h>
#include <string.h>

enum { SUPERBLOCK_BYTES = 48, CONTINUATION = 0x10, MAX_DEPTH = 8 };

static uint64_t get(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static uint32_t rotate(uint32_t x, int by)
{
    return x << by | x >> (32 - by);
}

static uint32_t lookup3(const uint8_t *k, size_t n)
{
    uint8_t tail[12] = {0};
    uint32_t a = 0xdeadbeef + (uint32_t)n, b = a, c = a;
    for (; n > 12; n -= 12, k += 12) {
        a += (uint32_t)get(k, 4);
        b += (uint32_t)get(k + 4, 4);
        c += (uint32_t)get(k + 8, 4);
        a -= c, a ^= rotate(c, 4), c += b;
        b -= a, b ^= rotate(a, 6), a += c;
        c -= b, c ^= rotate(b, 8), b += a;
        a -= c, a ^= rotate(c, 16), c += b;
        b -= a, b ^= rotate(a, 19), a += c;
        c -= b, c ^= rotate(b, 4), b += a;
    }
    if (n == 0)
        return c;
    memcpy(tail, k, n);
    a += (uint32_t)get(tail, 4);
    b += (uint32_t)get(tail + 4, 4);
    c += (uint32_t)get(tail + 8, 4);
    c ^= b, c -= rotate(b, 14);
    a ^= c, a -= rotate(c, 11);
    b ^= a, b -= rotate(a, 25);
    c ^= b, c -= rotate(b, 16);
    a ^= c, a -= rotate(c, 4);
    b ^= a, b -= rotate(a, 14);
    c ^= b, c -= rotate(b, 24);
    return c;
}

static void put_checksum(uint8_t *from, size_t n)
{
    const uint32_t sum = lookup3(from, n);
    for (int i = 0; i < 4; i++)
        from[n + (size_t)i] = (uint8_t)(sum >> (8 * i));
}

/* Messages between `at` and `end`; continuations are followed. */
static int repair_messages(uint8_t *data, size_t n, size_t at, size_t end, bool ordered, int depth)
{
    const size_t head = ordered ? 6 : 4;
    int found = 0;
    while (depth < MAX_DEPTH && at + head <= end) {
        const size_t size = (size_t)get(data + at + 1, 2);
        if (data[at] == CONTINUATION && size >= 16 && at + head + 16 <= end) {
            const uint64_t from = get(data + at + head, 8), bytes = get(data + at + head + 8, 8);
            if (bytes >= 8 && from < n && bytes <= n - from && memcmp(data + from, "OCHK", 4) == 0) {
                found += 1 + repair_messages(data, n, (size_t)from + 4, (size_t)(from + bytes) - 4, ordered, depth + 1);
                put_checksum(data + from, (size_t)bytes - 4);
            }
        }
        at += head + size;
    }
    return found;
}

static int repair_header(uint8_t *data, size_t n, size_t from)
{
    const unsigned flags = data[from + 5];
    const int width = 1 << (flags & 3);
    const size_t size_at = from + 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0), first = size_at + (size_t)width;
    if (data[from + 4] != 2 || first + 4 > n || get(data + size_at, width) > n - first - 4)
        return 0;
    const size_t end = first + (size_t)get(data + size_at, width);
    const int found = 1 + repair_messages(data, n, first, end, flags & 4, 0);
    put_checksum(data + from, end - from);
    return found;
}

int hdf5_repair(uint8_t *data, size_t n)
{
    int found = 0;
    if (n >= SUPERBLOCK_BYTES && memcmp(data, "\211HDF\r\n\032\n", 8) == 0 && (data[8] == 2 || data[8] == 3)) {
        put_checksum(data, SUPERBLOCK_BYTES - 4);
        found++;
    }
    for (size_t i = 0; i + 16 < n; i++)
        if (memcmp(data + i, "OHDR", 4) == 0)
            found += repair_header(data, n, i);
    return found;
}
