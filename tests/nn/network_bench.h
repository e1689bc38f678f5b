/* network_bench.h - a network from YAML text with drawn parameters and input, for tests. */
#ifndef CALVARIA_TESTS_NN_NETWORK_BENCH_H
#define CALVARIA_TESTS_NN_NETWORK_BENCH_H

#include "nn/network/network.h"
#include "nn/network/network_impl.h"

struct network_bench {
    struct arena arena;
    struct network_config config;
    struct params params;
    struct network *network;
    struct shape src_shape, dst_shape;
    float *src, *d_dst; /* plain, drawn */
};

/* The text is the list of layers: "[ { type: conv, filters: 2 }, ... ]". */
enum status network_bench_config(struct network_bench *bench, const char *layers, int64_t input_channels,
                                 struct error *error);
/* False after failed checks. */
bool network_bench_open(struct network_bench *bench, const char *layers, struct shape src, enum network_mode mode,
                        const struct network_options *options);
void network_bench_close(struct network_bench *bench);

#endif
