/* x w^T for few rows of x, computed as the transpose of w x^T. */
#ifndef FD_PRODUCT_TURNED_H
#define FD_PRODUCT_TURNED_H

#include "fastdrop.h"
#include "product/gemm.h"

typedef struct {
    const fd_nest *nest; /* of the product, not turned */
    fd_b_packer x;       /* packs x^T, the second operand of the turned product */
    /* Points t->a and t->lda at rows [j, j + t->mr) of w, the piece [pc, pc + t->k) of them. May
       use `room`: t->mr * (t->k + FD_ROW_PAD) floats. */
    void (*rows)(const fd_nest *nest, fd_tile *t, float *room, ptrdiff_t j, ptrdiff_t pc);
    ptrdiff_t most_rows; /* of w in a tile */
} fd_turned;

/* Whether the product of `nest`, which was chosen for p, is worth turning: w is not packed then,
   which costs more than transposing x and C where these have few rows. */
int fd_worth_turning(const fd_product *p, const fd_nest *nest);

/* The product by turning it. Same bits as fd_nest_run. FD_OK, FD_NO_MEMORY or FD_INTERRUPTED. */
int fd_turned_run(const fd_turned *turned);

#endif
