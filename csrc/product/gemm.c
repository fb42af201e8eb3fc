/* Floor 3: the matrix product. Five loops around the register tile (Goto, van de Geijn, 2008), with
   the second operand's panels packed into the second cache and the first operand's tile rows copied
   just before use. Dropout of an operand happens in its packer, bias, activation and dropout of the
   result where the tile leaves the registers.

   Each element of C is a sum over fixed pieces of k (fd_piece_of_k, a function of k alone) in a
   fixed order, each piece one chain of multiply-adds: the same bits for every thread count and
   every cut of the rows. */
#include "product/gemm.h"
#include "runtime/cpu.h"
#include "product/panels.h"
#include "runtime/parallel.h"

enum {
    NC_LEAST = 192, /* columns packed at a time; more where the second cache is larger */
    RUN = 8, /* tiles of a transposed first operand packed at a time: whole cache lines are read */
    STAGE = 16, /* rows of an operand that dropout makes at a time on their way into a packer */
    MR_MAX = 16,
    NR_MAX = 64,
    GRAIN = 1 << 19 /* multiply-adds worth a thread: about 10 us */
};
static const double CHUNK =
    2e10; /* multiply-adds between two looks for an interrupt, with the widest tile: 0.1 s */

/* The part of the product that one fd_run computes, and how it is cut. */
typedef struct {
    const fd_product *p;
    const fd_table *k;
    ptrdiff_t m0, m1, n0, n1; /* the chunk of C */
    int grid_m, grid_n;       /* threads along each */
    ptrdiff_t kc, nc;
} gemm_work;

/* A thread's buffers, carved from its workspace. */
typedef struct {
    float *packed, *tile, *stage;
    const float *panels; /* packed, or the caller's */
    uint32_t *bits;
    int32_t *index;
} buffers;

static size_t carve(buffers *to, char *from, const fd_table *k, ptrdiff_t kc, ptrdiff_t nc) {
    const size_t line = FD_CACHE_LINE / sizeof(float);
    size_t at = 0;
#define PIECE(field, type, count)                                                                  \
    if (to) to->field = (type *)(void *)(from + at * sizeof(float));                               \
    at = (at + (size_t)(count) + line - 1) / line * line;
    PIECE(packed, float, fd_round_up(nc, k->tile_n) * kc + NR_MAX)
    PIECE(tile, float, RUN * k->tile_m * kc + k->tile_m * 16 + NR_MAX)
    PIECE(stage, float, fd_max(STAGE * fd_max(nc, RUN * k->tile_m), k->tile_n * kc))
    PIECE(index, int32_t, kc)
    PIECE(bits, uint32_t, k->tile_m *(nc / FD_GROUP + 2) * FD_GROUP_WORDS + FD_BITS_PAD)
#undef PIECE
    return at * sizeof(float);
}

/* rows x units of x from (row, unit0) on, dropped, into y */
static void drop_into(const fd_table *k, float *y, ptrdiff_t ldy, const float *x, ptrdiff_t ldx,
                      const fd_drop *d, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0,
                      ptrdiff_t units) {
    k->dropout(y, ldy, x, ldx, d, row, rows, unit0, units, 0);
}

/* Panels of B[pc .. pc+kc, jc .. jc+nc) */
static void pack_b(const gemm_work *w, const buffers *buf, ptrdiff_t pc, ptrdiff_t kc, ptrdiff_t jc,
                   ptrdiff_t nc) {
    const fd_product *p = w->p;
    const fd_table *k = w->k;
    const ptrdiff_t stride = kc * k->tile_n;
    const float *b = p->b + (p->tb ? jc * p->ldb + pc : pc * p->ldb + jc);
    if (!p->b_drop.stream) {
        if (p->tb) k->pack_panels_t(buf->packed, stride, b, p->ldb, kc, nc);
        else k->pack_panels(buf->packed, k->tile_n, stride, b, p->ldb, kc, nc);
    } else if (p->tb) {
        for (ptrdiff_t j = 0; j < nc; j += k->tile_n) {
            const ptrdiff_t n = fd_min(k->tile_n, nc - j);
            drop_into(k, buf->stage, kc, b + j * p->ldb, p->ldb, &p->b_drop, jc + j, n, pc, kc);
            k->pack_panels_t(buf->packed + j / k->tile_n * stride, stride, buf->stage, kc, kc, n);
        }
    } else {
        for (ptrdiff_t i = 0; i < kc; i += STAGE) {
            const ptrdiff_t n = fd_min(STAGE, kc - i);
            drop_into(k, buf->stage, nc, b + i * p->ldb, p->ldb, &p->b_drop, pc + i, n, jc, nc);
            k->pack_panels(buf->packed + i * k->tile_n, k->tile_n, stride, buf->stage, nc, n, nc);
        }
    }
}

