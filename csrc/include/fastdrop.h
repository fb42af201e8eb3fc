/* Floor 4: the public C interface of fastdrop; all that a binding sees.

   Arrays are float32, C order, aligned to their type, `rows` x `units` dense unless a leading
   dimension is named; outputs first. An output may be an input where this page says so and overlaps
   none otherwise. Sizes of zero are fine. Functions return FD_OK, FD_NO_MEMORY (nothing was
   written) or FD_INTERRUPTED (outputs are unfinished). Results do not depend on the number of
   threads, and a row's results not on the rows beside it. Everything may be called from several
   threads at once; there is no mutable state but the thread count, the instruction set and the kept
   workspace. */
#ifndef FASTDROP_H
#define FASTDROP_H

#include "base/types.h"

enum { FD_MOST_AXES = 64 }; /* NumPy's */
enum { FD_OK = 0, FD_NO_MEMORY = -1, FD_INTERRUPTED = -2, FD_UNKNOWN_ISA = -3 };

/* ---- masks (docs/mask-contract.md) ---- */
void fd_stream_key(uint32_t key[2], uint64_t seed, uint32_t site, uint32_t domain, uint32_t call);
int fd_keep_bits(uint32_t *bits, const fd_stream *s, ptrdiff_t rows, ptrdiff_t units,
                 uint64_t q); /* rows x 4 ceil(units/128) */
int fd_keep_mask(uint8_t *mask, const fd_stream *s, ptrdiff_t rows, ptrdiff_t units,
                 uint64_t q); /* 0 or 1 */
int fd_keep_uniforms(uint32_t *out, const fd_stream *s, ptrdiff_t rows,
                     ptrdiff_t units); /* the 32-bit U that are below q where kept */
int fd_uniform(float *out, const fd_stream *s, ptrdiff_t rows, ptrdiff_t units);
int fd_normal(float *out, const fd_stream *s, ptrdiff_t rows, ptrdiff_t units);

/* ---- elementwise; y may be x ---- */
int fd_dropout(float *y, const float *x, ptrdiff_t rows, ptrdiff_t units, fd_drop drop);
/* x is rows x length[0] x .. x length[axes - 1] in C order; all elements along an axis with
   shared[i] have one decision. The mask's units are the positions in a sample whose shared axes
   have length 1. At most FD_MOST_AXES axes. */
int fd_dropout_shared(float *y, const float *x, ptrdiff_t rows, int axes, const ptrdiff_t *length,
                      const int *shared, fd_drop drop);
/* y = x * (1 + sigma * normal) if relative, else x + sigma * normal; the stream's own normals */
int fd_noise(float *y, const float *x, const fd_stream *s, ptrdiff_t rows, ptrdiff_t units,
             float sigma, int relative);
int fd_scale(float *y, const float *x, ptrdiff_t n, float s);
int fd_act(float *y, const float *z, ptrdiff_t n, int kind, float alpha);
int fd_act_dropout(float *y, const float *z, ptrdiff_t rows, ptrdiff_t units, int kind, float alpha,
                   fd_drop drop);
/* dz (rows x cols) = dy * act'(saved) * mask * scale, see kernels/table.h; db (cols, or NULL) =
   column sums of dz. The mask's rows are samples of cols * rows / samples units each (a sample may
   span several rows). dz may be dy. With ReLU the stream may be NULL under dropout: zeros of saved
   are the mask, drop.scale still counts. */
int fd_act_backward(float *dz, float *db, const float *dy, const float *saved, ptrdiff_t rows,
                    ptrdiff_t cols, ptrdiff_t samples, int kind, float alpha, fd_drop drop);

/* DropBlock: x is rows x channels x size[0] x size[1] x size[2]. Seeds are the positions on the
   grid of places where a block fits (size - block + 1 along each axis, 1 <= block <= size) whose
   keep bit at threshold q is not set, in a stream with the channel as its second coordinate (0 when
   coupled: one mask for all channels); each zeroes a block. The rest is multiplied by the number of
   elements over the number of those kept, of the sample, or of the batch. y may be x. */
typedef struct {
    ptrdiff_t channels, size[3], block[3];
    int coupled, batch;
} fd_blocks;
int fd_dropblock(float *y, const float *x, ptrdiff_t rows, const fd_blocks *b,
                 const fd_stream *stream, uint64_t q);

/* ---- matrix product ---- */
typedef struct {
    float *c; /* m x n, leading dimension ldc */
    const float *a, *b;
    const float *panels; /* all of an n x k matrix, by fd_pack under the active instruction set:
                            read instead of b, with tb and without b_drop; or NULL. With repeat its
                            numbers must be finite: what meets zeros alone is left out */
    ptrdiff_t m, n, k, ldc, lda, ldb;
    int ta, tb; /* a is stored m x k, or k x m if ta; b k x n, or n x k if tb */
    ptrdiff_t
        repeat; /* above 1: row i of A is row i / repeat of a, with masks of its own; not with ta */
    int accumulate;    /* c += (then no epilogue) */
    const float *bias; /* n or NULL */
    int act;
    float alpha;
    fd_drop drop;           /* of c after act; rows of c are samples */
    fd_drop a_drop, b_drop; /* of the stored a, b, whose rows are samples; nothing is stored */
} fd_product;
int fd_gemm(const fd_product *p);

/* The second operand of products x w^T as the register tile reads it, packed once and kept by the
   caller; or thinned: only some rows of w (outputs), and only the columns (inputs) whose bit is
   set, times scale. Panels hold for the instruction set that packed them. */
