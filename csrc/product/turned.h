/* x w^T for few rows of x, computed as the transpose of w x^T. */
#ifndef FD_PRODUCT_TURNED_H
#define FD_PRODUCT_TURNED_H

#include "product/dense.h"

/* Whether the product is worth turning: w is not packed then, which costs more than transposing x
   and C where these have few rows. */
int fd_worth_turning(const fd_product *p);

/* The product of d (d->nest was chosen for p) by turning it. Same bits as fd_nest_run. FD_OK,
   FD_NO_MEMORY or FD_INTERRUPTED. */
int fd_turned_run(const fd_dense *d);

#endif
