/* The one list of kernels, and the table of function pointers that the list generates.

   A kernel knows registers and one piece of work: no threads, no allocation, no errors.
   Preconditions are the driver's to keep. Arrays are float32; `ld` is the distance between rows in
   elements; inputs never overlap outputs except where "may be" says so. Every kernel touches
   exactly the elements it names. */
#ifndef FD_KERNELS_H
#define FD_KERNELS_H

#include "base/stream.h"

/* One register tile of C (mr x n, n <= tile_n): C = A B, or C += A B. Then, in this order and where
   given: + bias, ReLU, dropout by packed bits. */
typedef struct {
    ptrdiff_t mr, n, k;
    const float *a; /* a_rows: a[i*lda + p]; else packed, a[p*mr + i] */
    ptrdiff_t lda;
    int a_rows;
    const float *b; /* packed panel b[p*tile_n + j], zeros for j >= n */
    const int32_t
        *index; /* with a_rows: the p that count, `count` of them in order; or NULL: all */
    ptrdiff_t count;
    float *c;
    ptrdiff_t ldc;
    int add, relu;
    const float *bias;    /* n numbers or NULL */
    const uint32_t *bits; /* row i: bits + i*bits_ld, unit j at bit bit0 + j; or NULL */
    ptrdiff_t bits_ld, bit0;
    float scale;
} fd_tile;

