/* The public C interface of fastdrop.

   These rules hold for every call unless its own comment says otherwise.

   Arguments. A call that works on arrays takes one pointer to a struct: fd_<call>_args, or
   fd_product for fd_gemm. A struct holds the outputs, then the inputs, the sizes, the mask and the
   scalars. A call keeps no pointer to the struct or to anything in it, so that a caller may store a
   struct and repeat the call.

   Arrays. float32 where the type does not say otherwise, C order, dense, aligned to their element
   type. Sizes and leading dimensions count elements. Sizes of zero are valid.

   Aliasing. An output may be an input where the comment says so ("y may be x"): the same address
   and the same size. Otherwise an output overlaps neither an input nor another output.

   Masks. `stream` names the random stream of a mask (docs/mask-contract.md): one row of the mask
   for each of the `rows` samples, one unit for each of the `units` elements of a sample. A mask is
   a function of the stream, the row, the unit and the threshold q, and is never stored.

   Errors. A call returns FD_OK, FD_NO_MEMORY (no memory for the workspace) or FD_INTERRUPTED (the
   interrupt hook returned nonzero). After an error the contents of the outputs are unspecified.
   Sizes, pointers and thresholds are preconditions: builds with asserts check some of them, others
   none.

   Threads. Calls may run at the same time in several threads if no output of one is used by
   another. The first of them runs on the thread pool, the others on the thread that called them.
   Results do not depend on the number of threads, and the results of a row do not depend on the
   other rows. The only mutable state is the thread count, the instruction set, the interrupt hook
   and the workspace that is kept between calls.

   ABI. The structs hold no size, and every change of a struct, a function or a constant raises
   FD_ABI. A program is compiled with the header of the library that it loads, and compares fd_abi()
   with FD_ABI once after loading. New fields are appended at the end of a struct, and zero in a new
   field means the behaviour before: set all fields to zero first (a designated initializer does),
   then older code compiles unchanged against a newer header. */
#ifndef FASTDROP_H
#define FASTDROP_H

#include "base/types.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { FD_ABI = 8 };        /* version of the structs and functions of this header */
enum { FD_MOST_AXES = 64 }; /* axes of an array, as in NumPy */
enum { FD_OK = 0, FD_NO_MEMORY = -1, FD_INTERRUPTED = -2, FD_UNKNOWN_ISA = -3 };

/* ---- masks and random numbers ---- */

/* The key of a stream, for fd_stream.key. `instance` (below 2^24) tells the modules of a run apart;
   0 for the first. */
void fd_stream_key(uint32_t key[2], uint64_t seed, uint32_t site, uint32_t domain, uint32_t call,
                   uint32_t instance);

/* Packed keep bits: unit u of row r is bit u % 32 of word u / 32 of row r. A row has
   4 ceil(units / 128) words; the bits after the last unit are 0. */
typedef struct {
    uint32_t *bits;
    const fd_stream *stream;
    ptrdiff_t rows, units;
    uint64_t q; /* keep threshold, 0 .. FD_KEEP_ALL */
} fd_keep_bits_args;
int fd_keep_bits(const fd_keep_bits_args *args);

/* The same mask as bytes: 1 for a kept unit, 0 for a dropped one. */
typedef struct {
    uint8_t *mask; /* rows x units */
    const fd_stream *stream;
    ptrdiff_t rows, units;
    uint64_t q; /* keep threshold, 0 .. FD_KEEP_ALL */
} fd_keep_mask_args;
int fd_keep_mask(const fd_keep_mask_args *args);

/* The 32-bit uniform integer of each unit: the unit is kept if and only if it is less than q. */
typedef struct {
    uint32_t *out; /* rows x units */
    const fd_stream *stream;
    ptrdiff_t rows, units;
} fd_keep_uniforms_args;
int fd_keep_uniforms(const fd_keep_uniforms_args *args);

/* Uniform numbers in (0, 1). */
typedef struct {
    float *out; /* rows x units */
    const fd_stream *stream;
    ptrdiff_t rows, units;
} fd_uniform_args;
int fd_uniform(const fd_uniform_args *args);

/* Standard normal numbers (Box-Muller). */
typedef struct {
    float *out; /* rows x units */
    const fd_stream *stream;
    ptrdiff_t rows, units;
} fd_normal_args;
int fd_normal(const fd_normal_args *args);

/* ---- dropout ---- */

