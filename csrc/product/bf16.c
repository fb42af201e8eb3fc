/* Products in bf16; see bf16.h. The packers follow the contracts of the hooks in gemm.h, with pairs
   for numbers: pc, t->k and kc count pairs, and operand.x is read from number 2 pc on. */
#include "product/bf16.h"
#include "product/epilogue.h"
#include "product/gemm.h"
#include "product/pack.h"
#include "product/panels.h"
#include "product/turned.h"
#include "runtime/cpu.h"
#include "runtime/tuning.h"

typedef struct {
    fd_operand operand;
    const fd_bf16_table *pairs;
    ptrdiff_t k; /* numbers */
} side;

/* How many numbers the pairs [pc, pc + kc) have: the last pair of an odd k has one. */
static ptrdiff_t numbers(const side *s, ptrdiff_t pc, ptrdiff_t kc) {
    return fd_min(2 * kc, s->k - 2 * pc);
}

/* ---- A ---- */

static void use_rows(fd_tile *t, const fd_scratch *s) {
    t->a_rows = 1;
    t->lda = t->k + FD_ROW_PAD; /* as in pack.c */
    t->a = s->rows;
}

/* Rows of A that repeat stored rows (once, without a repeat). A row with dropout is made in the
   stage, and is in the first cache when its pairs are. */
static void a_rows(const fd_nest *nest, fd_tile *t, const fd_scratch *s, ptrdiff_t i,
                   ptrdiff_t tiles, ptrdiff_t pc) {
    const side *a = nest->a.context;
    const fd_operand *x = &a->operand;
    const ptrdiff_t k = numbers(a, pc, t->k), rows = tiles * t->mr;
    use_rows(t, s);
    if (x->repeat == 1 && !x->drop.stream) {
        a->pairs->pair_rows(s->rows, t->lda, x->x + i * x->ld + 2 * pc, x->ld, rows, k);
        return;
    }
    for (ptrdiff_t r = 0; r < rows; r++) {
        const float *from = x->x + (i + r) / x->repeat * x->ld + 2 * pc;
        if (x->drop.stream) {
            nest->kernels->dropout(s->stage, k, from, k, &x->drop, i + r, 1, 2 * pc, k, 0);
            from = s->stage;
        }
        a->pairs->pair_rows(s->rows + r * t->lda, t->lda, from, k, 1, k);
    }
}

/* Packed, or by rows where the tile reads no others. FD_STAGE stored rows at a time go through
   dropout. */
static void a_columns(const fd_nest *nest, fd_tile *t, const fd_scratch *s, ptrdiff_t i,
                      ptrdiff_t tiles, ptrdiff_t pc) {
    const side *a = nest->a.context;
    const fd_operand *x = &a->operand;
    const ptrdiff_t k = numbers(a, pc, t->k), rows = tiles * t->mr,
                    step = x->drop.stream ? FD_STAGE : k;
    const float *from = x->x + 2 * pc * x->ld + i;
    if (a->pairs->rows_only) use_rows(t, s);
    t->a_rows = a->pairs->rows_only;
    t->a = s->rows;
    for (ptrdiff_t p = 0; p < k; p += step, from += step * x->ld) {
        const ptrdiff_t n = fd_min(step, k - p);
        const float *in = from;
        ptrdiff_t ld = x->ld;
        if (x->drop.stream) {
            nest->kernels->dropout(s->stage, rows, from, ld, &x->drop, 2 * pc + p, n, i, rows, 0);
            in = s->stage;
            ld = rows;
        }
        if (t->a_rows) a->pairs->pair_rows_t(s->rows + p / 2, t->lda, in, ld, n, rows);
        else a->pairs->pair_panels(s->rows + p / 2 * t->mr, t->mr, t->k * t->mr, in, ld, n, rows);
    }
}

/* ---- B ---- */

static const float *b_rows(const fd_nest *nest, const fd_scratch *s, ptrdiff_t pc, ptrdiff_t kc,
                           ptrdiff_t jc, ptrdiff_t nc) {
    const side *b = nest->b.context;
    const fd_operand *x = &b->operand;
    const ptrdiff_t width = b->pairs->tile_n, k = numbers(b, pc, kc);
    const float *from = x->x + 2 * pc * x->ld + jc;
    if (!x->drop.stream) {
        b->pairs->pair_panels(s->panels, width, kc * width, from, x->ld, k, nc);
        return s->panels;
    }
    for (ptrdiff_t p = 0; p < k; p += FD_STAGE) {
        const ptrdiff_t n = fd_min(FD_STAGE, k - p);
        nest->kernels->dropout(s->stage, nc, from + p * x->ld, x->ld, &x->drop, 2 * pc + p, n, jc,
                               nc, 0);
        b->pairs->pair_panels(s->panels + p / 2 * width, width, kc * width, s->stage, nc, n, nc);
    }
    return s->panels;
}

