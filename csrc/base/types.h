/* The types that the public interface and the kernels share. Included by fastdrop.h, so it includes
   nothing of ours. */
#ifndef FD_BASE_TYPES_H
#define FD_BASE_TYPES_H

#include <stddef.h>
#include <stdint.h>

/* A mask's random stream (docs/mask-contract.md): the Philox counter is (block, sub, row, draw)
   under `key`. Row i of an array is one row of the stream:
     - by_sub 0: the row number is row0 + i, or rows[i] if rows is not NULL; `sub` is the same for
       all rows.
     - by_sub 1: the row number is row0 for all rows, and row i has the second coordinate sub + i
       (the rows of a weight matrix, the channels of one sample).
   The draw is `draw`, or draws[i] if draws is not NULL (Monte Carlo passes side by side). */
typedef struct {
    uint32_t key[2];
    uint32_t sub, draw;
    uint32_t row0;
    const uint32_t *rows, *draws;
    int by_sub;
} fd_stream;

/* Mask bits are made in groups of FD_GROUP units: FD_GROUP_WORDS words of 32 bits. A unit's 32-bit
   uniform consists of one bit of each of FD_PLANES planes. */
enum { FD_GROUP = 128, FD_GROUP_WORDS = 4, FD_PLANES = 32 };

/* The keep threshold that drops nothing. A unit is kept where its 32-bit uniform is below q. */
#define FD_KEEP_ALL ((uint64_t)1 << 32)

/* Dropout by a stream: x becomes x * scale + shift where kept, fill where dropped. q is the keep
   threshold, 0 (drops all) .. FD_KEEP_ALL. With shift 0 nothing is added, so -0 stays -0. stream
   NULL: no dropout. */
typedef struct {
    const fd_stream *stream;
    uint64_t q;
    float scale, shift, fill;
} fd_drop;

/* Words that must be readable behind packed bits that a kernel reads. */
enum { FD_BITS_PAD = 2 };

enum fd_activation {
    FD_NONE,
    FD_RELU,
    FD_LEAKY_RELU,
    FD_SIGMOID,
    FD_TANH,
    FD_SELU,
    FD_SILU,
    FD_GELU,
    FD_GELU_TANH, /* z sigmoid(2 sqrt(2 / pi) (z + 0.044715 z^3)) */
    FD_MISH,      /* z tanh(log(1 + exp(z))) */
    FD_ACTIVATIONS
};

/* The cell of a recurrent network (fastdrop_sequences.h has the formulas). FD_IDENTITY: h is the
   one gate; inside the core it stands for the projection of an LSTM. */
enum fd_cell { FD_RNN_TANH, FD_RNN_RELU, FD_GRU, FD_LSTM, FD_IDENTITY };

/* Sparse weights, outs x ins, in compressed rows: the nonzeros of row o are values[j] in
   columns[j], starts[o] <= j < starts[o + 1]. */
typedef struct {
    ptrdiff_t outs, ins;
    const float *values;
    const int32_t *columns;
    const int64_t *starts;
    const float *bias;  /* outs, or NULL */
    ptrdiff_t nonzeros; /* length of values and columns; 0: starts[outs] */
} fd_csr;

/* Concrete dropout: logit of p, 1 / temperature, 1 / (1 - p), p */
typedef struct {
    float logit, inverse_t, scale, p;
} fd_concrete;

/* ---- normalisation by the statistics of channels ---- */

/* Arrays sets x rows x channels; statistics and factors are sets x channels. Batch norm has one
   set, instance norm a set for each image. */
typedef struct {
    ptrdiff_t sets, rows, channels;
} fd_norm_shape;

/* Mean and biased variance of each channel over the rows, at least 1 row. */
typedef struct {
    float *mean, *variance;
    const float *x;
    fd_norm_shape shape;
} fd_moments_args;

/* y = (x - mean) * scale + bias; with relu then max(y, 0) */
typedef struct {
    float *y;
    const float *x, *mean, *scale, *bias;
    fd_norm_shape shape;
    int relu;
} fd_normalize_args;

/* The sums over the rows of g and of g * (x - mean), where g is dy, with relu where
   (x - mean) * scale + bias > 0, else 0. */
typedef struct {
    float *sum, *sum_x;
    const float *dy, *x, *mean, *scale, *bias;
    fd_norm_shape shape;
    int relu;
} fd_normalize_sums_args;

/* dx = of_g * g + of_x * (x - mean) + shift, g as above; the factors are sets x channels */
typedef struct {
    float *dx;
    const float *dy, *x, *mean, *scale, *bias, *of_g, *of_x, *shift;
    fd_norm_shape shape;
    int relu;
} fd_normalize_dx_args;

/* ---- normalisation of rows ---- */

/* y = (x - mean) * inverse * weight + bias for each row of n numbers, inverse = 1 / sqrt(variance +
   eps), the variance biased. Without `centred` the mean is 0 (the root mean square norm). */
typedef struct {
    float *y;
    float *mean, *inverse;          /* rows: results; mean is NULL without `centred` */
    const float *x, *weight, *bias; /* weight and bias: n, or NULL */
    ptrdiff_t rows, n;
    float eps;
    int centred;
} fd_row_norm_args;

/* The gradients for x, weight and bias. */
typedef struct {
    float *dx, *dweight, *dbias; /* dx: rows x n; n each, or both NULL */
    const float *dy, *x, *mean, *inverse, *weight;
    ptrdiff_t rows, n;
    int centred;
} fd_row_norm_backward_args;

#endif