typedef struct {
    const float *w;        /* rows of `units` floats */
    ptrdiff_t n, k, units; /* what is packed: n rows, k columns */
    const int32_t *rows;   /* which n rows, or NULL: the first n */
    const uint32_t *bits; /* `units` packed keep bits of which k are set, FD_BITS_PAD readable words
                             behind them; or NULL: all, k = units */
    float scale;          /* 1 where all columns are packed */
} fd_panels;
ptrdiff_t fd_panels_length(
    ptrdiff_t n,
    ptrdiff_t k); /* floats of n rows and k columns; of the instruction set that is active */
int fd_pack(float *panels,
            const fd_panels *p); /* panels: fd_panels_length(n, k) floats, which do not overlap w */

/* A dense layer of thinned networks, act(scale * x w^T + bias), in each of `passes` with masks of
   its own that all samples share. The outputs of the passes must not overlap; places (.._at) count
   elements, and k, n and the places are arrays of `passes` numbers. */
typedef struct {
    ptrdiff_t passes, samples, outs, ins;
    const float *w, *bias; /* outs x ins; outs, or NULL */
    int act;
    float alpha;
    const float *x; /* pass t: samples x k[t], dense, at x + x_at[t] */
    const int64_t *x_at, *k;
    const uint32_t
        *bits; /* `ins` keep bits, of which k[t] are set: which columns these are, at bits + t *
                  words, FD_BITS_PAD readable words behind the last; or NULL: all, k[t] = ins */
    ptrdiff_t words; /* 32 * words >= ins */
    float scale;     /* 1 without bits */
    float
        *y; /* pass t: samples x n[t] at y + y_at[t], leading dimension ldy, or n[t] if that is 0 */
    const int64_t *y_at, *n;
    ptrdiff_t ldy;
    const int32_t *rows; /* which n[t] of the outs rows of w (and of bias), at rows + rows_at[t]; or
                            NULL: all, n[t] = outs */
    const int64_t *rows_at;
} fd_thin;
int fd_thin_layer(const fd_thin *t);
/* What the passes keep of rows of `ins` numbers, not yet times scale, to where a layer reads it:
   sample i of pass t is at from + t * step + i * ld and goes to `to`, which takes the part of x. Of
   t passes, samples, ins, x_at, k, bits (not NULL) and words count. */
int fd_thin_rows(float *to, const float *from, ptrdiff_t ld, ptrdiff_t step, const fd_thin *t);

/* DropConnect, one mask a sample: y[n, o] = scale * sum_i keep(n, o, i) w[o, i] x[n, i] + bias[o],
   the second coordinate of the stream being o and the unit i; with mask_bias the bias is unit
   `ins`, scaled as well. */
typedef struct {
    ptrdiff_t rows, outs, ins; /* x rows x ins, w outs x ins, y rows x outs */
    const float *bias;         /* outs, or NULL; of fd_dropconnect alone */
    int mask_bias;
    fd_drop drop;
} fd_connection;
int fd_dropconnect(float *y, const float *x, const float *w, const fd_connection *c);
int fd_dropconnect_dx(float *dx, const float *dy, const float *w, const fd_connection *c);
int fd_dropconnect_dw(float *dw, float *db, const float *dy, const float *x,
                      const fd_connection *c); /* db may be NULL */

/* y (rows x outs) = x (rows x ins) w^T + bias, w sparse; columns and starts must be in range */
int fd_sparse_linear(float *y, const float *x, ptrdiff_t rows, const fd_csr *w);

/* ---- concrete dropout (Gal, Hron, Kendall, 2017): y = x (1 - z) / (1 - p), z = sigmoid((logit +
 * log u - log(1 - u)) / t) ---- */
int fd_concrete_forward(float *y, const float *x, const fd_stream *s, ptrdiff_t rows,
                        ptrdiff_t units, fd_concrete c); /* y may be x */
/* dx (may be dy); dlogit: a sum for each row, in an order that depends on units alone */
int fd_concrete_backward(float *dx, double *dlogit, const float *dy, const float *x,
                         const fd_stream *s, ptrdiff_t rows, ptrdiff_t units, fd_concrete c);

/* ---- sums and updates ---- */
int fd_col_sum(float *out, const float *x, ptrdiff_t rows, ptrdiff_t cols);
int fd_sumsq(double *out, const float *x, ptrdiff_t n);
int fd_max_norm_rows(float *w, ptrdiff_t rows, ptrdiff_t cols, float c);
int fd_sgd(float *p, const float *g, float *buf, ptrdiff_t n, float lr, float momentum,
           float dampening, float weight_decay, int nesterov, int first);
int fd_adam(float *p, const float *g, float *m, float *v, ptrdiff_t n, float step_size,
            double beta1, double beta2, float eps, float l2, float shrink, float v_scale);
int fd_rmsprop(float *p, const float *g, float *v, float *buf, ptrdiff_t n, float lr, double alpha,
               float eps, float weight_decay, float momentum);

/* ---- runtime ---- */
int fd_has_openmp(void);
int fd_get_threads(void);
void fd_set_threads(int n);
const char *fd_isa(void);
const char *fd_isa_name(int i, int *available); /* best first; NULL past the end */
int fd_set_isa(const char *name);               /* FD_OK or FD_UNKNOWN_ISA */
void fd_set_interrupt_hook(
    int (*hook)(void)); /* asked between chunks of long work, on the calling thread */

#endif
