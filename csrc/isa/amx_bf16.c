/* Products in bf16 by the tiles of AMX: amx-tile, amx-bf16. The operands are made with
   AVX512-BF16. */
#include "simd/avx512_bf16.h"
#undef FD_BF16_NAME
#define FD_BF16_NAME "amx_bf16"

#include "kernels/bf16.h"

enum { FD_BF16_NR = 64, FD_AMX_ROWS = 16, FD_AMX_PAIRS = 16 };
#include "kernels/bf16.inc"

/* What the instruction ldtilecfg reads. */
typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} amx_shape;

/* The intrinsics of gcc do not say what they read: this stores it first. */
#define AMX_READS(p) __asm__ volatile("" ::"r"(p) : "memory")

/* Tile registers 0 to 3 hold the sums of 16 columns each, 4 the rows of A, 5 to 7 are panels of B.
   The shape is loaded in every tile, and released: other code of the thread may use the tiles, and
   a thread that holds tiles costs the system more at each switch. */
FD_INLINE void amx_begin(ptrdiff_t rows) {
    _Alignas(64) amx_shape shape = {.palette = 1};
    for (int r = 0; r < 8; r++) {
        shape.row_bytes[r] = 64;
        shape.rows[r] = (uint8_t)(r < 5 ? rows : FD_AMX_PAIRS);
    }
    AMX_READS(&shape);
    _tile_loadconfig(&shape);
}

/* sums += 16 pairs of k of A times 16 rows of a panel */
#define AMX_STEP(a, a_bytes, b)                                                                    \
    do {                                                                                           \
        _tile_loadd(4, (a), (a_bytes));                                                            \
        _tile_loadd(5, (b), FD_BF16_NR * 4);                                                       \
        _tile_dpbf16ps(0, 4, 5);                                                                   \
        _tile_loadd(6, (b) + 16, FD_BF16_NR * 4);                                                  \
        _tile_dpbf16ps(1, 4, 6);                                                                   \
        _tile_loadd(7, (b) + 32, FD_BF16_NR * 4);                                                  \
        _tile_dpbf16ps(2, 4, 7);                                                                   \
        _tile_loadd(5, (b) + 48, FD_BF16_NR * 4);                                                  \
        _tile_dpbf16ps(3, 4, 5);                                                                   \
    } while (0)

/* The last pairs of a piece of k, fewer than 16, with zeros behind them: what stands behind the
   panel may be anything, and 0 * inf is not 0. */
FD_INLINE void amx_rest(const fd_tile *t, ptrdiff_t p) {
    _Alignas(64) float a[FD_AMX_ROWS * FD_AMX_PAIRS], b[FD_AMX_PAIRS * FD_BF16_NR];
    const ptrdiff_t rest = t->k - p;
    for (ptrdiff_t i = 0; i < t->mr; i++)
        vf_store(a + i * FD_AMX_PAIRS, vf_load_n(t->a + i * t->lda + p, rest));
    for (ptrdiff_t i = 0; i < FD_AMX_PAIRS; i++)
        for (ptrdiff_t j = 0; j < FD_BF16_NR; j += FD_VL)
            vf_store(b + i * FD_BF16_NR + j,
                     i < rest ? vf_load(t->b + (p + i) * FD_BF16_NR + j) : vf_set1(0.0f));
    AMX_READS(a);
    AMX_READS(b);
    AMX_STEP(a, FD_AMX_PAIRS * 4, b);
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

static void gemm_tile(const fd_tile *t) {
    _Alignas(64) float sums[FD_AMX_ROWS * FD_BF16_NR];
    assert(1 <= t->mr && t->mr <= FD_AMX_ROWS && 1 <= t->n && t->n <= FD_BF16_NR);
    assert(t->a_rows && !t->index && !t->runs);
    amx_begin(t->mr);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    ptrdiff_t p = 0;
    for (; p + FD_AMX_PAIRS <= t->k; p += FD_AMX_PAIRS)
        AMX_STEP(t->a + p, t->lda * 4, t->b + p * FD_BF16_NR);
    if (p < t->k) amx_rest(t, p);
    _tile_stored(0, sums, FD_BF16_NR * 4);
    _tile_stored(1, sums + 16, FD_BF16_NR * 4);
    _tile_stored(2, sums + 32, FD_BF16_NR * 4);
    _tile_stored(3, sums + 48, FD_BF16_NR * 4);
    _tile_release();
    for (ptrdiff_t i = 0; i < t->mr; i++) amx_row_out(t, sums + i * FD_BF16_NR, i);
}

const fd_bf16_table fd_bf16_table_amx = {
    FD_BF16_NAME, FD_AMX_ROWS, FD_BF16_NR,    1, gemm_tile, pair_rows,
    pair_rows_t,  pair_panels, pair_panels_t,
};
