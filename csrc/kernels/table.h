/* The table of kernels: one complete table of function pointers for each instruction set, generated
   from list.inc, which has the contract of every kernel. No entry is NULL. */
#ifndef FD_KERNELS_TABLE_H
#define FD_KERNELS_TABLE_H

#include "base/stream.h"

enum fd_b_place { FD_B_PANEL, FD_B_ROWS, FD_B_COLUMNS };

/* One register tile of C, mr x n with mr <= tile_m and n <= tile_n: C = A B, or C += A B if add.
   Then, in this order and where given: + bias, ReLU, dropout by packed bits. */
typedef struct {
    ptrdiff_t mr, n, k;
    const float *a; /* a_rows: a[i*lda + p]; else packed, a[p*mr + i] */
    ptrdiff_t lda;
    int a_rows;
    const float *b;       /* a packed panel b[p*tile_n + j], zeros for j >= n */
    const int32_t *index; /* NULL: all p < k. Or, with a_rows, `count` ascending p: only these */
    ptrdiff_t count;
    /* runs > 0: the chain goes through `runs` products of k, of which product r begins at
       a + a_runs[r]. With a_rows the panel b goes on from one to the next. Without, a is a[p*lda +
       i], and b is b[b_runs[r] + p*ldb + j]; whole vectors of it are read. */
    ptrdiff_t runs, ldb;
    const ptrdiff_t *a_runs, *b_runs;
    /* Where b lies, with a_rows and without index and runs. FD_B_ROWS: b[p*ldb + j], n = tile_n,
       the panel is stored at `to` unless that is NULL, and what lies `ahead` > 0 floats on is
       fetched. FD_B_COLUMNS: b[j*ldb + p]. */
    int b_place;
    float *to;
    ptrdiff_t ahead;
    float *c;
    ptrdiff_t ldc;
    /* NULL, or memory of the shape of C that is used next: fetched while the sums are computed
       (else C is). Row i of array q is at fetch[q] + i*fetch_ld; fetch[1] may be NULL. */
    const float *fetch[2];
    ptrdiff_t fetch_ld;
    int add, relu;
    const float *bias;    /* n numbers, or NULL */
    const uint32_t *bits; /* row i: bits + i*bits_ld, column j at bit bit0 + j; or NULL */
    ptrdiff_t bits_ld, bit0;
    float scale; /* of what the bits keep */
} fd_tile;

/* A patch of neighbouring positions of a channels-last map. Those outside of rows [r0, r1) and
   columns [c0, c1) of the patch are outside of the map: they read as 0 and are not written. */
typedef struct {
    const float *at;       /* of the first position, which may be outside; NULL for an output */
    const float *zeros;    /* n zeros */
    ptrdiff_t row, column; /* floats between neighbours */
    ptrdiff_t r0, r1, c0, c1;
    ptrdiff_t n; /* channels */
} fd_patch;

enum { FD_WINO_UNIT = 16 }; /* transformed channels are a multiple, the last ones zeros */
/* A row of output positions of a depthwise convolution: y[q*y_step + c] is the sum over the runs
   and the taps of x times w, then + bias and ReLU where given. A run is a row of `size` positions
   of x, p at rows[run][p*x_step + c]; positions outside of it are zeros, and so is a row that is
   NULL. Output q reads position q*step + origin + tap*dilation. */
typedef struct {
    ptrdiff_t count, channels;
    float *y;
    ptrdiff_t y_step;
    const float *const *rows;
    ptrdiff_t runs, size, x_step, step, origin, taps, dilation;
    const float *w; /* w[(run*taps + tap)*w_step + c] */
    ptrdiff_t w_step;
    const float *bias; /* channels, or NULL */
    int relu;
} fd_depthwise;

/* The gradient for w of `lines` such rows: sums[(run*taps + tap)*sums_step + c] += the sum of x
   times dy, one chain, for channels [begin, end); begin is a multiple of the vector's length, and
   end is one or `channels`. */
typedef struct {
    ptrdiff_t lines, count, channels, begin, end;
    const float *dy; /* dy[line*dy_line + q*dy_step + c] */
    ptrdiff_t dy_line, dy_step;
    const float *const *rows; /* rows[line*runs + run] */
    ptrdiff_t runs, size, x_step, step, origin, taps, dilation;
    float *sums;
    ptrdiff_t sums_step;
} fd_depthwise_weight;

/* A row of `count` positions of a pool's result, or of its gradient for the input. Position q is
   made of positions from[q] .. from[q] + (taps[q]-1)*step of each of the rows that are given by
   their position 0. Channels are side by side. */
typedef struct {
    ptrdiff_t count, channels;
    float *y;
    const float *const *rows;
    ptrdiff_t runs, step;
    const int32_t *from, *taps;
    uint32_t *at;                    /* max: where the largest is, or NULL */
    const int32_t *numbers;          /* max: of position 0 of each row, in its image */
    const uint32_t *const *ats;      /* gradient of max: `at` beside each row */
    int32_t number;                  /* gradient of max: of position 0 of y, in its image */
    const float *factor;             /* average: of each position of y */
    const float *const *row_factors; /* gradient of an average: of each position of each row */
    int uncached;                    /* gradients store past the caches; y is at a vector */
} fd_pool_row;