/* `tiles` tiles of mr rows of A[i .., pc .. pc+kc); returns how a tile finds its rows */
static void pack_a(const gemm_work *w, const buffers *buf, fd_tile *t, ptrdiff_t i, ptrdiff_t tiles,
                   ptrdiff_t pc, ptrdiff_t kc) {
    const fd_product *p = w->p;
    const fd_table *k = w->k;
    const ptrdiff_t rows = tiles * t->mr;
    if (!p->ta) {
        t->a_rows = 1;
        t->lda = kc + 16; /* not a power of two: rows must not meet in one cache set */
        for (ptrdiff_t r = 0, n; r < rows; r += n) { /* rows of one row of A, or all of them */
            const ptrdiff_t row = (i + r) / p->repeat;
            n = p->repeat == 1 ? rows : fd_min(rows - r, (row + 1) * p->repeat - i - r);
            const float *a = p->a + row * p->lda + pc;
            float *to = buf->tile + r * t->lda;
            const ptrdiff_t ld = p->repeat == 1 ? p->lda : 0;
            if (p->a_drop.stream) drop_into(k, to, t->lda, a, ld, &p->a_drop, i + r, n, pc, kc);
            else k->pack_rows(to, t->lda, a, ld, n, kc);
        }
        return;
    }
    t->a_rows = 0;
    const ptrdiff_t stride = kc * t->mr;
    const float *a = p->a + pc * p->lda + i;
    if (!p->a_drop.stream) {
        k->pack_panels(buf->tile, t->mr, stride, a, p->lda, kc, rows);
        return;
    }
    for (ptrdiff_t j = 0; j < kc; j += STAGE) {
        const ptrdiff_t n = fd_min(STAGE, kc - j);
        drop_into(k, buf->stage, rows, a + j * p->lda, p->lda, &p->a_drop, pc + j, n, i, rows);
        k->pack_panels(buf->tile + j * t->mr, t->mr, stride, buf->stage, rows, n, rows);
    }
}

/* One tile's rows times all panels, and what follows when the sums are complete. */
static void sweep(const gemm_work *w, const buffers *buf, fd_tile *t, ptrdiff_t i, ptrdiff_t jc,
                  ptrdiff_t nc, int last) {
    const fd_product *p = w->p;
    const fd_table *k = w->k;
    const int in_tile = p->act == FD_NONE || p->act == FD_RELU;
    const int drop = last && p->drop.stream != NULL;
    t->relu = last && p->act == FD_RELU;
    t->bits = NULL;
    if (drop && in_tile) {
        const ptrdiff_t group = jc / FD_GROUP, groups = (jc + nc - 1) / FD_GROUP - group + 1;
        k->keep_bits(buf->bits, p->drop.stream, i, t->mr, group, groups, p->drop.q);
        t->bits = buf->bits;
        t->bits_ld = groups * FD_GROUP_WORDS;
        t->scale = p->drop.scale;
    }
    for (ptrdiff_t j = 0; j < nc; j += k->tile_n) {
        t->n = fd_min(k->tile_n, nc - j);
        t->b = buf->panels + j * t->k;
        t->c = p->c + i * p->ldc + jc + j;
        t->bias = last && p->bias ? p->bias + jc + j : NULL;
        t->bit0 = jc + j - jc / FD_GROUP * FD_GROUP;
        k->gemm_tile(t);
    }
    if (in_tile || !last) return;
    float *c = p->c + i * p->ldc + jc; /* still in the first cache */
    for (ptrdiff_t r = 0; r < t->mr; r++)
        k->act(c + r * p->ldc, c + r * p->ldc, nc, p->act, p->alpha);
    if (drop) drop_into(k, c, p->ldc, c, p->ldc, &p->drop, i, t->mr, jc, nc);
}

/* Rows [i, end): tiles of equal height, the first ones a row higher where that does not come out
 * even. */
