/* Prints one line a case. Masks and elementwise kernels print a hash of their result, which must be
   the same on every architecture and instruction set. Products are compared here with double
   precision, and print ok or WRONG. Run by cross_check.py. */
#include "fastdrop.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* A call with its arguments by name. */
#define CALL(name, ...) fd_##name(&(fd_##name##_args){__VA_ARGS__})

static uint64_t hash(const void *p, size_t bytes) { /* FNV-1a */
    uint64_t h = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < bytes; i++) h = (h ^ ((const uint8_t *)p)[i]) * UINT64_C(0x100000001B3);
    return h;
}

static void line(const char *name, long a, long b, const void *p, size_t bytes) {
    printf("%s %ld %ld %016llx\n", name, a, b, (unsigned long long)hash(p, bytes));
}

static float *numbers(ptrdiff_t n, uint32_t seed) { /* in [-4, 4) */
    float *x = malloc((size_t)(n > 0 ? n : 1) * sizeof *x);
    for (ptrdiff_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(int32_t)seed * 0x1p-29f;
    }
    return x;
}

static void masks(void) {
    static const double rates[] = {0.5, 0.25, 0.1, 0.3, 0.9, 1e-6};
    static const ptrdiff_t units[] = {1, 10, 127, 128, 129, 784, 1024, 1100};
    fd_stream s = {{0, 0}, 3, 9, 5, NULL};
    fd_stream_key(s.key, UINT64_C(0x123456789ABCDEF), 2, 0, 1, 0);
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        const ptrdiff_t rows = 7, n = rows * units[u];
        float *x = numbers(n, 1), *y = malloc((size_t)n * sizeof *y);
        uint8_t *mask = malloc((size_t)n);
        for (size_t p = 0; p < sizeof rates / sizeof *rates; p++) {
            const uint64_t q = (uint64_t)((1.0 - rates[p]) * 4294967296.0 + 0.5);
            const fd_drop drop = {&s, q, (float)(4294967296.0 / (double)q)};
            CALL(keep_mask, .mask = mask, .stream = &s, .rows = rows, .units = units[u], .q = q);
            line("mask", (long)units[u], (long)p, mask, (size_t)n);
            CALL(dropout, .y = y, .x = x, .rows = rows, .units = units[u], .drop = drop);
            line("dropout", (long)units[u], (long)p, y, (size_t)n * sizeof *y);
        }
        CALL(uniform, .out = y, .stream = &s, .rows = rows, .units = units[u]);
        line("uniform", (long)units[u], 0, y, (size_t)n * sizeof *y);
        CALL(normal, .out = y, .stream = &s, .rows = rows, .units = units[u]);
        line("normal", (long)units[u], 0, y, (size_t)n * sizeof *y);
        free(x), free(y), free(mask);
    }
}

static void family(void) {
    enum { ROWS = 3, CHANNELS = 5, SIDE = 13, MAP = SIDE * SIDE, N = ROWS * CHANNELS * MAP };
    float *x = numbers(N, 6), *y = malloc(N * sizeof *y);
    fd_stream s = {{1, 2}, 0, 1, 7, NULL};
    const fd_drop drop = {&s, 3006477107u, 0.9f, 0.1f, -1.5f};
    for (int which = 0; which < 4; which++) {
        const int low = which & 1, high = which >> 1;
        CALL(dropout_shared, .y = y, .x = x, .rows = ROWS, .axes = 2, .length = {CHANNELS, MAP},
             .shared = {low, high}, .drop = drop);
        line("shared", which, 0, y, N * sizeof *y);
        CALL(dropblock, .y = y, .x = x, .rows = ROWS, .channels = CHANNELS, .size = {1, SIDE, SIDE},
             .block = {1, 4, 4}, .stream = &s, .q = 4252017623u, .coupled = low, .batch = high);
        line("dropblock", which, 0, y, N * sizeof *y);
        CALL(noise, .y = y, .x = x, .rows = ROWS, .units = CHANNELS * MAP, .stream = &s,
             .sigma = 0.5f, .relative = low);
        line("noise", which, 0, y, N * sizeof *y);
    }
    CALL(concrete_forward, .y = y, .x = x, .rows = ROWS, .units = CHANNELS * MAP, .stream = &s,
         .concrete = {-0.5f, 10.0f, 1.6f, 0.38f});
    line("concrete", 0, 0, y, N * sizeof *y);
    uint32_t *u = malloc(N * sizeof *u);
    for (s.by_sub = 0; s.by_sub < 2; s.by_sub++) {
        CALL(keep_uniforms, .out = u, .stream = &s, .rows = ROWS, .units = CHANNELS * MAP);
        line(s.by_sub ? "by sub" : "uniforms", 0, 0, u, N * sizeof *u);
    }
    free(x), free(y), free(u);
}

