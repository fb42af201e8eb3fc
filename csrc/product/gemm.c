/* The loop nest of the matrix product; gemm.h has its contract and the contracts of its hooks. */
#include "product/gemm.h"
#include "fastdrop.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

/* A call of the nest, and the part of C that one region computes. */
typedef struct {
    const fd_nest *nest;
    ptrdiff_t m0, m1, n0, n1; /* the chunk of C */
    int grid_m, grid_n;       /* threads along each side */
    ptrdiff_t kc, nc;         /* block sizes */
} nest_work;

static size_t carve(fd_scratch *to, char *from, const nest_work *w) {
    const ptrdiff_t mr = w->nest->kernels->tile_m, nr = w->nest->kernels->tile_n, kc = w->kc,
                    nc = w->nc;
    const size_t line = FD_CACHE_LINE / sizeof(float);
    size_t at = 0;
#define PIECE(field, type, count)                                                                  \
    if (to) to->field = (type *)(void *)(from + at * sizeof(float));                               \
    at = (at + (size_t)(count) + line - 1) / line * line;
    PIECE(panels, float, fd_round_up(nc, nr) * kc + FD_TILE_N_MOST)
    PIECE(rows, float, FD_RUN * mr * kc + mr * FD_ROW_PAD + FD_TILE_N_MOST)
    PIECE(stage, float, fd_max(FD_STAGE * fd_max(nc, FD_RUN * mr), nr * kc) + FD_TILE_N_MOST)
    PIECE(index, int32_t, kc)
    PIECE(bits, uint32_t, mr *(nc / FD_GROUP + 2) * FD_GROUP_WORDS + FD_BITS_PAD)
    PIECE(tile, float, w->nest->c ? 0 : mr * nr)
#undef PIECE
    return at * sizeof(float);
}

/* Where strips find B[pc .., jc ..]: packed, or in the caller's memory. */
typedef struct {
    const float *panels; /* NULL: not packed */
    ptrdiff_t pc;
    int stores; /* the strip that reads B where it lies leaves its panels for the others */
} strip_source;

/* Points the tile at columns [j, j + t->n) of B. `at` is their panel among those of the block. */
static void find_b(const fd_nest *nest, const fd_scratch *s, const strip_source *b, fd_tile *t,
                   ptrdiff_t j, ptrdiff_t at) {
    t->b_place = FD_B_PANEL;
    t->to = NULL;
    if (b->panels) {
        t->b = b->panels + at;
        return;
    }
    if (nest->b.place == FD_B_ROWS && t->n < nest->kernels->tile_n) { /* not whole vectors */
        fd_scratch last = *s;
        last.panels = s->panels + at;
        t->b = nest->b.pack(nest, &last, b->pc, t->k, j, t->n);
        return;
    }
    nest->b.read(nest, t, b->pc, j);
    t->b_place = nest->b.place;
    if (b->stores) t->to = s->panels + at;
}

/* C[i .. i + t->mr, jc .. jc + nc) for one piece of k. */
static void strip(const fd_nest *nest, const fd_scratch *s, const strip_source *b, fd_tile *t,
                  ptrdiff_t i, ptrdiff_t jc, ptrdiff_t nc, int last) {
    const ptrdiff_t width = nest->kernels->tile_n;
    t->bias = NULL;
    t->bits = NULL;
    t->relu = 0;
    t->bit0 = 0;
    t->fetch[0] = t->fetch[1] = NULL;
    if (last && nest->out.start) nest->out.start(nest, t, s, i, jc, nc);
    t->c = nest->c ? nest->c + i * nest->ldc + jc : s->tile;
    for (ptrdiff_t j = 0; j < nc; j += width) {
        t->n = fd_min(width, nc - j);
        find_b(nest, s, b, t, jc + j, j * t->k);
        nest->kernels->gemm_tile(t);
        if (nest->c) t->c += width;
        else nest->out.finish(nest, t, s, i, jc + j, t->n);
        t->bit0 += width;
        if (t->bias) t->bias += width;
        if (t->fetch[0]) t->fetch[0] += width;
        if (t->fetch[1]) t->fetch[1] += width;
    }
    if (last && nest->c && nest->out.finish) nest->out.finish(nest, t, s, i, jc, nc);
}

