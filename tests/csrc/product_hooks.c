/* The loop nest of the matrix product with hooks of another driver: a convolution whose image
   windows are packed on the fly, weights that are computed on the fly, and an optimiser's update as
   the epilogue. Each must give the same bits as fd_gemm on operands that are written out. Prints a
   line a case that ends in ok or WRONG. Run by cross_check.py and tests/kernels/test_hooks.py. */
#include "product/epilogue.h"
#include "product/gemm.h"
#include "product/pack.h"
#include "runtime/cpu.h"
#include "fastdrop.h"

#include <stdio.h>
#include <stdlib.h>

static float *numbers(ptrdiff_t n, uint32_t seed) { /* in [-4, 4) */
    float *x = malloc((size_t)n * sizeof *x);
    for (ptrdiff_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)seed * 0x1p-29f;
    }
    return x;
}

static void report(const char *name, int threads, const float *found, const float *expected,
                   ptrdiff_t n) {
    const int same = memcmp(found, expected, (size_t)n * sizeof *found) == 0;
    printf("%s %d %s\n", name, threads, same ? "ok" : "WRONG");
}

/* ---- convolution: images (N, H, W, C), windows SIDE x SIDE without padding. Row i of A is the
   window of output pixel i, its columns are (ky, kx, c). ---- */

enum { N = 3, H = 19, W = 17, C = 11, SIDE = 7, OUT_H = H - SIDE + 1, OUT_W = W - SIDE + 1 };
enum { PIXELS = N * OUT_H * OUT_W, WINDOW = SIDE * SIDE * C, OUTS = 75 };

static float window_at(const float *images, ptrdiff_t pixel, ptrdiff_t p) {
    const ptrdiff_t n = pixel / (OUT_H * OUT_W), y = pixel / OUT_W % OUT_H, x = pixel % OUT_W;
    const ptrdiff_t ky = p / (SIDE * C), kx = p / C % SIDE, c = p % C;
    return images[((n * H + y + ky) * W + x + kx) * C + c];
}

static void pack_windows(const fd_nest *nest, fd_tile *t, const fd_scratch *s, ptrdiff_t i,
                         ptrdiff_t tiles, ptrdiff_t pc) {
    t->a_rows = 1;
    t->lda = t->k + 16;
    t->a = s->rows;
    for (ptrdiff_t r = 0; r < tiles * t->mr; r++)
        for (ptrdiff_t p = 0; p < t->k; p++)
            s->rows[r * t->lda + p] = window_at(nest->a.context, i + r, pc + p);
}

/* The same windows packed tile by tile, through the stage. */
static void pack_windows_in_runs(const fd_nest *nest, fd_tile *t, const fd_scratch *s, ptrdiff_t i,
                                 ptrdiff_t tiles, ptrdiff_t pc) {
    t->a_rows = 0;
    t->a = s->rows;
    for (ptrdiff_t p = 0; p < t->k; p++) {
        for (ptrdiff_t r = 0; r < tiles * t->mr; r++)
            s->stage[r] = window_at(nest->a.context, i + r, pc + p);
        for (ptrdiff_t r = 0; r < tiles * t->mr; r++)
            s->rows[r / t->mr * t->mr * t->k + p * t->mr + r % t->mr] = s->stage[r];
    }
}

/* ---- weights made on the fly: B[p, j] = u[p] * v[j] ---- */

typedef struct {
    const float *u, *v;
} rank_one;

static const float *pack_rank_one(const fd_nest *nest, const fd_scratch *s, ptrdiff_t pc,
                                  ptrdiff_t kc, ptrdiff_t jc, ptrdiff_t nc) {
    const rank_one *b = nest->b.context;
    const ptrdiff_t width = nest->kernels->tile_n;
    for (ptrdiff_t j = 0; j < fd_round_up(nc, width); j++)
        for (ptrdiff_t p = 0; p < kc; p++)
            s->panels[j / width * width * kc + p * width + j % width] = j < nc ? b->u[pc + p] *
                                                                                     b->v[jc + j]
                                                                               : 0.0f;
    return s->panels;
}

/* ---- weights that are read where they lie, three rows ahead, as on Intel's processors ---- */

static void read_ahead(const fd_nest *nest, fd_tile *t, ptrdiff_t pc, ptrdiff_t j) {
    const fd_operand *b = nest->b.context;
    t->b = b->x + pc * b->ld + j;
    t->ldb = b->ld;
    t->ahead = 3 * b->ld;
}

/* ---- the epilogue of a weight gradient: w -= rate * C while C is in the first cache ---- */

typedef struct {
    float *w; /* of C's shape, dense */
    float rate;
} update;

static void step(const update *u, ptrdiff_t at, float gradient) { u->w[at] -= u->rate * gradient; }

static void finish_update(const fd_nest *nest, const fd_tile *t, const fd_scratch *s, ptrdiff_t i,
                          ptrdiff_t jc, ptrdiff_t nc) {
    (void)s;
    for (ptrdiff_t r = i; r < i + t->mr; r++)
        for (ptrdiff_t j = jc; j < jc + nc; j++)
            step(nest->out.context, r * nest->n + j, nest->c[r * nest->ldc + j]);
}