static void tiles(const gemm_work *w, const buffers *buf, fd_tile *t, ptrdiff_t i, ptrdiff_t end,
                  ptrdiff_t pc, ptrdiff_t kc, ptrdiff_t jc, ptrdiff_t nc, int last) {
    const ptrdiff_t count = fd_ceil_div(end - i, w->k->tile_m), low = (end - i) / count,
                    high = (end - i) % count;
    for (ptrdiff_t tile = 0; tile < count;) {
        t->mr = low + (tile < high);
        const ptrdiff_t alike = (tile < high ? high : count) - tile,
                        run = w->p->ta ? fd_min(RUN, alike) : 1;
        pack_a(w, buf, t, i, run, pc, kc);
        t->a = buf->tile;
        for (ptrdiff_t r = 0; r < run; r++, i += t->mr, t->a += kc * t->mr)
            sweep(w, buf, t, i, jc, nc, last);
        tile += run;
    }
}

/* Where the n numbers are that are not 0. */
static ptrdiff_t nonzeros(int32_t *index, const float *x, ptrdiff_t n) {
    ptrdiff_t count = 0;
    for (ptrdiff_t p = 0; p < n; p++) {
        index[count] = (int32_t)p;
        count += x[p] != 0.0f;
    }
    return count;
}

static void gemm_task(const fd_region *region, int thread, void *context) {
    const gemm_work *w = context;
    const fd_product *p = w->p;
    const fd_table *k = w->k;
    buffers buf;
    carve(&buf, region->workspace + (size_t)thread * region->stride, k, w->kc, w->nc);
    buf.panels = buf.packed;
    const int tm = thread / w->grid_n, tn = thread % w->grid_n;
    const ptrdiff_t m0 = w->m0 + fd_cut(w->m1 - w->m0, w->grid_m, tm, 1),
                    m1 = w->m0 + fd_cut(w->m1 - w->m0, w->grid_m, tm + 1, 1);
    const ptrdiff_t n0 = w->n0 + fd_cut(w->n1 - w->n0, w->grid_n, tn, k->tile_n);
    const ptrdiff_t n1 = w->n0 + fd_cut(w->n1 - w->n0, w->grid_n, tn + 1, k->tile_n);
    if (m0 >= m1 || n0 >= n1) return;
    /* Rows of one row of a share its zeros (half of what a ReLU gives): what they would be
       multiplied with is left out. It is finite, so that changes no bit (fifty rows of 1024 by
       1024, half of them zeros: 0.51 ms instead of 0.95). */
    const int skip = p->panels && p->repeat >= k->tile_m;
    const ptrdiff_t nc = fd_round_up(fd_ceil_div(n1 - n0, fd_ceil_div(n1 - n0, w->nc)), k->tile_n);
    fd_tile t = {.ldc = p->ldc};

    for (ptrdiff_t jc = n0; jc < n1; jc += nc) {
        const ptrdiff_t nj = fd_min(nc, n1 - jc);
        ptrdiff_t pc = 0;
        do { /* once even for k = 0: the epilogue has work */
            const ptrdiff_t kc = fd_min(w->kc, p->k - pc);
            const int last = pc + kc >= p->k;
            t.k = kc;
            t.add = p->accumulate || pc > 0;
            if (p->panels)
                buf.panels = p->panels + fd_panel_at(pc, kc, jc, fd_round_up(p->n, k->tile_n));
            else pack_b(w, &buf, pc, kc, jc, nj);
            for (ptrdiff_t i = m0, end = m1; i < m1; i = end) {
                if (skip) {
                    end = fd_min(m1, (i / p->repeat + 1) * p->repeat);
                    t.index = buf.index;
                    t.count = nonzeros(buf.index, p->a + i / p->repeat * p->lda + pc, kc);
                }
                tiles(w, &buf, &t, i, end, pc, kc, jc, nj, last);
            }
            pc += kc;
        } while (pc < p->k);
    }
}

/* The grid with the least work for the busiest thread: its tiles, and its share of packing (a
   packed element costs about as much as eight multiply-adds a lane). */
static void choose_grid(gemm_work *w, int threads) {
    const double packing = w->p->panels ? 1.0 : 8.0; /* kept panels are only read */
    const ptrdiff_t m = w->m1 - w->m0, n = w->n1 - w->n0;
    double best = 0.0;
    w->grid_m = threads;
    w->grid_n = 1;
    for (int gm = 1; gm <= threads; gm++) {
        if (threads % gm) continue;
        const double rows = (double)fd_ceil_div(m, gm);
        const double columns = (double)fd_ceil_div(fd_ceil_div(n, w->k->tile_n), threads / gm) *
                               (double)w->k->tile_n;
        const double cost = rows * columns + packing * columns + 8.0 * rows;
        if (gm == 1 || cost < best) {
            best = cost;
            w->grid_m = gm;
            w->grid_n = threads / gm;
        }
    }
}