/* y = x * drop.scale + drop.shift where kept, drop.fill where dropped. y = x without a stream. y
   may be x. */
typedef struct {
    float *y;       /* rows x units */
    const float *x; /* rows x units */
    ptrdiff_t rows, units;
    fd_drop drop;
} fd_dropout_args;
int fd_dropout(const fd_dropout_args *args);

/* Dropout with one decision for all elements along some axes: whole channels, time steps or
   samples. The units of the mask are the positions in a sample in which shared axes have length 1.
   y may be x. */
typedef struct {
    float *y;       /* rows x length[0] x .. x length[axes - 1] */
    const float *x; /* the same shape */
    ptrdiff_t rows;
    int axes; /* 0 .. FD_MOST_AXES; later entries of the arrays are not read */
    ptrdiff_t length[FD_MOST_AXES]; /* of each axis */
    int shared[FD_MOST_AXES];       /* nonzero: one decision for all elements along this axis */
    fd_drop drop;
} fd_dropout_shared_args;
int fd_dropout_shared(const fd_dropout_shared_args *args);

/* y = x * scale. y may be x. */
typedef struct {
    float *y;       /* n */
    const float *x; /* n */
    ptrdiff_t n;
    float scale;
} fd_scale_args;
int fd_scale(const fd_scale_args *args);

/* ---- activation; `kind` is one of enum fd_activation, alpha the slope of FD_LEAKY_RELU ---- */

/* y = act(z). y may be z. */
typedef struct {
    float *y;       /* n */
    const float *z; /* n */
    ptrdiff_t n;
    int kind;
    float alpha;
} fd_act_args;
int fd_act(const fd_act_args *args);

/* y = dropout(act(z)), with drop.shift = drop.fill = 0. y may be z. */
typedef struct {
    float *y;       /* rows x units */
    const float *z; /* rows x units */
    ptrdiff_t rows, units;
    fd_drop drop;
    int kind;
    float alpha;
} fd_act_dropout_args;
int fd_act_dropout(const fd_act_dropout_args *args);

/* dz = dy * act'(z) * mask * drop.scale, and the column sums of dz. `saved` is the output of
   fd_act_dropout, or z for SiLU, both GELUs and Mish. The rows of the mask are samples: a sample is
   rows / samples rows of the array. With ReLU drop.stream may be NULL under dropout: the zeros of
   saved hold the mask, and drop.scale still applies. dz may be dy. */
typedef struct {
    float *dz;          /* rows x cols */
    float *db;          /* cols, or NULL: no column sums */
    const float *dy;    /* rows x cols */
    const float *saved; /* rows x cols */
    ptrdiff_t rows, cols;
    ptrdiff_t samples; /* a divisor of rows */
    fd_drop drop;
    int kind;
    float alpha;
} fd_act_backward_args;
int fd_act_backward(const fd_act_backward_args *args);

/* y = z + weight * (act(z) - z), with a weight for each column, and its gradients: the dweight of
   a column is the sum over the rows, in order. kind is not FD_LEAKY_RELU. y may be z, dz may be dy.
   */
typedef struct {
    float *y;            /* rows x cols */
    const float *z;      /* rows x cols */
    const float *weight; /* cols */
    ptrdiff_t rows, cols;
    int kind;
} fd_act_mix_args;
int fd_act_mix(const fd_act_mix_args *args);

typedef struct {
    float *dz;           /* rows x cols */
    float *dweight;      /* cols */
    const float *dy, *z; /* rows x cols */
    const float *weight; /* cols */
    ptrdiff_t rows, cols;
    int kind;
} fd_act_mix_backward_args;
int fd_act_mix_backward(const fd_act_mix_backward_args *args);

/* h = silu(a) * b, as in SwiGLU. The rows of a and b begin ld elements apart: they may be the
   halves of the rows of one array. */
typedef struct {
    float *h;           /* rows x cols */
    const float *a, *b; /* rows x cols, leading dimension ld */
    ptrdiff_t rows, cols, ld;
} fd_silu_gate_args;
int fd_silu_gate(const fd_silu_gate_args *args);

/* da = dh * b * silu'(a) and db = dh * silu(a). Neither may be an input. */
typedef struct {
    float *da, *db;     /* rows x cols, leading dimension ldd */
    const float *dh;    /* rows x cols */
    const float *a, *b; /* rows x cols, leading dimension ld */
    ptrdiff_t rows, cols, ld, ldd;
} fd_silu_gate_backward_args;
int fd_silu_gate_backward(const fd_silu_gate_backward_args *args);

