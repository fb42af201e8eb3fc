/* Products of stored arrays (fd_product) for drivers that have a region of their own. */
#ifndef FD_PRODUCT_DENSE_H
#define FD_PRODUCT_DENSE_H

#include "fastdrop.h"
#include "product/epilogue.h"
#include "product/gemm.h"
#include "product/pack.h"

/* A nest with the contexts that its hooks point to. Do not copy: it points into itself. */
typedef struct {
    fd_nest nest;
    fd_operand a, b;
    fd_layer_end end;
} fd_dense;

/* Chooses packers and epilogue for p. Every fd_drop of p either has no stream or 0 < q <
   FD_KEEP_ALL; repeat >= 1. */
void fd_dense_start(fd_dense *d, const fd_product *p);

/* fd_gemm without a result: `use.finish` uses up each tile of C, which is not stored. k is one
   piece, and p has no epilogue. */
int fd_gemm_into(const fd_product *p, fd_epilogue use);

#endif
