/* The kernels of products with operands in bf16 and sums in float32: a small table for each way to
   compute them. They work on pairs (simd/scalar_bf16.h): a lane of 32 bits holds the numbers 2p and
   2p + 1 of k. With pairs for numbers the register tile, the loop nest and its buffers are those of
   float32. The second number of the last pair is 0 where k is odd. */
#ifndef FD_KERNELS_BF16_H
#define FD_KERNELS_BF16_H

#include "kernels/table.h"

typedef struct {
    const char *name;
    ptrdiff_t tile_m, tile_n;
    int rows_only; /* the tile reads A by rows only (fd_tile.a_rows) */

    /* Around a thread's tiles; NULL where nothing is to do. */
    void (*begin)(void), (*end)(void);

    /* The tile of fd_table: k, a, lda and b count pairs. */
    void (*gemm_tile)(const fd_tile *t);

    /* The pairs of rows of k numbers: pair p of row i is dst[i*dst_ld + p]. */
    void (*pair_rows)(float *dst, ptrdiff_t dst_ld, const float *src, ptrdiff_t ld, ptrdiff_t rows,
                      ptrdiff_t k);

    /* Of an array that is stored k x n, the same for column j: the pairs of src[p*ld + j] at
       dst[j*dst_ld + p]. 15 pairs more may be written behind each row. */
    void (*pair_rows_t)(float *dst, ptrdiff_t dst_ld, const float *src, ptrdiff_t ld, ptrdiff_t k,
                        ptrdiff_t n);

    /* Panels of `width` columns of an array that is stored k x n: pair p of column q*width + j is
       dst[q*stride + p*width + j]; zeros for columns >= n of the last panel. */
    void (*pair_panels)(float *dst, ptrdiff_t width, ptrdiff_t stride, const float *src,
                        ptrdiff_t ld, ptrdiff_t k, ptrdiff_t n);

    /* Panels of tile_n columns of an array that is stored n x k. */
    void (*pair_panels_t)(float *dst, ptrdiff_t stride, const float *src, ptrdiff_t ld, ptrdiff_t k,
                          ptrdiff_t n);
} fd_bf16_table;

#endif
