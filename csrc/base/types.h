/* The types that the public interface and the kernels share. */
#ifndef FD_TYPES_H
#define FD_TYPES_H

#include <stddef.h>
#include <stdint.h>

/* A stream of the mask contract: counter (block, sub, row, draw) under key. The rows of an array
   are the contract's rows, row i with the number row0 + i, or rows[i] where that is not NULL, of
   draw `draw`, or draws[i] (Monte Carlo passes side by side); or, by_sub, its second coordinate:
   sub + i, all in row row0 (the rows of a weight matrix, the channels of a sample). */
typedef struct {
    uint32_t key[2];
    uint32_t sub, draw;
    uint32_t row0;
    const uint32_t *rows, *draws;
    int by_sub;
} fd_stream;

enum {
    FD_GROUP = 128,
    FD_GROUP_WORDS = 4,
    FD_PLANES = 32
}; /* units, words and bit planes of a group */
#define FD_KEEP_ALL ((uint64_t)1 << 32)

/* Dropout by a stream: keep threshold q (0 drops all, FD_KEEP_ALL none); x becomes x * scale +
   shift where kept, fill where dropped. With shift 0 nothing is added: -0 stays -0. stream NULL: no
   dropout. */
typedef struct {
    const fd_stream *stream;
    uint64_t q;
    float scale, shift, fill;
} fd_drop;

enum { FD_BITS_PAD = 2 }; /* words that must be readable after packed bits that a kernel reads */

enum fd_activation {
    FD_NONE,
    FD_RELU,
    FD_LEAKY_RELU,
    FD_SIGMOID,
    FD_TANH,
    FD_SELU,
    FD_SILU,
    FD_GELU,
    FD_ACTIVATIONS
};

/* Sparse weights, outs x ins: the nonzeros of row o are values[j], in columns[j], for starts[o] <=
 * j < starts[o + 1]. */
typedef struct {
    ptrdiff_t outs, ins;
    const float *values;
    const int32_t *columns;
    const int64_t *starts;
    const float *bias; /* outs, or NULL */
} fd_csr;

/* Concrete dropout: logit of p, 1 / temperature, 1 / (1 - p), p */
typedef struct {
    float logit, inverse_t, scale, p;
} fd_concrete;

#endif