/* Rotary positions: the pair (a, b) of pair number i becomes (a c - b s, a s + b c), where c and s
   are numbers i of the row's position, and row r has the position r % positions. back: -s for s,
   which turns the pairs back, and is the gradient. */
typedef struct {
    float *y;                     /* rows x 2 * pairs; not x */
    const float *x;               /* rows x 2 * pairs */
    const float *cosines, *sines; /* positions x pairs */
    ptrdiff_t rows, positions, pairs;
    int interleaved; /* pairs are numbers (2 i, 2 i + 1) of a row, else (i, i + pairs) */
    int back;
} fd_rotate_args;
int fd_rotate(const fd_rotate_args *args);

/* ---- noise ---- */

/* y = x * (1 + sigma * normal) if relative, else x + sigma * normal, with the numbers of fd_normal
   for the same stream. y may be x. */
typedef struct {
    float *y;       /* rows x units */
    const float *x; /* rows x units */
    ptrdiff_t rows, units;
    const fd_stream *stream;
    float sigma;
    int relative;
} fd_noise_args;
int fd_noise(const fd_noise_args *args);

/* ---- DropBlock (Ghiasi, Lin, Le, 2018) ---- */

/* A block fits at size - block + 1 positions along each axis. A unit of the mask is one of these
   positions, and the channel is the second coordinate of the stream (0 if coupled). A unit that is
   not kept at threshold q zeroes the block that begins there. The other elements are multiplied by
   the number of elements over the number of kept elements: of the sample, or of the batch. y may be
   x. */
typedef struct {
    float *y;       /* rows x channels x size[0] x size[1] x size[2] */
    const float *x; /* the same shape */
    ptrdiff_t rows, channels;
    ptrdiff_t size[3], block[3]; /* 1 <= block <= size where there are elements; 1 for no axis */
    const fd_stream *stream;
    uint64_t q;        /* keep threshold, 0 .. FD_KEEP_ALL */
    int coupled;       /* one mask for all channels of a sample */
    int batch;         /* the factor is counted over the batch */
    int channels_last; /* x and y are rows x size x channels; the masks are the same */
} fd_dropblock_args;
int fd_dropblock(const fd_dropblock_args *args);

/* ---- matrix product ---- */

/* c = dropout(act(A B + bias)), or c += A B. A is m x k and B is k x n: the arrays a and b, or
   their transposes, with dropout of their own. Dropped operands are never stored. */
typedef struct {
    float *c;            /* m x n, leading dimension ldc */
    const float *a;      /* m x k, or k x m if ta; leading dimension lda */
    const float *b;      /* k x n, or n x k if tb; leading dimension ldb */
    const float *panels; /* NULL, or the whole of an n x k matrix packed by fd_pack with the
                            instruction set in use: read instead of b; with tb, without b_drop. With
                            repeat > 1 its numbers must be finite: those that only meet zeros of a
                            are left out */
    const float *bias;   /* n, or NULL */
    ptrdiff_t m, n, k, ldc, lda, ldb;
    ptrdiff_t repeat;       /* above 1: row i of A is row i / repeat of a; not with ta */
    fd_drop drop;           /* of c after act; rows of c are the samples; shift and fill are 0 */
    fd_drop a_drop, b_drop; /* of A and b: the samples are stored rows, or rows of A with repeat */
    int ta, tb;
    int accumulate;         /* c += A B; then bias, act and drop must be absent */
    int act;                /* enum fd_activation */
    float alpha;            /* the slope of FD_LEAKY_RELU */
    int bf16;               /* A, B and panels are in bf16 where there is a fd_bf16_isa() */
    const int32_t *k_units; /* NULL, or k numbers in ascending order: column i of A and row i of B
                               are number k_units[i] of k_whole, and the others are left out. C has
                               the bits that it would have with zeros in A for them, and finite
                               numbers in B. Without panels, a_drop and b_drop */
    ptrdiff_t k_whole;
} fd_product;
int fd_gemm(const fd_product *args);

