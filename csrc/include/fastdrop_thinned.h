/* The calls for thinned networks, which compute with the kept units only where samples share a
   mask. Part of fastdrop.h, whose rules hold. */
#ifndef FASTDROP_THINNED_H
#define FASTDROP_THINNED_H

#include "base/types.h"

/* ---- the passes of a Monte Carlo prediction ---- */

/* A dense layer of thinned networks. Each of `passes` Monte Carlo passes has one mask for all its
   samples, and computes with the kept units only: y = act(scale * x w^T + bias), where x holds the
   kept inputs, and w and bias are thinned to the kept inputs and the wanted outputs of the pass.
   k, n and the offsets (.._at, in elements) are arrays of `passes` numbers. The outputs of two
   passes must not overlap. */
typedef struct {
    float *y;             /* pass t: samples x n[t] at y + y_at[t], leading dimension ldy */
    const float *x;       /* pass t: samples x k[t], dense, at x + x_at[t] */
    const float *w;       /* outs x ins */
    const float *bias;    /* outs, or NULL */
    const uint32_t *bits; /* pass t: keep bits at bits + t * words, `ins` of which k[t] are set;
                             FD_BITS_PAD more readable words at the end. NULL: all, k[t] = ins */
    const int32_t *rows;  /* pass t: which n[t] rows of w and bias, at rows + rows_at[t]; or NULL:
                             all, n[t] = outs */
    const int64_t *x_at, *k, *y_at, *n;
    const int64_t *rows_at; /* NULL without rows */
    ptrdiff_t passes, samples, outs, ins;
    ptrdiff_t words; /* 32 * words >= ins */
    ptrdiff_t ldy;   /* 0: n[t] */
    int act;         /* enum fd_activation */
    float scale;     /* 1 without bits */
    float alpha;     /* the slope of FD_LEAKY_RELU */
} fd_thin_layer_args;
int fd_thin_layer(const fd_thin_layer_args *args);

/* The kept units of each pass, side by side and not scaled: the x of fd_thin_layer. */
typedef struct {
    float *y;             /* pass t: samples x k[t], dense, at y + y_at[t] */
    const float *x;       /* sample i of pass t: `ins` numbers at x + t * step + i * ldx */
    const uint32_t *bits; /* as in fd_thin_layer_args; not NULL */
    const int64_t *y_at, *k;
    ptrdiff_t passes, samples, ins, words, ldx, step;
} fd_thin_rows_args;
int fd_thin_rows(const fd_thin_rows_args *args);

/* ---- the networks of a training step ---- */

/* The kept rows and columns of a matrix, times `scale`: what a thinned network reads of it. */
typedef struct {
    float *y;             /* n x k, dense */
    const float *x;       /* rows of `units` numbers, leading dimension ldx */
    const int32_t *rows;  /* n: which rows of x; or NULL: the first n */
    const uint32_t *bits; /* packed keep bits, `units` of which k are set: which columns, with
                             FD_BITS_PAD more readable words; or NULL: all, k = units */
    ptrdiff_t n, k, units, ldx;
    float scale;
} fd_thin_take_args;
int fd_thin_take(const fd_thin_take_args *args);

/* The way back: y is the sum of `parts` matrices, each 0 in the rows and columns that its network
   does not keep. */
typedef struct {
    const float *x;       /* n x k, dense */
    const int32_t *rows;  /* n: which rows of y, in ascending order; or NULL: all */
    const uint32_t *bits; /* as in fd_thin_take_args */
    ptrdiff_t n, k;
} fd_thin_part;
typedef struct {
    float *y; /* m x units, leading dimension ldy */
    const fd_thin_part *parts;
    ptrdiff_t m, units, ldy, count; /* count: of parts, 1 or FD_THIN_PARTS */
    int accumulate;                 /* the sum is added to y */
} fd_thin_put_args;
enum { FD_THIN_PARTS = 2 };
int fd_thin_put(const fd_thin_put_args *args);

/* A step of SGD whose gradient is the sum of the parts, which is not stored: p is m x units, and
   y, ldy and accumulate are ignored, as is what fd_sgd_args says of the gradient. The same bits as
   fd_thin_put and then fd_sgd. */
int fd_thin_sgd(const fd_sgd_args *args, const fd_thin_put_args *gradient);

#endif