/* The whole product, and the sizes of its pieces. */
static gemm_work whole(const fd_product *p) {
    gemm_work w = {.p = p, .k = fd_kernels(), .m1 = p->m, .n1 = p->n, .kc = fd_piece_of_k(p->k)};
    /* Panels fill nine sixteenths of the second cache: 384 columns of 1 MiB (256 and 512 took 1 %
     * longer). */
    const ptrdiff_t nc = fd_cache_bytes(2) / 16 * 9 / (ptrdiff_t)(FD_KC * sizeof(float));
    w.nc = fd_round_up(fd_min(fd_max(nc, NC_LEAST), p->n), w.k->tile_n);
    assert(w.k->tile_m <= MR_MAX && w.k->tile_n <= NR_MAX);
    return w;
}

size_t fd_gemm_room(const fd_product *p) {
    const gemm_work w = whole(p);
    return carve(NULL, NULL, w.k, w.kc, w.nc);
}

void fd_gemm_alone(const fd_product *p, char *room) {
    assert(p->repeat == 1 && !p->drop.stream && !p->a_drop.stream && !p->b_drop.stream);
    if (p->m == 0 || p->n == 0) return;
    gemm_work w = whole(p);
    w.grid_m = w.grid_n = 1;
    const fd_region alone = {.threads = 1, .workspace = room};
    gemm_task(&alone, 0, &w);
}

static int run_chunk(gemm_work *w) {
    const double work = (double)(w->m1 - w->m0) * (double)(w->n1 - w->n0) *
                        (double)fd_max(1, w->p->k);
    fd_region region;
    int status = fd_begin(&region, (ptrdiff_t)(work / GRAIN) + 1,
                          carve(NULL, NULL, w->k, w->kc, w->nc));
    if (status != FD_OK) return status;
    choose_grid(w, region.threads);
    fd_run(&region, gemm_task, w, 1);
    fd_end(&region);
    return FD_OK;
}

int fd_gemm(const fd_product *given) {
    fd_product p = *given;
    p.repeat = fd_max(1, p.repeat);
    assert(p.repeat == 1 || !p.ta);
    assert(!p.panels || (p.tb && !p.b_drop.stream));
    if (p.m == 0 || p.n == 0) return FD_OK;
    if (p.drop.q == 0 && p.drop.stream) { /* zeros whatever the product is */
        for (ptrdiff_t i = 0; i < p.m; i++) memset(p.c + i * p.ldc, 0, (size_t)p.n * sizeof(float));
        return FD_OK;
    }
    if (p.drop.q >= FD_KEEP_ALL) p.drop.stream = NULL;
    if ((p.a_drop.stream && p.a_drop.q == 0) || (p.b_drop.stream && p.b_drop.q == 0))
        p.k = 0; /* an operand of zeros */
    if (p.a_drop.q >= FD_KEEP_ALL || p.k == 0) p.a_drop.stream = NULL;
    if (p.b_drop.q >= FD_KEEP_ALL || p.k == 0) p.b_drop.stream = NULL;
    gemm_work w = whole(&p);

    /* A chunk is some lines of the longer side: as many as CHUNK allows (less for narrower tiles,
       which are slower), but enough that packing the other side again for each chunk does not
       count. */
    const double width = (double)w.k->tile_n / 32.0,
                 least = (double)(w.k->tile_m * w.k->tile_n / 2);
    const double lines = CHUNK * width * width /
                         ((double)fd_max(1, p.k) * (double)fd_min(p.m, p.n));
    const ptrdiff_t chunk = lines > 1e15 ? PTRDIFF_MAX / 2
                                         : fd_round_up((ptrdiff_t)(lines > least ? lines : least),
                                                       w.k->tile_n);
    ptrdiff_t *lo = p.m >= p.n ? &w.m0 : &w.n0, *hi = p.m >= p.n ? &w.m1 : &w.n1;
    const ptrdiff_t end = *hi;
    for (*lo = 0; *lo < end; *lo = *hi) {
        *hi = fd_min(end, *lo + chunk);
        int status = run_chunk(&w);
        if (status != FD_OK) return status;
        if (*hi < end && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}
