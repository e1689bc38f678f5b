/* Layouts: offsets, padding, round trips, sizes beyond 64 bits. */
#include "nn/tensor.h"

#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "tests/check.h"

static void test_channel_blocks(void)
{
    int64_t block = tensor_block();
    CHECK(block == 8 || block == 16);
    CHECK_INT(tensor_channel_block(block - 1), 1);
    CHECK_INT(tensor_channel_block(block), block);
    CHECK_INT(tensor_stored_channels(3), 3);
    CHECK_INT(tensor_stored_channels(block + 1), 2 * block);
    CHECK_INT(shape_voxels((struct shape){2, 3, 4, 5, 6}), 120);
    CHECK_INT(shape_count((struct shape){2, 3, 4, 5, 6}), 720);
}

static void test_round_trip(void)
{
    static const int64_t channels[] = {1, 2, 7, 8, 16, 17, 33};
    for (size_t i = 0; i < sizeof channels / sizeof *channels; i++) {
        struct shape shape = {2, channels[i], 3, 19, 5};
        int64_t count = shape_count(shape), floats = tensor_floats(shape);
        float *plain = memory_alloc((size_t)count, sizeof *plain), *back = memory_zalloc((size_t)count, sizeof *back);
        struct tensor tensor = {.shape = shape, .data = memory_alloc((size_t)floats, sizeof(float))};
        struct rng rng = rng_make(1, (uint64_t)i);
        double sum = 0, stored = 0;
        int64_t wrong = 0, at = 0;
        for (int64_t j = 0; j < count; j++)
            sum += (double)(plain[j] = (float)rng_below(&rng, 1000));
        tensor_from_plain(tensor, plain);
        for (int64_t j = 0; j < floats; j++)
            stored += (double)tensor.data[j];
        CHECK_NEAR(stored, sum, 0); /* nothing but zeros in the padding */
        for (int64_t n = 0; n < shape.n; n++)
            for (int64_t c = 0; c < shape.c; c++)
                for (int64_t z = 0; z < shape.d; z++)
                    for (int64_t y = 0; y < shape.h; y++)
                        for (int64_t x = 0; x < shape.w; x++)
                            wrong += tensor.data[tensor_at(shape, n, c, z, y, x)] != plain[at++];
        CHECK_INT(wrong, 0);
        tensor_to_plain(back, tensor);
        CHECK(memcmp(plain, back, (size_t)count * sizeof *back) == 0);
        memory_free(plain);
        memory_free(back);
        memory_free(tensor.data);
    }
}

static void test_huge(void)
{
    char text[SHAPE_TEXT];
    CHECK_INT(tensor_floats((struct shape){1, 32, 2048, 2048, 2048}), (int64_t)32 << 33);
    CHECK_INT(tensor_floats((struct shape){1, 32, INT64_C(1) << 31, INT64_C(1) << 31, 2}), -1);
    CHECK_INT(tensor_floats((struct shape){1, INT64_MAX, 1, 1, 1}), -1);
    CHECK_INT(tensor_floats((struct shape){1, 1, -1, 1, 1}), -1);
    CHECK_TEXT(shape_text(text, (struct shape){1, 32, 64, 65, 66}), "1x32x64x65x66");
}

int main(int argc, char **argv)
{
    const struct check_test tests[] = {
        {"channel_blocks", test_channel_blocks}, {"round_trip", test_round_trip}, {"huge", test_huge}, {0}};
    return check_main(argc, argv, tests);
}