/* With dropout: half the numbers of a panel at a time, which is what the stage holds. */
static const float *b_columns(const fd_nest *nest, const fd_scratch *s, ptrdiff_t pc, ptrdiff_t kc,
                              ptrdiff_t jc, ptrdiff_t nc) {
    const side *b = nest->b.context;
    const fd_operand *x = &b->operand;
    const ptrdiff_t width = b->pairs->tile_n, k = numbers(b, pc, kc), half = kc + kc % 2;
    const float *from = x->x + jc * x->ld + 2 * pc;
    if (!x->drop.stream) {
        b->pairs->pair_panels_t(s->panels, kc * width, from, x->ld, k, nc);
        return s->panels;
    }
    for (ptrdiff_t j = 0; j < nc; j += width)
        for (ptrdiff_t p = 0; p < k; p += half) {
            const ptrdiff_t columns = fd_min(width, nc - j), n = fd_min(half, k - p);
            nest->kernels->dropout(s->stage, n, from + j * x->ld + p, x->ld, &x->drop, jc + j,
                                   columns, 2 * pc + p, n, 0);
            b->pairs->pair_panels_t(s->panels + j * kc + p / 2 * width, kc * width, s->stage, n, n,
                                    columns);
        }
    return s->panels;
}

/* Pairs of rows of the weights of a turned product. */
static void turned_rows(const fd_nest *nest, fd_tile *t, float *room, ptrdiff_t j, ptrdiff_t pc) {
    const side *b = nest->b.context;
    const fd_operand *x = &b->operand;
    t->lda = t->k + FD_ROW_PAD;
    t->a = room;
    b->pairs->pair_rows(room, t->lda, x->x + j * x->ld + 2 * pc, x->ld, t->mr,
                        numbers(b, pc, t->k));
}

int fd_bf16_gemm(const fd_product *p, const fd_bf16_table *pairs, const fd_epilogue *use) {
    assert(p->repeat >= 1 && (p->repeat == 1 || !p->ta));
    assert(!p->panels || (p->tb && !p->b_drop.stream));
    /* the kernels of the nest, with another tile */
    fd_table kernels = *fd_kernels();
    kernels.tile_m = pairs->tile_m;
    kernels.tile_n = pairs->tile_n;
    kernels.gemm_tile = pairs->gemm_tile;
    kernels.lanes = fd_min(kernels.lanes, pairs->tile_n);
    const side a = {{.x = p->a, .ld = p->lda, .repeat = p->repeat, .drop = p->a_drop}, pairs, p->k},
               b = {{.x = p->b, .ld = p->ldb, .repeat = 1, .drop = p->b_drop}, pairs, p->k};
    const fd_layer_end end = {.bias = p->bias, .act = p->act, .alpha = p->alpha, .drop = p->drop};
    const int by_columns = p->ta && !pairs->rows_only;
    const fd_nest nest = {
        .kernels = &kernels,
        .m = p->m,
        .n = p->n,
        .k = fd_pairs(p->k),
        .c = use ? NULL : p->c,
        .ldc = p->ldc,
        .accumulate = p->accumulate,
        .begin = pairs->begin,
        .end = pairs->end,
        .a = {.pack = p->ta ? a_columns : a_rows, .context = &a, .run = by_columns ? FD_RUN : 1},
        .b = p->panels ? fd_b_kept(p->panels)
                       : (fd_b_packer){.pack = p->tb ? b_columns : b_rows,
                                       .context = &b,
                                       .cost = FD_PACKING_COST},
        .out = use ? *use : fd_epilogue_of(&end)};
    /* 1024 x 1024 with AVX512-BF16, 8 rows: 0.46 ms, turned 0.49; 32 rows: 0.66, turned 0.60. With
       AMX 8: 0.29, turned 0.30; 32: 0.43, turned 0.47; 128: 0.97, turned 1.01. */
    if (use || pairs->rows_only || p->m <= kernels.lanes || !fd_worth_turning(p, &nest))
        return fd_nest_run(&nest);
    const fd_b_packer x = {.pack = b_columns, .context = &a};
    return fd_turned_run(&(fd_turned){&nest, x, turned_rows, FD_TURNED_ROWS});
}
