/* fd_gemm: the product of two stored arrays. Chooses the packers and the epilogue; the loop nest is
   in gemm.c. */
#include "product/dense.h"
#include "product/bf16.h"
#include "runtime/bf16.h"
#include "runtime/cpu.h"

static fd_a_packer a_packer(const fd_product *p, const fd_operand *a, ptrdiff_t tile_m) {
    if (p->ta) return fd_a_columns(a);
    if (p->repeat == 1) return fd_a_rows(a);
    /* Only kept panels are known to be finite, see fd_product. */
    return fd_a_repeated(a, p->panels && p->repeat >= tile_m);
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
                        .b = p->panels ? fd_b_kept(p->panels)
                             : p->tb   ? fd_b_columns(&d->b)
                                       : fd_b_rows(&d->b),
                        .out = fd_epilogue_of(&d->end)};
}

static int drops_all(const fd_drop *d) { return d->stream && d->q == 0; }

/* Without its stream where it keeps everything. */
static void simplify(fd_drop *d) {
    if (d->q >= FD_KEEP_ALL) d->stream = NULL;
}

int fd_gemm(const fd_product *given) {
    fd_product p = *given;
    p.repeat = fd_max(1, p.repeat);
    if (p.m == 0 || p.n == 0) return FD_OK;
    if (drops_all(&p.drop)) { /* zeros whatever the product is */
        for (ptrdiff_t i = 0; i < p.m; i++) memset(p.c + i * p.ldc, 0, (size_t)p.n * sizeof(float));
        return FD_OK;
    }
    if (drops_all(&p.a_drop) || drops_all(&p.b_drop)) p.k = 0; /* an operand of zeros */
    if (p.k == 0) p.a_drop.stream = p.b_drop.stream = NULL;
    simplify(&p.drop);
    simplify(&p.a_drop);
    simplify(&p.b_drop);
    const fd_bf16_table *pairs = p.bf16 ? fd_bf16_kernels() : NULL;
    if (pairs) return fd_bf16_gemm(&p, pairs);
    fd_dense d;
    fd_dense_start(&d, &p);
    return fd_nest_run(&d.nest);
}