/* Whether a product of length k is one chain of additions, which a weight update needs. */
int fd_is_one_piece(ptrdiff_t k);
/* Packs n rows and k columns of w for fd_product.panels, with the instruction set in use. */
typedef struct {
    float *panels;        /* fd_panels_length(n, k) */
    const float *w;       /* rows of `units` numbers */
    const int32_t *rows;  /* n: which rows of w; or NULL: the first n */
    const uint32_t *bits; /* packed keep bits, `units` of which k are set: which columns, with
                             FD_BITS_PAD more readable words; or NULL: all, k = units */
    ptrdiff_t n, k, units;
    float scale; /* the columns are multiplied by it; 1 without bits */
    int bf16;    /* for products with bf16 */
} fd_pack_args;
int fd_pack(const fd_pack_args *args);
ptrdiff_t fd_panels_length(ptrdiff_t n, ptrdiff_t k); /* floats of the panels of n rows */
ptrdiff_t fd_bf16_panels_length(ptrdiff_t n, ptrdiff_t k);

/* ---- DropConnect (Wan et al., 2013) with one mask for each sample ---- */

/* y[n, o] = drop.scale * sum over i of keep(n, o, i) w[o, i] x[n, i] + bias[o]. The output o is the
   second coordinate of the stream and the input i is the unit. With mask_bias the bias is unit
   `ins` and is multiplied by keep and drop.scale as well. drop.shift and drop.fill are not used. */
typedef struct {
    float *y;          /* rows x outs */
    const float *x;    /* rows x ins */
    const float *w;    /* outs x ins */
    const float *bias; /* outs, or NULL */
    ptrdiff_t rows, outs, ins;
    fd_drop drop;
    int mask_bias;
} fd_dropconnect_args;
int fd_dropconnect(const fd_dropconnect_args *args);

/* The gradient for x. */
typedef struct {
    float *dx;       /* rows x ins */
    const float *dy; /* rows x outs */
    const float *w;  /* outs x ins */
    ptrdiff_t rows, outs, ins;
    fd_drop drop;
} fd_dropconnect_dx_args;
int fd_dropconnect_dx(const fd_dropconnect_dx_args *args);

/* The gradients for w and bias, summed over the rows in order. */
typedef struct {
    float *dw;       /* outs x ins */
    float *db;       /* outs, or NULL: no gradient for bias */
    const float *dy; /* rows x outs */
    const float *x;  /* rows x ins */
    ptrdiff_t rows, outs, ins;
    fd_drop drop;
    int mask_bias;
} fd_dropconnect_dw_args;
int fd_dropconnect_dw(const fd_dropconnect_dw_args *args);

/* ---- sparse weights ---- */

/* y = x w^T + bias. A column that is out of range counts as column 0, and a start as the nearest
   in range: nothing outside of the arrays is read, even if they change during the call. */
typedef struct {
    float *y;       /* rows x w.outs */
    const float *x; /* rows x w.ins */
    ptrdiff_t rows;
    fd_csr w;
} fd_sparse_linear_args;
int fd_sparse_linear(const fd_sparse_linear_args *args);

/* ---- concrete dropout (Gal, Hron, Kendall, 2017) ---- */

/* y = x (1 - z) / (1 - p), z = sigmoid((logit + log u - log(1 - u)) / t), with the numbers u of
   fd_uniform for the same stream. y may be x. */
typedef struct {
    float *y;       /* rows x units */
    const float *x; /* rows x units */
    ptrdiff_t rows, units;
    const fd_stream *stream;
    fd_concrete concrete;
} fd_concrete_forward_args;
int fd_concrete_forward(const fd_concrete_forward_args *args);

/* The gradients for x and logit. The order of the additions in a row depends on units alone. dx may
   be dy. */
typedef struct {
    float *dx;       /* rows x units */
    double *dlogit;  /* rows: the sum over each row */
    const float *dy; /* rows x units */
    const float *x;  /* rows x units */
    ptrdiff_t rows, units;
    const fd_stream *stream;
    fd_concrete concrete;
} fd_concrete_backward_args;
int fd_concrete_backward(const fd_concrete_backward_args *args);

/* ---- reductions ---- */

/* out[j] = the sum of column j, rows in order. */
typedef struct {
    float *out;     /* cols */
    const float *x; /* rows x cols */
    ptrdiff_t rows, cols;
} fd_col_sum_args;
int fd_col_sum(const fd_col_sum_args *args);

/* The sum of squares; the order of the additions depends on n and the instruction set alone. */
typedef struct {
    double *out;    /* one number */
    const float *x; /* n */
    ptrdiff_t n;
} fd_sumsq_args;
int fd_sumsq(const fd_sumsq_args *args);