/* ---- cases ---- */

static void run(const fd_nest *nest, const char *name, const float *expected, int threads) {
    const ptrdiff_t n = nest->m * nest->n;
    fd_set_threads(threads);
    memset(nest->c, 0xFF, (size_t)n * sizeof(float)); /* NaN */
    if (fd_nest_run(nest) != FD_OK) exit(1);
    report(name, threads, nest->c, expected, n);
}

int main(int argc, char **argv) {
    if (argc > 1 && fd_set_isa(argv[1]) != FD_OK) return 77; /* not on this machine */
    float *images = numbers(N * H * W * C, 1), *w = numbers(OUTS * WINDOW, 2),
          *bias = numbers(OUTS, 3), *u = numbers(WINDOW, 4), *v = numbers(OUTS, 5),
          *columns = malloc((size_t)PIXELS * WINDOW * sizeof(float)),
          *outer = malloc((size_t)WINDOW * OUTS * sizeof(float)),
          *expected = malloc((size_t)PIXELS * OUTS * sizeof(float)),
          *c = malloc((size_t)PIXELS * OUTS * sizeof(float));
    for (ptrdiff_t i = 0; i < PIXELS; i++)
        for (ptrdiff_t p = 0; p < WINDOW; p++) columns[i * WINDOW + p] = window_at(images, i, p);
    for (ptrdiff_t p = 0; p < WINDOW; p++)
        for (ptrdiff_t j = 0; j < OUTS; j++) outer[p * OUTS + j] = u[p] * v[j];

    fd_stream stream = {{1, 2}, 0, 1, 7, NULL, NULL, 0};
    const fd_drop drop = {.stream = &stream, .q = 3006477107u, .scale = 1.42857146f};
    const fd_product dense = {.c = expected,
                              .a = columns,
                              .b = w,
                              .m = PIXELS,
                              .n = OUTS,
                              .k = WINDOW,
                              .ldc = OUTS,
                              .lda = WINDOW,
                              .ldb = WINDOW,
                              .tb = 1,
                              .bias = bias,
                              .act = FD_RELU,
                              .drop = drop};
    fd_gemm(&dense);

    const fd_operand weights = {.x = w, .ld = WINDOW};
    const fd_layer_end end = {.bias = bias, .act = FD_RELU, .drop = drop};
    fd_nest conv = {.kernels = fd_kernels(),
                    .m = PIXELS,
                    .n = OUTS,
                    .k = WINDOW,
                    .c = c,
                    .ldc = OUTS,
                    .a = {.pack = pack_windows, .context = images, .run = 1},
                    .b = fd_b_columns(&weights),
                    .out = fd_epilogue_of(&end)};
    for (int threads = 1; threads <= 3; threads++) run(&conv, "windows", expected, threads);
    conv.a.pack = pack_windows_in_runs;
    conv.a.run = 3;
    run(&conv, "windows in runs", expected, 2);

    /* one thread in a region of the caller's */
    char *room = aligned_alloc(FD_CACHE_LINE, fd_nest_room(&conv));
    memset(c, 0xFF, PIXELS * OUTS * sizeof(float));
    fd_nest_alone(&conv, room);
    report("alone", 1, c, expected, PIXELS * OUTS);
    free(room);

    /* weights on the fly, then an update of parameters that have the shape of C */
    fd_product product = dense;
    product.b = outer;
    product.ldb = OUTS;
    product.tb = 0;
    product.bias = NULL;
    product.act = FD_NONE;
    product.drop = (fd_drop){.stream = NULL};
    fd_gemm(&product);
    float *stepped = numbers(PIXELS * OUTS, 6);
    const update by_hand = {stepped, 0.125f};
    for (ptrdiff_t i = 0; i < PIXELS * OUTS; i++) step(&by_hand, i, expected[i]);
    const rank_one factors = {u, v};
    for (int threads = 1; threads <= 2; threads++) {
        const update fused = {numbers(PIXELS * OUTS, 6), 0.125f};
        fd_nest rank = conv;
        rank.b = (fd_b_packer){.pack = pack_rank_one, .context = &factors, .cost = 8.0};
        rank.out = (fd_epilogue){.finish = finish_update, .context = &fused};
        run(&rank, "weights on the fly", expected, threads);
        report("update", threads, fused.w, stepped, PIXELS * OUTS);
        free(fused.w);
    }

    /* one tile of rows, and two of which the first stores the panels */
    const fd_operand x = {.x = columns, .ld = WINDOW}, outer_b = {.x = outer, .ld = OUTS};
    for (int tiles = 1; tiles <= 2; tiles++) {
        fd_nest ahead = {.kernels = fd_kernels(),
                         .m = tiles * fd_kernels()->tile_m - 1,
                         .n = OUTS,
                         .k = WINDOW,
                         .c = c,
                         .ldc = OUTS,
                         .a = fd_a_rows(&x),
                         .b = fd_b_rows_in_place(&outer_b)};
        ahead.b.read = read_ahead;
        run(&ahead, "read ahead", expected, 1);
    }
    free(images), free(w), free(bias), free(u), free(v), free(columns), free(outer), free(expected);
    free(c), free(stepped);
    return 0;
}