/* X(result, name, arguments) */
#define FD_KERNEL_LIST(X)                                                                          \
    /* Packed keep bits of rows [row, row + rows) and groups [group, group + groups): rows x       \
       groups x 4 words, dense. 0 < q < 2^32. The one place where mask bits are made. */                                          \
    X(void, keep_bits,                                                                             \
      (uint32_t *bits, const fd_stream *s, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t group,         \
       ptrdiff_t groups, uint64_t q))                                                              \
    X(int64_t, count_ones, (const uint64_t *words, ptrdiff_t n))                                   \
    /* The words of blocks [block0, block0 + blocks) of a row: 4 each */                           \
    X(void, words,                                                                                 \
      (uint32_t *out, const fd_stream *s, ptrdiff_t row, uint64_t block0, ptrdiff_t blocks))       \
    /* Elements [e0, e0 + n) of a row; e0 a multiple of 4 */                                       \
    X(void, uniform, (float *out, const fd_stream *s, ptrdiff_t row, ptrdiff_t e0, ptrdiff_t n))   \
    X(void, normal, (float *out, const fd_stream *s, ptrdiff_t row, ptrdiff_t e0, ptrdiff_t n))    \
    /* y = x * (1 + sigma * normal) if relative, else x + sigma * normal: elements [e0, e0 + n) of \
       a row, or several whole rows of n, dense. y may be x. */                                                            \
    X(void, noise,                                                                                 \
      (float *y, const float *x, const fd_stream *s, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t e0,  \
       ptrdiff_t n, float sigma, int relative))                                                    \
    /* rows x units from unit0 on, 0 < q < 2^32. y may be x. nt: store past the caches. */         \
    X(void, dropout,                                                                               \
      (float *y, ptrdiff_t ldy, const float *x, ptrdiff_t ldx, const fd_drop *d, ptrdiff_t row,    \
       ptrdiff_t rows, ptrdiff_t unit0, ptrdiff_t units, int nt))                                  \
    /* the same for n elements whose bits are there, the first at offset bit0. y may be x. */      \
    X(void, apply_bits,                                                                            \
      (float *y, const float *x, const uint32_t *bits, ptrdiff_t bit0, ptrdiff_t n,                \
       const fd_drop *d, int nt))                                                                  \
    X(void, scale, (float *y, const float *x, ptrdiff_t n, float s, int nt))                       \
    X(void, fill, (float *y, ptrdiff_t n, float value, int nt))                                    \
    /* once in a thread after calls with nt */                                                     \
    X(void, stream_end, (void))                                                                    \
    /* y = act(z); y may be z */                                                                   \
    X(void, act, (float *y, const float *z, ptrdiff_t n, int kind, float alpha))                   \
    /* dz = dy * act'(saved) (* keep * scale); saved is act's output after dropout, its input for  \
       SILU and GELU. rows x cols; db (cols) accumulates the column sums when not NULL; s NULL: no                      \
       mask but ReLU's own. dz may be dy. row and unit0 place the piece in the mask. */                                                     \
    X(void, act_backward,                                                                          \
      (float *dz, float *db, const float *dy, const float *saved, ptrdiff_t rows, ptrdiff_t cols,  \
       ptrdiff_t ld, int kind, float alpha, const fd_stream *s, ptrdiff_t row, ptrdiff_t unit0,    \
       uint64_t q, float scale))                                                                   \
    /* rows of weights w[o*ldw + i] with keep bits at bits + o*ld_bits: y[o] = sum_i keep w x[i];  \
       dx[i] += sum_o a[o] keep w; dw[o*ldw + i] += a[o] keep x[i] */                                                                \
    X(void, masked_dots,                                                                           \
      (float *y, const float *x, const float *w, ptrdiff_t ldw, const uint32_t *bits,              \
       ptrdiff_t ld_bits, ptrdiff_t outs, ptrdiff_t n))                                            \
    X(void, masked_rows,                                                                           \
      (float *dx, const float *a, const float *w, ptrdiff_t ldw, const uint32_t *bits,             \
       ptrdiff_t ld_bits, ptrdiff_t outs, ptrdiff_t n))                                            \
    X(void, masked_outer,                                                                          \
      (float *dw, ptrdiff_t ldw, const float *a, const float *x, const uint32_t *bits,             \
       ptrdiff_t ld_bits, ptrdiff_t outs, ptrdiff_t n))                                            \
    /* outputs [o0, o1) of n <= tile_n samples: a panel as pack_panels_t makes it; of one sample   \
     */                                                                                            \
    X(void, sparse_panel,                                                                          \
      (float *y, ptrdiff_t ldy, const float *panel, const fd_csr *w, ptrdiff_t o0, ptrdiff_t o1,   \
       ptrdiff_t n))                                                                               \
    X(void, sparse_row, (float *y, const float *x, const fd_csr *w, ptrdiff_t o0, ptrdiff_t o1))   \
    /* elements [e0, e0 + n) of a row, e0 a multiple of 4; backward returns the gradient of logit. \
     * y may be x, dx dy. */                                                                       \
    X(void, concrete,                                                                              \
      (float *y, const float *x, const fd_stream *s, ptrdiff_t row, ptrdiff_t e0, ptrdiff_t n,     \
       const fd_concrete *c))                                                                      \
    X(double, concrete_backward,                                                                   \
      (float *dx, const float *dy, const float *x, const fd_stream *s, ptrdiff_t row,              \
       ptrdiff_t e0, ptrdiff_t n, const fd_concrete *c))                                           \
    X(void, gemm_tile, (const fd_tile *t))                                                         \
    /* dst[i*dst_ld + p] = src[i*ld + p] */                                                        \
    X(void, pack_rows,                                                                             \
      (float *dst, ptrdiff_t dst_ld, const float *src, ptrdiff_t ld, ptrdiff_t rows, ptrdiff_t k)) \
    /* panels of `width` columns, panel q at dst + q*stride: dst[q*stride + p*width + j] =         \
       src[p*ld + q*width + j], the last panel filled up with zeros */                                                            \
    X(void, pack_panels,                                                                           \
      (float *dst, ptrdiff_t width, ptrdiff_t stride, const float *src, ptrdiff_t ld, ptrdiff_t k, \
       ptrdiff_t n))                                                                               \
    /* the same panels of tile_n columns from src[(q*width + j)*ld + p] */                         \
    X(void, pack_panels_t,                                                                         \
      (float *dst, ptrdiff_t stride, const float *src, ptrdiff_t ld, ptrdiff_t k, ptrdiff_t n))    \
    /* the x[j] * scale with bit j of bits set, j < n, one after another: `kept` of them, and no   \
     * more is written */                                                                          \
    X(void, compress,                                                                              \
      (float *dst, const float *x, const uint32_t *bits, ptrdiff_t n, ptrdiff_t kept,              \
       float scale))                                                                               \
    /* out[j] += sum_i x[i*ld + j], rows in order */                                               \
    X(void, col_sum, (float *out, const float *x, ptrdiff_t rows, ptrdiff_t cols, ptrdiff_t ld))   \
    X(double, sumsq, (const float *x, ptrdiff_t n))                                                \
    /* optimiser updates, one pass; buf NULL = no momentum; fresh = 1 - beta (or alpha), which     \
       must not be taken in float32: 1 - 0.999f is off by 1e-5 */                                                             \
    X(void, sgd,                                                                                   \
      (float *p, const float *g, float *buf, ptrdiff_t n, float lr, float momentum,                \
       float dampening, float weight_decay, int nesterov, int first))                              \
    X(void, adam,                                                                                  \
      (float *p, const float *g, float *m, float *v, ptrdiff_t n, float step_size, float fresh1,   \
       float beta2, float fresh2, float eps, float l2, float shrink, float v_scale))               \
    X(void, rmsprop,                                                                               \
      (float *p, const float *g, float *v, float *buf, ptrdiff_t n, float lr, float alpha,         \
       float fresh, float eps, float weight_decay, float momentum))

typedef struct {
    const char *name;
    ptrdiff_t tile_m, tile_n; /* the register tile of the matrix product */
#define X(result, name, arguments) result(*name) arguments;
    FD_KERNEL_LIST(X)
#undef X
} fd_table;

/* Random bits at bit offset o of packed little-endian words: at least 25 valid bits from bit 0 up.
 */
FD_INLINE uint32_t fd_bits_at(const uint32_t *bits, ptrdiff_t o) {
    uint32_t w;
    memcpy(&w, (const char *)bits + (o >> 3), 4);
    return w >> (o & 7);
}

#endif
