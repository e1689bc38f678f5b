/* space_to_depth.c - a gather with stride 2 as a stride-1 convolution: the large grid is split by the parity of z, y
 * and x into eight times the channels at half the size, S[s,z] = sum_{q,l,m} w[s,l,t] * L[l, 2(z - pad' + m) + q] with
 * t = 2(m - pad') + q + pad and no tap where t is none of the kernel's. Taken where minimal filtering of it needs less
 * than half the products: kernels of 5 and 6. Test: tests/nn/test_engine.c */
#include "nn/engine/space_to_depth.h"

#include <string.h>

#include "nn/engine/winograd.h"

static int64_t space_to_depth_pad(int64_t pad)
{
    return (pad + 1) / 2;
}

struct direct_conv space_to_depth_conv(const struct direct_conv *grid)
{
    const struct shape src = grid->src;
    struct direct_conv conv = {.src = {src.n, src.c * PARITIES, src.d / 2, src.h / 2, src.w / 2},
                               .dst = grid->dst,
                               .winograd = grid->winograd};
    for (int a = 0; a < 3; a++) {
        conv.stride[a] = 1;
        conv.pad[a] = space_to_depth_pad(grid->pad[a]);
        conv.kernel[a] = (grid->kernel[a] - 1 - grid->pad[a]) / 2 + conv.pad[a] + 1;
    }
    return conv;
}

bool space_to_depth_supports(const struct direct_conv *grid)
{
    const struct shape src = grid->src, dst = grid->dst;
    int64_t block_c = tensor_block();
    if (!grid->winograd || grid->bfloat16 || src.d != 2 * dst.d || src.h != 2 * dst.h || src.w != 2 * dst.w ||
        src.c % block_c)
        return false;
    for (int a = 0; a < 3; a++)
        if (grid->stride[a] != 2)
            return false;
    struct direct_conv conv = space_to_depth_conv(grid);
    if (!winograd_supports(&conv))
        return false;
    struct winograd_grid tiles = winograd_grid_of(&conv, block_c);
    return 2 * dst.n * tiles.tiles[0] * tiles.tiles[1] * tiles.tiles[2] * tiles.positions * tiles.sums * conv.src.c *
               dst.c <
           direct_conv_macs(grid);
}

void space_to_depth_taps(const struct direct_conv *grid, int64_t parity, bool reversed, int32_t *tap)
{
    const struct direct_conv conv = space_to_depth_conv(grid);
    const int64_t q[3] = {parity / 4, parity / 2 % 2, parity % 2}, *n = conv.kernel;
    for (int64_t j = 0; j < n[0] * n[1] * n[2]; j++) {
        int64_t at = reversed ? n[0] * n[1] * n[2] - 1 - j : j, index = 0;
        const int64_t m[3] = {at / (n[1] * n[2]), at / n[2] % n[1], at % n[2]};
        bool inside = true;
        for (int a = 0; a < 3; a++) {
            int64_t t = 2 * (m[a] - conv.pad[a]) + q[a] + grid->pad[a];
            inside = inside && t >= 0 && t < grid->kernel[a];
            index = index * grid->kernel[a] + t;
        }
        tap[j] = inside ? (int32_t)index : -1;
    }
}

int64_t space_to_depth_floats(const struct direct_conv *grid)
{
    return tensor_floats(grid->src);
}

void space_to_depth_split(const struct direct_conv *grid, const float *src, float *dst)
{
    const struct shape whole = grid->src;
    const int64_t block_c = tensor_block(), blocks = whole.c / block_c, d = whole.d / 2, h = whole.h / 2,
                  w = whole.w / 2;

#pragma omp parallel for collapse(3) schedule(static)
    for (int64_t n = 0; n < whole.n; n++)
        for (int64_t row = 0; row < PARITIES * blocks; row++)
            for (int64_t z = 0; z < d; z++) {
                int64_t parity = row / blocks, block = row % blocks;
                float *to = dst + ((n * PARITIES * blocks + row) * d + z) * h * w * block_c;
                for (int64_t y = 0; y < h; y++) {
                    const float *from = src + tensor_at(whole, n, block * block_c, 2 * z + parity / 4,
                                                        2 * y + parity / 2 % 2, parity % 2);
                    for (int64_t x = 0; x < w; x++, to += block_c, from += 2 * block_c)
                        memcpy(to, from, (size_t)block_c * sizeof *to);
                }
            }
}
