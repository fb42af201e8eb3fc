/* fd_gemm: the product of two stored arrays. Chooses the packers and the epilogue; the loop nest is
   in gemm.c, or turned for few rows. */
#include "product/dense.h"
#include "product/bf16.h"
#include "product/turned.h"
#include "runtime/bf16.h"
#include "runtime/cpu.h"
#include "runtime/tuning.h"

static fd_a_packer a_packer(const fd_product *p, const fd_operand *a, ptrdiff_t tile_m) {
    if (p->ta) return fd_a_columns(a);
    if (p->repeat == 1) return fd_a_rows(a);
    /* Only kept panels are known to be finite, see fd_product. */
    return fd_a_repeated(a, p->panels && p->repeat >= tile_m);
}

static fd_b_packer b_packer(const fd_product *p, const fd_operand *b) {
    if (p->panels) return fd_b_kept(p->panels);
    const int rows = !p->ta && p->repeat == 1 && !b->drop.stream;
    if (!p->tb) return rows ? fd_b_rows_in_place(b) : fd_b_rows(b);
    return rows && p->m <= fd_few_rows() ? fd_b_columns_in_place(b) : fd_b_columns(b);
}

void fd_dense_start(fd_dense *d, const fd_product *p) {
    const fd_table *kernels = fd_kernels();
    assert(p->repeat >= 1 && (p->repeat == 1 || !p->ta));
    assert(!p->panels || (p->tb && !p->b_drop.stream));
    d->a = (fd_operand){.x = p->a, .ld = p->lda, .repeat = p->repeat, .drop = p->a_drop};
    d->b = (fd_operand){.x = p->b, .ld = p->ldb, .repeat = 1, .drop = p->b_drop};
    d->end = (fd_layer_end){.bias = p->bias, .act = p->act, .alpha = p->alpha, .drop = p->drop};
    d->nest = (fd_nest){.kernels = kernels,
                        .m = p->m,
                        .n = p->n,
                        .k = p->k,
                        .c = p->c,
                        .ldc = p->ldc,
                        .accumulate = p->accumulate,
                        .a = a_packer(p, &d->a, kernels->tile_m),
                        .b = b_packer(p, &d->b),
                        .out = fd_epilogue_of(&d->end)};
}

static int drops_all(const fd_drop *d) { return d->stream && d->q == 0; }

/* Without its stream where it keeps everything. */
static void simplify(fd_drop *d) {
    if (d->q >= FD_KEEP_ALL) d->stream = NULL;
}

/* The product with the columns k_units of k_whole: a product for each piece that k_whole is cut
   into, with what is there of it. A column that is left out would add nothing to its piece's chain
   of multiply-adds, so the bits are those of the whole product. */
static int run_pieces(const fd_product *p) {
    const ptrdiff_t piece = fd_piece_of_k(p->k_whole);
    int status = FD_OK;
    for (ptrdiff_t begin = 0, end = 0, limit = piece; begin < p->k && status == FD_OK;
         begin = end, limit += piece) {
        while (end < p->k && p->k_units[end] < limit) end++;
        if (end == begin) continue;
        fd_product part = *p;
        part.k = end - begin;
        part.a += p->ta ? begin * p->lda : begin;
        part.b += p->tb ? begin : begin * p->ldb;
        part.accumulate = p->accumulate || begin > 0;
        if (end < p->k) {
            part.bias = NULL;
            part.act = FD_NONE;
            part.drop.stream = NULL;
        }
        fd_dense d;
        fd_dense_start(&d, &part);
        status = fd_nest_run(&d.nest);
    }
    return status;
}

/* Leaves out what changes nothing: masks that keep all, operands of zeros. */
static fd_product simplified(const fd_product *given) {
    fd_product p = *given;
    p.repeat = fd_max(1, p.repeat);
    if (drops_all(&p.a_drop) || drops_all(&p.b_drop)) p.k = 0;
    if (p.k == 0) p.a_drop.stream = p.b_drop.stream = NULL;
    simplify(&p.drop);
    simplify(&p.a_drop);
    simplify(&p.b_drop);
    return p;
}

/* Rows of the weights of a turned product, where they lie. */
static void stored_rows(const fd_nest *nest, fd_tile *t, float *room, ptrdiff_t j, ptrdiff_t pc) {
    const fd_operand *w = nest->b.context;
    (void)room;
    t->a = w->x + j * w->ld + pc;
    t->lda = w->ld;
}

int fd_gemm(const fd_product *given) {
    if (given->m == 0 || given->n == 0) return FD_OK;
    if (drops_all(&given->drop)) { /* zeros whatever the product is */
        for (ptrdiff_t i = 0; i < given->m; i++)
            memset(given->c + i * given->ldc, 0, (size_t)given->n * sizeof(float));
        return FD_OK;
    }
    const fd_product p = simplified(given);
    if (p.k_units && p.k > 0) {
        assert(!p.panels && !p.a_drop.stream && !p.b_drop.stream && p.repeat == 1);
        return run_pieces(&p);
    }
    const fd_bf16_table *pairs = p.bf16 ? fd_bf16_kernels() : NULL;
    if (pairs) return fd_bf16_gemm(&p, pairs, NULL);
    fd_dense d;
    fd_dense_start(&d, &p);
    if (p.m <= fd_few_rows() || !fd_worth_turning(&p, &d.nest)) return fd_nest_run(&d.nest);
    return fd_turned_run(&(fd_turned){&d.nest, fd_b_columns(&d.a), stored_rows, FD_TURNED_ROWS});
}

int fd_gemm_into(const fd_product *given, fd_epilogue use) {
    const fd_product p = simplified(given);
    const fd_bf16_table *pairs = p.bf16 ? fd_bf16_kernels() : NULL;
    if (pairs) return fd_bf16_gemm(&p, pairs, &use);
    fd_dense d;
    fd_dense_start(&d, &p);
    d.nest.c = NULL;
    d.nest.out = use;
    return fd_nest_run(&d.nest);
}

int fd_is_one_piece(ptrdiff_t k) { return fd_piece_of_k(k) >= k; }