/* A row of positions that are sums of others: y[q] is the sum over the rows of their weight times
   the sum over starts[q] <= j < starts[q + 1] of weights[j] times position index[j]. */
typedef struct {
    ptrdiff_t count, channels;
    float *y;
    const float *const *rows; /* position 0 of each */
    const float *row_weights;
    ptrdiff_t runs;
    const int32_t *starts, *index;
    const float *weights;
} fd_resized_row;

/* The masks of a block of cells: packed bits of its rows, `ld` words apart, its first unit at bit
   bit0; NULL: no mask. With fd_recurrent_masks' meaning. */
typedef struct {
    const uint32_t *seen[4], *update, *zone_c, *zone_h;
    ptrdiff_t ld, bit0;
    float seen_scale, update_scale, fresh_c, fresh_h;
    int seen_count; /* copies of h that products with w_hh read: one, or one for each gate */
} fd_cell_masks;

/* One step of rows x units cells (fastdrop_sequences.h has the formulas). Gate g of unit u is
   gates[i*gates_ld + g*gate + u]: in, the sums of both products and the biases; out, the gates. A
   GRU's gate 0 is the part n of W_hh h, to which bias_n is added, then come r, z, n. */
typedef struct {
    ptrdiff_t rows, units;
    float *gates;
    ptrdiff_t gates_ld, gate;
    float *h, *c;      /* the state, in place; c: LSTM */
    float *seen[4];    /* dropout(h) */
    ptrdiff_t ld;      /* of h, c and seen */
    float *y, *states; /* copies of h and c */
    ptrdiff_t out_ld;
    const float *bias_n; /* units, or NULL */
    fd_cell_masks masks;
    int cell; /* enum fd_cell */
} fd_cells;

/* Its gradient. gates: in, the gates; out, the gradients of their sums. */
typedef struct {
    ptrdiff_t rows, units;
    float *gates;
    ptrdiff_t gates_ld, gate;
    float *dh;            /* NULL: 0 and not wanted. In: a part of the gradient of h; out: of h_old,
                             but for the products */
    float *dc;            /* in: the gradient of c, out: of c_old */
    ptrdiff_t ld;         /* of dh and dc */
    const float *sums[4]; /* the gradients of `seen` */
    int sums_count;       /* seen_count, or 0 */
    ptrdiff_t sums_ld;
    const float *dy;
    ptrdiff_t out_ld;
    const float *h_old, *c_old; /* the state before the step */
    ptrdiff_t old_ld;
    fd_cell_masks masks;
    int cell;
} fd_cells_backward;

/* A block of attention scores, in powers of two: rows are queries, columns are keys. What a row
   does not see counts as -infinity. Whole vectors of a row are read and written: ld has room for
   them. */
typedef struct {
    ptrdiff_t rows, columns;
    float *scores;
    ptrdiff_t ld;
    ptrdiff_t seen, seen_step; /* row i sees the first seen + i*seen_step columns at most */
    const float *bias;         /* added, times log2(e), row i at bias + i*bias_ld; or NULL */
    ptrdiff_t bias_ld;
    const uint32_t *allowed;       /* packed bits: which columns are seen; or NULL: all */
    const uint32_t *keep;          /* packed bits of dropout, or NULL */
    ptrdiff_t allowed_ld, keep_ld; /* words */
} fd_scores;

typedef struct {
    const char *name;         /* "scalar", "avx2", .. */
    ptrdiff_t tile_m, tile_n; /* the largest register tile of the matrix product */
    ptrdiff_t lanes;          /* floats in a vector */
#define X(result, name, arguments) result(*name) arguments;
#include "kernels/list.inc"
#undef X
} fd_table;

/* The kernel keep_bits for every q, 0 and FD_KEEP_ALL included. Bits after the last unit of a group
   are not cleared. */
FD_INLINE void fd_any_keep_bits(const fd_table *k, uint32_t *bits, const fd_stream *s,
                                ptrdiff_t row, ptrdiff_t rows, ptrdiff_t group, ptrdiff_t groups,
                                uint64_t q) {
    if (q > 0 && q < FD_KEEP_ALL) k->keep_bits(bits, s, row, rows, group, groups, q);
    else memset(bits, q ? 0xFF : 0, (size_t)(rows * groups * FD_GROUP_WORDS) * sizeof *bits);
}

/* The bits from offset o on of packed little-endian words, from bit 0 up; at least 25 are valid.
   Reads 4 bytes: FD_BITS_PAD words must be readable behind the last bit. */
FD_INLINE uint32_t fd_bits_at(const uint32_t *bits, ptrdiff_t o) {
    uint32_t w;
    memcpy(&w, (const char *)bits + (o >> 3), 4);
    return w >> (o & 7);
}

#endif
