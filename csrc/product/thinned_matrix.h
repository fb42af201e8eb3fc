/* The rows of a matrix that is the sum of what thinned networks keep of it (fd_thin_put). */
#ifndef FD_PRODUCT_THINNED_MATRIX_H
#define FD_PRODUCT_THINNED_MATRIX_H

#include "fastdrop.h"
#include "kernels/table.h"

typedef struct {
    const fd_thin_put_args *sum;
    const fd_table *kernels;
    ptrdiff_t at[FD_THIN_PARTS]; /* the next row of each part */
} fd_thin_reader;

/* Reads rows from number `row` on. */
fd_thin_reader fd_thin_reader_from(const fd_thin_put_args *sum, ptrdiff_t row);

/* to = row i, or to += row i. Every call is for the row after that of the last one. */
void fd_thin_read_row(fd_thin_reader *reader, ptrdiff_t i, float *to, int add);

#endif
