/* blas.h - private to shape/: OpenBLAS on one thread. Its own threads would split sums by their number; ours work on
 * tiles of fixed size instead. */
#ifndef CALVARIA_SHAPE_BLAS_H
#define CALVARIA_SHAPE_BLAS_H

/* Before any call of BLAS or LAPACK. Cheap. */
void blas_one_thread(void);

#endif
