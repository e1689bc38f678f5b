/* tables.h - private: the tables of table.inc's instruction sets. */
#ifndef CALVARIA_NN_ENGINE_KERNELS_TABLES_H
#define CALVARIA_NN_ENGINE_KERNELS_TABLES_H

#include "nn/engine/kernels.h"

extern const struct engine_kernels engine_kernels_plain, engine_kernels_avx2, engine_kernels_avx512;

#endif
