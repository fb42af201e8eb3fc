/* Packers for operands that are stored arrays: dense, transposed, masked, repeated rows, kept
   panels. Each function returns the hooks for one layout; gemm.h has the contract of the hooks.

   The operand must stay valid, at its address, until the product is done. */
#ifndef FD_PRODUCT_PACK_H
#define FD_PRODUCT_PACK_H

#include "product/gemm.h"

/* A stored array, and dropout of it. Its stored rows are the samples of the mask, whichever way the
   product reads it; nothing is written to it. The mask is made on the way into the packed block. */
typedef struct {
    const float *x;
    ptrdiff_t ld;     /* between stored rows, in elements */
    ptrdiff_t repeat; /* fd_a_repeated only: row i of A is stored row i / repeat */
    fd_drop drop;     /* stream NULL: none; else 0 < q < FD_KEEP_ALL */
} fd_operand;

/* A is stored m x k. */
fd_a_packer fd_a_rows(const fd_operand *a);

/* A is stored k x m. */
fd_a_packer fd_a_columns(const fd_operand *a);

/* Row i of A is stored row i / repeat; with dropout each of the m rows has a mask of its own.
   skip_zeros: the tiles leave out the columns where the stored row is 0 (half of them after ReLU).
   B must be finite, then this changes no bit. For repeat >= tile_m: smaller groups of rows would
   cut tiles short. 50 repeats of a row of 1024, half of it zeros, times 1024 x 1024: 0.51 ms
   instead of 0.95. */
fd_a_packer fd_a_repeated(const fd_operand *a, int skip_zeros);

/* B is stored k x n. */
fd_b_packer fd_b_rows(const fd_operand *b);

/* B is stored n x k: a layer's weights. */
fd_b_packer fd_b_columns(const fd_operand *b);

/* The same for a B without dropout that is read where it lies, as fd_b_packer.read says: by the
   first tile of few rows, .. */
fd_b_packer fd_b_rows_in_place(const fd_operand *b);

/* .. and by the only tile of rows, which transposes B in registers. */
fd_b_packer fd_b_columns_in_place(const fd_operand *b);

/* All panels of B, packed before by fd_pack with the same instruction set (product/panels.h). */
fd_b_packer fd_b_kept(const float *panels);

#endif