static void elementwise(void) {
    enum { ROWS = 5, COLS = 333, N = ROWS * COLS };
    float *x = numbers(N, 2), *dy = numbers(N, 3), *y = malloc(N * sizeof *y),
          *dz = malloc(N * sizeof *dz), db[COLS];
    fd_stream s = {{1, 2}, 0, 1, 0, NULL};
    const fd_drop drop = {&s, 3006477107u, 1.42857146f}, none = {NULL, FD_KEEP_ALL, 1.0f};
    for (int kind = 0; kind < FD_GELU; kind++) { /* for the forms of GELU see `gelus` */
        const float *saved = kind == FD_SILU ? x : y;
        CALL(act, .y = y, .z = x, .n = N, .kind = kind, .alpha = 0.01f);
        line("act", kind, 0, y, N * sizeof *y);
        CALL(act_backward, .dz = dz, .db = db, .dy = dy, .saved = saved, .rows = ROWS, .cols = COLS,
             .samples = ROWS, .drop = none, .kind = kind, .alpha = 0.01f);
        line("act_backward", kind, 0, dz, N * sizeof *dz);
        line("db", kind, 0, db, sizeof db);
        CALL(act_dropout, .y = y, .z = x, .rows = ROWS, .units = COLS, .drop = drop, .kind = kind,
             .alpha = 0.01f);
        line("act_dropout", kind, 0, y, N * sizeof *y);
        CALL(act_backward, .dz = dz, .db = db, .dy = dy, .saved = saved, .rows = ROWS, .cols = COLS,
             .samples = ROWS, .drop = drop, .kind = kind, .alpha = 0.01f);
        line("act_dropout_backward", kind, 0, dz, N * sizeof *dz);
    }
    const int mixed[] = {FD_SELU, FD_SILU, FD_MISH};
    for (int i = 0; i < 3; i++) {
        CALL(act, .y = y, .z = x, .n = N, .kind = mixed[i]);
        line("act", mixed[i], 0, y, N * sizeof *y);
        CALL(act_mix, .y = y, .z = x, .weight = dy, .rows = ROWS, .cols = COLS, .kind = mixed[i]);
        line("act_mix", mixed[i], 0, y, N * sizeof *y);
        CALL(act_mix_backward, .dz = dz, .dweight = db, .dy = dy, .z = x, .weight = dy,
             .rows = ROWS, .cols = COLS, .kind = mixed[i]);
        line("act_mix dz", mixed[i], 0, dz, N * sizeof *dz);
        line("act_mix dweight", mixed[i], 0, db, sizeof db);
    }
    CALL(silu_gate, .h = y, .a = x, .b = dy, .rows = ROWS, .cols = COLS, .ld = COLS);
    line("silu_gate", 0, 0, y, N * sizeof *y);
    CALL(silu_gate_backward, .da = y, .db = dz, .dh = dy, .a = x, .b = dy, .rows = ROWS,
         .cols = COLS / 2, .ld = COLS, .ldd = COLS);
    line("silu_gate da", 0, 0, y, N * sizeof *y);
    line("silu_gate db", 0, 0, dz, N * sizeof *dz);
    for (int interleaved = 0; interleaved < 2; interleaved++) {
        CALL(rotate, .y = y, .x = x, .cosines = dy, .sines = x, .rows = ROWS, .positions = 3,
             .pairs = COLS / 2, .interleaved = interleaved, .back = interleaved);
        line("rotate", interleaved, 0, y, (size_t)ROWS * (COLS / 2) * 2 * sizeof *y);
    }
    float *m = numbers(N, 4), *v = numbers(N, 5);
    for (int i = 0; i < N; i++) v[i] = fabsf(v[i]);
    CALL(sgd, .p = x, .buf = m, .g = dy, .n = N, .lr = 0.1f, .momentum = 0.9f,
         .weight_decay = 0.01f, .nesterov = 1);
    line("sgd", 0, 0, x, N * sizeof *x);
    CALL(adam, .p = x, .m = m, .v = v, .g = dy, .n = N, .beta1 = 0.9f, .beta2 = 0.999f,
         .step_size = 0.01f, .eps = 1e-8f, .shrink = 0.001f, .v_scale = 1.5f);
    line("adam", 0, 0, x, N * sizeof *x);
    CALL(rmsprop, .p = x, .v = v, .buf = m, .g = dy, .n = N, .alpha = 0.99f, .lr = 0.01f,
         .eps = 1e-8f, .weight_decay = 0.01f, .momentum = 0.9f);
    line("rmsprop", 0, 0, x, N * sizeof *x);
    free(x), free(dy), free(y), free(dz), free(m), free(v);
}

/* Both forms of GELU fuse multiply-adds where there are such instructions, so that their last bits
   differ. Compared with double precision; behind dropout, with dropout of the same numbers. */
