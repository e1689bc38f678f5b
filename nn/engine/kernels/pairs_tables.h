/* pairs_tables.h - private: the tables of pairs.inc's instruction sets. */
#ifndef CALVARIA_NN_ENGINE_KERNELS_PAIRS_TABLES_H
#define CALVARIA_NN_ENGINE_KERNELS_PAIRS_TABLES_H

#include "nn/engine/pairs.h"

extern const struct pairs_kernels pairs_kernels_plain, pairs_kernels_avx2, pairs_kernels_avx512, pairs_kernels_bf16;

#endif