/* Rows [i, end): as few tiles as possible, of equal height; the first ones are a row higher where
   the rows do not divide evenly. */
static void row_tiles(const fd_nest *nest, const fd_scratch *s, strip_source *b, fd_tile *t,
                      ptrdiff_t i, ptrdiff_t end, ptrdiff_t jc, ptrdiff_t nc, int last) {
    const ptrdiff_t count = fd_ceil_div(end - i, nest->kernels->tile_m), low = (end - i) / count,
                    high = (end - i) % count;
    b->stores = count > 1;
    for (ptrdiff_t tile = 0; tile < count;) {
        t->mr = low + (tile < high);
        const ptrdiff_t alike = (tile < high ? high : count) - tile,
                        run = fd_min(nest->a.run, alike);
        nest->a.pack(nest, t, s, i, run, b->pc);
        for (ptrdiff_t r = 0; r < run; r++, i += t->mr, t->a += t->k * t->mr) {
            strip(nest, s, b, t, i, jc, nc, last);
            b->panels = b->panels ? b->panels : s->panels;
        }
        tile += run;
    }
}

/* A thread's part of the chunk. */
static void nest_task(const fd_region *region, int thread, void *context) {
    const nest_work *w = context;
    const fd_nest *nest = w->nest;
    const ptrdiff_t width = nest->kernels->tile_n;
    fd_scratch s;
    carve(&s, region->workspace + (size_t)thread * region->stride, w);
    const int tm = thread / w->grid_n, tn = thread % w->grid_n;
    const ptrdiff_t m0 = w->m0 + fd_cut(w->m1 - w->m0, w->grid_m, tm, 1),
                    m1 = w->m0 + fd_cut(w->m1 - w->m0, w->grid_m, tm + 1, 1),
                    n0 = w->n0 + fd_cut(w->n1 - w->n0, w->grid_n, tn, width),
                    n1 = w->n0 + fd_cut(w->n1 - w->n0, w->grid_n, tn + 1, width);
    if (m0 >= m1 || n0 >= n1) return;
    const ptrdiff_t nc = fd_round_up(fd_ceil_div(n1 - n0, fd_ceil_div(n1 - n0, w->nc)), width);
    fd_tile t = {.ldc = nest->c ? nest->ldc : width};
    const int reads = nest->b.read && m1 - m0 <= FD_READ_TILES * nest->kernels->tile_m;
    if (nest->begin) nest->begin();

    for (ptrdiff_t jc = n0; jc < n1; jc += nc) {
        const ptrdiff_t nj = fd_min(nc, n1 - jc);
        ptrdiff_t pc = 0;
        do { /* once even for k = 0: the epilogue has work */
            t.k = fd_min(w->kc, nest->k - pc);
            t.add = nest->accumulate || pc > 0;
            const int last = pc + t.k >= nest->k;
            strip_source b = {.pc = pc};
            if (!reads) b.panels = nest->b.pack(nest, &s, pc, t.k, jc, nj);
            for (ptrdiff_t i = m0, end = m1; i < m1; i = end) {
                if (nest->a.cut) end = nest->a.cut(nest, &t, &s, i, m1, pc);
                row_tiles(nest, &s, &b, &t, i, end, jc, nj, last);
            }
            pc += t.k;
        } while (pc < nest->k);
    }
    if (nest->end) nest->end();
}