static void gelus(void) {
    enum { ROWS = 5, COLS = 333, N = ROWS * COLS };
    float *z = numbers(N, 2), *dy = numbers(N, 3), *y = malloc(N * sizeof *y),
          *dz = malloc(N * sizeof *dz), *dropped = malloc(N * sizeof *dropped);
    fd_stream s = {{1, 2}, 0, 1, 0, NULL};
    const fd_drop drop = {&s, 3006477107u, 1.42857146f}, none = {NULL, FD_KEEP_ALL, 1.0f};
    for (int kind = FD_GELU; kind <= FD_GELU_TANH; kind++) {
        CALL(act, .y = y, .z = z, .n = N, .kind = kind);
        CALL(act_backward, .dz = dz, .dy = dy, .saved = z, .rows = ROWS, .cols = COLS,
             .samples = ROWS, .drop = none, .kind = kind);
        double worst = 0.0;
        for (int i = 0; i < N; i++) {
            const double x = (double)z[i], cubic = 0.044715 * x * x * x, by = 0.7978845608028654;
            const double gate = 1.0 / (1.0 + exp(-2.0 * by * (x + cubic)));
            const double cdf = kind == FD_GELU ? 0.5 * erfc(-x * 0.7071067811865476) : gate;
            const double slope = kind == FD_GELU ? 0.3989422804014327 * exp(-0.5 * x * x)
                                                 : 2.0 * by * gate * (1.0 - gate) *
                                                       (1.0 + 3.0 * 0.044715 * x * x);
            worst = fmax(worst, fabs((double)y[i] - x * cdf));
            worst = fmax(worst, fabs((double)dz[i] - (double)dy[i] * (cdf + x * slope)) / 4.0);
        }
        printf("gelu %d %s\n", kind - FD_GELU, worst < 2e-6 ? "ok" : "WRONG");
        CALL(dropout, .y = dropped, .x = y, .rows = ROWS, .units = COLS, .drop = drop);
        CALL(act_dropout, .y = y, .z = z, .rows = ROWS, .units = COLS, .drop = drop, .kind = kind);
        printf("gelu_dropout %d %s\n", kind - FD_GELU,
               hash(y, N * sizeof *y) == hash(dropped, N * sizeof *y) ? "ok" : "WRONG");
    }
    free(z), free(dy), free(y), free(dz), free(dropped);
}

static void products(void) {
    static const ptrdiff_t sizes[][3] = {
        {1, 1, 1}, {7, 33, 5}, {40, 70, 400}, {129, 50, 31}, {3, 300, 0}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int ta = 0; ta < 2; ta++)
            for (int tb = 0; tb < 2; tb++) {
                const ptrdiff_t m = sizes[i][0], n = sizes[i][1], k = sizes[i][2];
                float *a = numbers(m * k, 6), *b = numbers(k * n, 7),
                      *c = malloc((size_t)(m * n) * sizeof *c);
                const fd_product p = {.c = c,
                                      .a = a,
                                      .b = b,
                                      .m = m,
                                      .n = n,
                                      .k = k,
                                      .ldc = n,
                                      .lda = ta ? m : k,
                                      .ldb = tb ? k : n,
                                      .ta = ta,
                                      .tb = tb};
                fd_gemm(&p);
                double worst = 0.0;
                for (ptrdiff_t r = 0; r < m; r++)
                    for (ptrdiff_t j = 0; j < n; j++) {
                        double sum = 0.0, bound = 1e-30;
                        for (ptrdiff_t l = 0; l < k; l++) {
                            const double t = (double)a[ta ? l * m + r : r * k + l] *
                                             (double)b[tb ? j * k + l : l * n + j];
                            sum += t;
                            bound += fabs(t);
                        }
                        worst = fmax(worst, fabs(sum - (double)c[r * n + j]) / bound);
                    }
                printf("product %ld %d%d %s\n", (long)i, ta, tb, worst < 1e-6 ? "ok" : "WRONG");
                free(a), free(b), free(c);
            }
}

/* Products in bf16 with dropout of both operands. The emulation gives the bits of AVX512-BF16. */
static void bf16_products(void) {
    static const ptrdiff_t sizes[][3] = {{1, 1, 1}, {7, 33, 5}, {40, 70, 1601}, {129, 50, 31}};
    if (fd_set_bf16_isa("avx512_bf16") != FD_OK || !fd_bf16_isa()) fd_set_bf16_isa("emulated");
    fd_stream s[2] = {{{1, 2}, 0, 1, 0, NULL}, {{3, 4}, 0, 1, 0, NULL}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int form = 0; form < 8; form++) {
            const ptrdiff_t m = sizes[i][0], n = sizes[i][1], k = sizes[i][2];
            const int ta = form & 1, tb = form >> 1 & 1, drops = form >> 2;
            float *a = numbers(m * k, 6), *b = numbers(k * n, 7),
                  *c = malloc((size_t)(m * n) * sizeof *c);
            fd_product p = {.c = c,
                            .a = a,
                            .b = b,
                            .m = m,
                            .n = n,
                            .k = k,
                            .ldc = n,
                            .lda = ta ? m : k,
                            .ldb = tb ? k : n,
                            .ta = ta,
                            .tb = tb,
                            .bf16 = 1};
            if (drops) p.a_drop = (fd_drop){&s[0], 3006477107u, 1.42857146f};
            if (drops) p.b_drop = (fd_drop){&s[1], 2147483648u, 2.0f};
            fd_gemm(&p);
            line("bf16", (long)i, form, c, (size_t)(m * n) * sizeof *c);
            free(a), free(b), free(c);
        }
    fd_set_bf16_isa(NULL);
}

