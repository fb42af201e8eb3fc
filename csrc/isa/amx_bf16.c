/* Products in bf16 by the tiles of AMX: amx-tile, amx-bf16. The operands are made with
   AVX512-BF16. */
#include "simd/avx512_bf16.h"
#undef FD_BF16_NAME
#define FD_BF16_NAME "amx_bf16"

#include "kernels/bf16.h"

enum { FD_BF16_NR = 32, FD_AMX_ROWS = 32, FD_AMX_SIDE = 16 };
#include "kernels/bf16.inc"

/* What the instruction ldtilecfg reads. */
typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} amx_shape;

/* The intrinsics of gcc do not say what they read: this stores it first. */
#define AMX_READS(p) __asm__ volatile("" ::"r"(p) : "memory")

/* Tile registers 0 to 3 hold the sums, 16 x 16 each: 2 x 2 of them. 4 and 5 are rows of A, 6 and 7
   columns of B. All have 16 rows of 64 bytes, also where the product has fewer: what the others
   hold does not reach the result. */
static void amx_begin(void) {
    _Alignas(64) amx_shape shape = {.palette = 1};
    for (int r = 0; r < 8; r++) {
        shape.row_bytes[r] = 4 * FD_AMX_SIDE;
        shape.rows[r] = FD_AMX_SIDE;
    }
    AMX_READS(&shape);
    _tile_loadconfig(&shape);
}

/* Other code of the thread may use the tiles, and a thread that holds tiles costs the system more
   at each switch. */
static void amx_end(void) { _tile_release(); }

/* sums += 16 pairs of k of A times 16 rows of a panel; `low`: A has more than 16 rows */
FD_INLINE void amx_step(const float *a, ptrdiff_t lda, const float *b, const int low) {
    _tile_loadd(4, a, lda * 4);
    _tile_loadd(6, b, FD_BF16_NR * 4);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + FD_AMX_SIDE, FD_BF16_NR * 4);
    _tile_dpbf16ps(1, 4, 7);
    if (!low) return;
    _tile_loadd(5, a + FD_AMX_SIDE * lda, lda * 4);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
}

/* The last pairs of a piece of k, fewer than 16, with zeros behind them: what stands behind the
   panel may be anything, and 0 * inf is not 0. */
FD_INLINE void amx_rest(const fd_tile *t, ptrdiff_t p) {
    _Alignas(64) float a[FD_AMX_ROWS * FD_AMX_SIDE], b[FD_AMX_SIDE * FD_BF16_NR];
    const ptrdiff_t rest = t->k - p;
    for (ptrdiff_t i = 0; i < FD_AMX_ROWS; i++)
        vf_store(a + i * FD_AMX_SIDE,
                 i < t->mr ? vf_load_n(t->a + i * t->lda + p, rest) : vf_set1(0.0f));
    for (ptrdiff_t i = 0; i < FD_AMX_SIDE; i++)
        for (ptrdiff_t j = 0; j < FD_BF16_NR; j += FD_VL)
            vf_store(b + i * FD_BF16_NR + j,
                     i < rest ? vf_load(t->b + (p + i) * FD_BF16_NR + j) : vf_set1(0.0f));
    AMX_READS(a);
    AMX_READS(b);
    amx_step(a, FD_AMX_SIDE, b, 1);
}

/* The sums of row i through the epilogue and to memory, as tile_row_out in gemm.inc. */
FD_INLINE void amx_row_out(const fd_tile *t, const float *sums, ptrdiff_t i) {
    float *c = t->c + i * t->ldc;
    for (ptrdiff_t j = 0; j < t->n; j += FD_VL) {
        const ptrdiff_t n = fd_min(FD_VL, t->n - j);
        vf v = vf_load(sums + j);
        if (t->add) v = vf_add(vf_load_n(c + j, n), v);
        if (t->bias) v = vf_add(v, vf_load_n(t->bias + j, n));
        if (t->relu) v = vf_max(vf_set1(0.0f), v);
        if (t->bits)
            v = vf_keep(vm_bits(fd_bits_at(t->bits + i * t->bits_ld, t->bit0 + j)),
                        vf_mul(v, vf_set1(t->scale)));
        vf_store_n(c + j, v, n);
    }
}

/* Tile registers 0 to 3 = A B over a piece of k */
FD_INLINE void amx_sums(const fd_tile *t, const int low) {
    enum { AHEAD = 2 }; /* steps of B that are fetched ahead from the second cache */
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    ptrdiff_t p = 0;
    for (; p + FD_AMX_SIDE <= t->k; p += FD_AMX_SIDE) {
        const float *b = t->b + p * FD_BF16_NR;
        FD_UNROLL(32)
        for (ptrdiff_t i = 0; i < FD_AMX_SIDE * FD_BF16_NR; i += FD_VL)
            FD_PREFETCH(b + AHEAD * FD_AMX_SIDE * FD_BF16_NR + i);
        amx_step(t->a + p, t->lda, b, low);
    }
    if (p < t->k) amx_rest(t, p);
}

FD_INLINE void amx_store(float *c, ptrdiff_t ldc) {
    float *low = c + FD_AMX_SIDE * ldc;
    _tile_stored(0, c, ldc * 4);
    _tile_stored(1, c + FD_AMX_SIDE, ldc * 4);
    _tile_stored(2, low, ldc * 4);
    _tile_stored(3, low + FD_AMX_SIDE, ldc * 4);
}

static void gemm_tile(const fd_tile *t) {
    assert(1 <= t->mr && t->mr <= FD_AMX_ROWS && 1 <= t->n && t->n <= FD_BF16_NR);
    assert(t->a_rows && !t->index && !t->runs);
    if (t->mr > FD_AMX_SIDE) amx_sums(t, 1);
    else amx_sums(t, 0);
    const int whole = t->n == FD_BF16_NR && t->mr == FD_AMX_ROWS;
    if (whole && !t->add && !t->bias && !t->relu && !t->bits) {
        amx_store(t->c, t->ldc);
        return;
    }
    _Alignas(64) float sums[FD_AMX_ROWS * FD_BF16_NR];
    amx_store(sums, FD_BF16_NR);
    for (ptrdiff_t i = 0; i < t->mr; i++) amx_row_out(t, sums + i * FD_BF16_NR, i);
}

const fd_bf16_table fd_bf16_table_amx = {
    FD_BF16_NAME, FD_AMX_ROWS, FD_BF16_NR,  1,           amx_begin,     amx_end,
    gemm_tile,    pair_rows,   pair_rows_t, pair_panels, pair_panels_t,
};