/* ---- optimisers: one step, in place ---- */

/* Rows of w whose Euclidean norm is above c are scaled to norm c. */
typedef struct {
    float *w; /* rows x cols */
    ptrdiff_t rows, cols;
    float c;
} fd_max_norm_rows_args;
int fd_max_norm_rows(const fd_max_norm_rows_args *args);

/* clang-format off */
/* d = g + weight_decay * p
   with buf:  buf = momentum * buf + (1 - dampening) * d   (buf = d in the first step)
              d = d + momentum * buf if nesterov, else buf
   p = p - lr * d */
/* clang-format on */
typedef struct {
    float *p;       /* n parameters */
    float *buf;     /* n, or NULL: no momentum */
    const float *g; /* n gradients */
    ptrdiff_t n;
    float lr, momentum, dampening, weight_decay;
    int nesterov;
    int first;                 /* the first step: buf is written and not read */
    const fd_product *product; /* not NULL: the gradient, which is then not stored; see below */
} fd_sgd_args;
/* With `product` the gradient is its A B (p is m x n), and g, c, bias, act and drop are ignored.
   Its k must be one piece (fd_is_one_piece). The same bits as fd_gemm and then the update. After
   FD_INTERRUPTED a part of p is updated. */
int fd_sgd(const fd_sgd_args *args);

/* d = g + l2 * p; p = p * (1 - shrink)
   m = beta1 * m + (1 - beta1) * d; v = beta2 * v + (1 - beta2) * d^2
   p = p - step_size * m / (sqrt(v) * v_scale + eps) */
typedef struct {
    float *p;       /* n parameters */
    float *m, *v;   /* n each: the moments */
    const float *g; /* n gradients */
    ptrdiff_t n;
    double beta1, beta2; /* float64: 1 - beta in float32 would be off by 1e-5 */
    float step_size, eps, l2, shrink, v_scale;
} fd_adam_args;
int fd_adam(const fd_adam_args *args);

/* d = g + weight_decay * p; v = alpha * v + (1 - alpha) * d^2; d = d / (sqrt(v) + eps)
   buf = momentum * buf + d; d = buf (not without buf)
   p = p - lr * d */
typedef struct {
    float *p;       /* n parameters */
    float *v;       /* n: the mean square */
    float *buf;     /* n, or NULL: no momentum */
    const float *g; /* n gradients */
    ptrdiff_t n;
    double alpha; /* float64, as the betas of Adam */
    float lr, eps, weight_decay, momentum;
} fd_rmsprop_args;
int fd_rmsprop(const fd_rmsprop_args *args);

/* ---- runtime ---- */

enum { FD_MAX_THREADS = 1024 };

int fd_abi(void);           /* FD_ABI of the header that the library was compiled with */
int fd_has_openmp(void);    /* 0: every call runs on one thread */
int fd_get_threads(void);   /* the most threads that a call uses */
void fd_set_threads(int n); /* from 1 to FD_MAX_THREADS; a number outside counts as the nearest */
/* How many of the wanted threads the system could not create. Calls do without them. 0: all exist,
   or none was needed yet. fd_set_threads makes the next call try again. */
int fd_missing_threads(void);
const char *fd_isa(void); /* the instruction set in use */
/* Instruction set i of this build, best first; NULL after the last. available: 1 here, else 0. */
const char *fd_isa_name(int i, int *available);
/* FD_OK, or FD_UNKNOWN_ISA if this build or machine does not have it. Not while other calls run.
   fd_panels_length and packed panels depend on the instruction set. */
int fd_set_isa(const char *name);
/* The kernels of products with bf16, or NULL: these are in float32. Panels depend on them. The
   other function chooses kernels by name (NULL: the best), for tests; FD_OK or FD_UNKNOWN_ISA. */
const char *fd_bf16_isa(void);
int fd_set_bf16_isa(const char *name);
/* hook is called on the calling thread between chunks of long calls (about every 0.2 s); a nonzero
   result ends the call with FD_INTERRUPTED. NULL: no hook. */
void fd_set_interrupt_hook(int (*hook)(void));

#include "fastdrop_maps.h"
#include "fastdrop_sequences.h"
#include "fastdrop_thinned.h"

#ifdef __cplusplus
}
#endif

#endif