/* Thinned networks: the units that three passes keep of five samples, which must be the same
   everywhere, there and back, and the layer that reads them. */
static void thinned(void) {
    enum { PASSES = 3, SAMPLES = 5, INS = 333, OUTS = 70, WORDS = 12 };
    float *x = numbers(SAMPLES * INS, 8), *w = numbers(OUTS * INS, 9),
          *kept = malloc(PASSES * SAMPLES * INS * sizeof *kept);
    float *y = malloc(PASSES * SAMPLES * OUTS * sizeof *y),
          *back = malloc(SAMPLES * INS * sizeof *back);
    uint32_t *bits = malloc((PASSES * WORDS + 2) * sizeof *bits);
    static const uint64_t rates[] = {429496730u, 2147483648u, 4252017623u};
    for (size_t p = 0; p < sizeof rates / sizeof *rates; p++) {
        fd_stream s = {{3, 4}, 0, 0, 0, NULL};
        CALL(keep_bits, .bits = bits, .stream = &s, .rows = PASSES, .units = INS, .q = rates[p]);
        int64_t x_at[PASSES], y_at[PASSES], k[PASSES], n[PASSES], at = 0;
        for (int t = 0; t < PASSES; t++, at += SAMPLES * k[t - 1]) {
            k[t] = 0;
            for (int i = 0; i < INS; i++) k[t] += bits[t * WORDS + i / 32] >> i % 32 & 1;
            x_at[t] = at, y_at[t] = t * SAMPLES * OUTS, n[t] = OUTS;
        }
        const fd_thin_layer_args thin = {.passes = PASSES,
                                         .samples = SAMPLES,
                                         .outs = OUTS,
                                         .ins = INS,
                                         .w = w,
                                         .x = kept,
                                         .x_at = x_at,
                                         .k = k,
                                         .bits = bits,
                                         .words = WORDS,
                                         .scale = 2.0f,
                                         .y = y,
                                         .y_at = y_at,
                                         .n = n};
        CALL(thin_rows, .y = kept, .x = x, .bits = bits, .y_at = x_at, .k = k, .passes = PASSES,
             .samples = SAMPLES, .ins = INS, .words = WORDS, .ldx = INS);
        line("thinned", (long)p, (long)at, kept, (size_t)at * sizeof *kept);
        fd_thin_layer(&thin);
        CALL(thin_take, .y = kept, .x = x, .bits = bits, .n = SAMPLES, .k = k[0], .units = INS,
             .ldx = INS, .scale = 3.0f);
        const fd_thin_part part = {.x = kept, .bits = bits, .n = SAMPLES, .k = k[0]};
        CALL(thin_put, .y = back, .m = SAMPLES, .units = INS, .ldy = INS, .parts = &part,
             .count = 1);
        line("thinned and back", (long)p, SAMPLES, back, SAMPLES * INS * sizeof *back);
        double worst = 0.0;
        for (int t = 0; t < PASSES; t++)
            for (int r = 0; r < SAMPLES; r++)
                for (int j = 0; j < OUTS; j++) {
                    double sum = 0.0, bound = 1e-30;
                    for (int l = 0; l < INS; l++) {
                        const double product = (bits[t * WORDS + l / 32] >> l % 32 & 1) * 2.0 *
                                               (double)x[r * INS + l] * (double)w[j * INS + l];
                        sum += product;
                        bound += fabs(product);
                    }
                    worst = fmax(worst,
                                 fabs(sum - (double)y[(t * SAMPLES + r) * OUTS + j]) / bound);
                }
        printf("thinned layer %ld %s\n", (long)p, worst < 1e-6 ? "ok" : "WRONG");
    }
    free(x), free(w), free(kept), free(y), free(back), free(bits);
}

int main(int argc, char **argv) {
    if (argc > 1 && fd_set_isa(argv[1]) != FD_OK) return 77; /* not on this machine */
    fprintf(stderr, "%s\n", fd_isa());
    masks();
    family();
    elementwise();
    gelus();
    products();
    bf16_products();
    thinned();
    return 0;
}
