/* blas.h - OpenBLAS on one thread. Its own threads would split sums by their number; ours work on
 * tiles of fixed size instead. */
#ifndef CALVARIA_SHAPE_BLAS_H
#define CALVARIA_SHAPE_BLAS_H

/* Before any call of BLAS or LAPACK. Cheap. */
void blas_one_thread(void);
/* For a library: the setting is the process's, and its host may use OpenBLAS too. From the first blas_hold on it is one
 * thread; with the last blas_release it is what it was before. */
void blas_hold(void);
void blas_release(void);

#endif
