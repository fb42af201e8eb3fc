/* Products of stored arrays in bf16 with sums in float32: fd_product.bf16. The loop nest is that of
   float32 (gemm.h), and counts pairs of k where it counts numbers there. */
#ifndef FD_PRODUCT_BF16_H
#define FD_PRODUCT_BF16_H

#include "fastdrop.h"
#include "kernels/bf16.h"
#include "product/gemm.h"

/* fd_gemm with these kernels, or fd_gemm_into where `use` is not NULL. Every fd_drop of p either
   has no stream or 0 < q < FD_KEEP_ALL; repeat >= 1. */
int fd_bf16_gemm(const fd_product *p, const fd_bf16_table *pairs, const fd_epilogue *use);

/* The pairs of k numbers. */
FD_INLINE ptrdiff_t fd_pairs(ptrdiff_t k) { return (k + 1) / 2; }

#endif