/* The grid with the least work for the busiest thread: its tiles, and its share of packing. */
static void choose_grid(nest_work *w, int threads) {
    const ptrdiff_t m = w->m1 - w->m0, n = w->n1 - w->n0, width = w->nest->kernels->tile_n;
    double best = 0.0;
    w->grid_m = threads;
    w->grid_n = 1;
    for (int gm = 1; gm <= threads; gm++) {
        if (threads % gm) continue;
        const double rows = (double)fd_ceil_div(m, gm);
        const double columns = (double)fd_ceil_div(fd_ceil_div(n, width), threads / gm) *
                               (double)width;
        const double cost = rows * columns + w->nest->b.cost * columns + FD_PACKING_COST * rows;
        if (gm == 1 || cost < best) {
            best = cost;
            w->grid_m = gm;
            w->grid_n = threads / gm;
        }
    }
}

/* The whole of C as one chunk, by one thread. */
static nest_work whole(const fd_nest *nest) {
    const fd_table *kernels = nest->kernels;
    assert(kernels->tile_m <= FD_TILE_M_MOST && kernels->tile_n <= FD_TILE_N_MOST);
    assert(nest->c || fd_piece_of_k(nest->k) >= nest->k);
    assert(1 <= nest->a.run && nest->a.run <= FD_RUN && (nest->a.run == 1 || !nest->a.cut));
    return (nest_work){.nest = nest,
                       .m1 = nest->m,
                       .n1 = nest->n,
                       .grid_m = 1,
                       .grid_n = 1,
                       .kc = fd_piece_of_k(nest->k),
                       .nc = fd_columns_at_a_time(nest->n, kernels->tile_n)};
}

size_t fd_nest_room(const fd_nest *nest) {
    const nest_work w = whole(nest);
    return carve(NULL, NULL, &w);
}

void fd_nest_alone(const fd_nest *nest, char *room) {
    if (nest->m == 0 || nest->n == 0) return;
    nest_work w = whole(nest);
    const fd_region alone = {.threads = 1, .workspace = room};
    nest_task(&alone, 0, &w);
}

static int run_chunk(nest_work *w) {
    const double work = (double)(w->m1 - w->m0) * (double)(w->n1 - w->n0) *
                        (double)fd_max(1, w->nest->k);
    fd_region region;
    int status = fd_begin(&region, (ptrdiff_t)(work / FD_PRODUCT_GRAIN) + 1, carve(NULL, NULL, w));
    if (status != FD_OK) return status;
    choose_grid(w, region.threads);
    fd_run(&region, nest_task, w, 1);
    fd_end(&region);
    return FD_OK;
}

/* How many lines of the longer side of C make a chunk: as many as FD_PRODUCT_CHUNK allows (fewer
   for narrower tiles, which are slower), but enough that packing the other side again for each
   chunk costs little. */
static ptrdiff_t chunk_lines(const fd_nest *nest) {
    const fd_table *kernels = nest->kernels;
    const double width = (double)kernels->tile_n / 32.0,
                 least = (double)(kernels->tile_m * kernels->tile_n / 2);
    const double lines = FD_PRODUCT_CHUNK * width * width /
                         ((double)fd_max(1, nest->k) * (double)fd_min(nest->m, nest->n));
    if (lines > 1e15) return PTRDIFF_MAX / 2;
    return fd_round_up((ptrdiff_t)(lines > least ? lines : least), kernels->tile_n);
}

int fd_nest_run(const fd_nest *nest) {
    if (nest->m == 0 || nest->n == 0) return FD_OK;
    nest_work w = whole(nest);
    const ptrdiff_t chunk = chunk_lines(nest);
    ptrdiff_t *lo = nest->m >= nest->n ? &w.m0 : &w.n0, *hi = nest->m >= nest->n ? &w.m1 : &w.n1;
    const ptrdiff_t end = *hi;
    for (*lo = 0; *lo < end; *lo = *hi) {
        *hi = fd_min(end, *lo + chunk);
        int status = run_chunk(&w);
        if (status != FD_OK) return status;
        if (*hi < end && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}
