/* The AMX kernels of products in bf16 on any machine: this file computes their tile instructions in
   plain C, by the pseudo-code of Intel's manual, and compares tiles of all shapes with double
   precision. Prints one line a case, ok or WRONG. Run by cross_check.py. */
#include "simd/scalar_bf16.h" /* its include guard keeps avx512_bf16.h away */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct {
    uint8_t bytes[16][64];
} tiles[8];
static struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} shape;

static void fail(const char *what) {
    printf("amx WRONG: %s\n", what);
    exit(1);
}

static void _tile_loadconfig(const void *from) { memcpy(&shape, from, 64); }
static void _tile_release(void) { memset(&shape, 0, 64); }
static void _tile_zero(int t) { memset(&tiles[t], 0, sizeof tiles[t]); }
static void _tile_loadd(int t, const void *from, ptrdiff_t bytes) {
    if (shape.palette != 1) fail("no shape");
    _tile_zero(t);
    for (int r = 0; r < shape.rows[t]; r++)
        memcpy(tiles[t].bytes[r], (const char *)from + r * bytes, shape.row_bytes[t]);
}
static void _tile_stored(int t, void *to, ptrdiff_t bytes) {
    for (int r = 0; r < shape.rows[t]; r++)
        memcpy((char *)to + r * bytes, tiles[t].bytes[r], shape.row_bytes[t]);
}

static uint32_t number(int t, int row, int i) { /* bf16 number i of a row, as bits of a float */
    uint16_t half;
    memcpy(&half, &tiles[t].bytes[row][2 * i], 2);
    return (uint32_t)half << 16;
}
static void _tile_dpbf16ps(int c, int a, int b) {
    if (shape.rows[c] != shape.rows[a] || shape.row_bytes[a] / 4 != shape.rows[b] ||
        shape.row_bytes[c] != shape.row_bytes[b])
        fail("shapes");
    for (int m = 0; m < shape.rows[c]; m++)
        for (int n = 0; n < shape.row_bytes[c] / 4; n++) {
            float sums[2] = {0.0f, 0.0f}, old;
            for (int k = 0; k < shape.row_bytes[a] / 4; k++)
                for (int i = 0; i < 2; i++)
                    sums[i] = bf16_step(number(a, m, 2 * k + i), number(b, k, 2 * n + i), sums[i]);
            memcpy(&old, &tiles[c].bytes[m][4 * n], 4);
            old += sums[0] + sums[1];
            memcpy(&tiles[c].bytes[m][4 * n], &old, 4);
        }
}

#include "isa/amx_bf16.c"

static uint32_t seed = 1;
static float next(void) { /* in [-4, 4) */
    seed = seed * 1664525u + 1013904223u;
    return (float)(int32_t)seed * 0x1p-29f;
}
static float rounded(float x) { return bf16_flushed(bf16_of(x) << 16); }

/* C = dropout(max(0, C + A B + bias)) of m x n with k numbers, or C = A B if plain; A stored m x k,
   or k x m if ta, B likewise. */
static int tile_is_right(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, int ta, int tb, int plain) {
    const fd_bf16_table *table = &fd_bf16_table_amx;
    const ptrdiff_t pairs = (k + 1) / 2, lda = pairs + 16, width = table->tile_n;
    enum { M = 32, N = 32 }; /* the largest tile */
    float *a = malloc((size_t)(m * k + 64) * 4), *b = malloc((size_t)(n * k + 64) * 4),
          *rows = malloc((size_t)(M * lda + 64) * 4), bias[N], c[M][N], old[M][N];
    float *panel = malloc((size_t)(pairs * width + 64) * 4);
    for (ptrdiff_t i = 0; i < m * k; i++) a[i] = next();
    for (ptrdiff_t i = 0; i < n * k; i++) b[i] = next();
    for (ptrdiff_t i = 0; i < M * lda + 64; i++) rows[i] = NAN; /* behind what is packed */
    for (ptrdiff_t i = 0; i < pairs * width + 64; i++) panel[i] = NAN;
    for (ptrdiff_t j = 0; j < N; j++) bias[j] = next();
    for (ptrdiff_t i = 0; i < M; i++)
        for (ptrdiff_t j = 0; j < N; j++) c[i][j] = old[i][j] = next();
    uint32_t bits[M * 3 + FD_BITS_PAD]; /* dropout of half the elements, in two of six cases */
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) bits[i] = vu_of_bits(next());
    if (ta) table->pair_rows_t(rows, lda, a, m, k, m);
    else table->pair_rows(rows, lda, a, k, m, k);
    if (tb) table->pair_panels_t(panel, pairs * width, b, k, k, n);
    else table->pair_panels(panel, width, pairs * width, b, n, k, n);
    const fd_tile tile = {.mr = m,
                          .n = n,
                          .k = pairs,
                          .a = rows,
                          .lda = lda,
                          .a_rows = 1,
                          .b = panel,
                          .c = c[0],
                          .ldc = N,
                          .add = !plain,
                          .relu = !plain,
                          .bias = plain ? NULL : bias,
                          .bits = ta && !plain ? bits : NULL,
                          .bits_ld = 3,
                          .bit0 = 5,
                          .scale = 2.0f};
    table->begin();
    table->gemm_tile(&tile);
    table->end();
    int right = shape.palette == 0;
    for (ptrdiff_t i = 0; i < M; i++)
        for (ptrdiff_t j = 0; j < N; j++) {
            double sum = 0.0, bound = 1e-30;
            if (i >= m || j >= n) { /* not of this tile */
                right &= c[i][j] == old[i][j];
                continue;
            }
            for (ptrdiff_t p = 0; p < k; p++) {
                const double term = (double)rounded(a[ta ? p * m + i : i * k + p]) *
                                    (double)rounded(b[tb ? j * k + p : p * n + j]);
                sum += term;
                bound += fabs(term);
            }
            if (!plain) sum = fmax(0.0, sum + (double)old[i][j] + (double)bias[j]);
            if (ta && !plain)
                sum *= 2.0 * (double)(bits[i * 3 + (j + 5) / 32] >> (j + 5) % 32 & 1u);
            right &= fabs(sum - (double)c[i][j]) <= 4e-6 * (bound + 8.0);
        }
    free(a), free(b), free(rows), free(panel);
    return right;
}

int main(void) {
    static const ptrdiff_t heights[] = {1, 15, 16, 17, 31, 32}, widths[] = {1, 15, 16, 17, 31, 32},
                           lengths[] = {0, 1, 2, 31, 32, 33, 64, 95, 130};
    for (int t = 0; t < 8; t++)
        for (int h = 0; h < 6; h++) {
            int right = 1;
            for (int w = 0; w < 6; w++)
                for (int l = 0; l < 9; l++)
                    right &= tile_is_right(heights[h], widths[w], lengths[l], t & 1, t >> 1 & 1,
                                           t >> 2);
            printf("amx tile %d %ld %s\n", t, (long)heights[h], right ? "ok" : "WRONG");
        }
    return 0;
}
