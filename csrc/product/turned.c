/* Products x w^T with few rows of x, turned; see turned.h.

   Tiles of C^T = w x^T: rows of w are read where they lie, a vector holds samples. A block of a few
   columns of C is computed whole (all samples, all of k), transposed out of the first cache, and
   goes through the epilogue of the layer. Each sum is the same chain as in the loop nest. */
#include "product/turned.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

typedef struct {
    const fd_turned *turned;
    ptrdiff_t ld;         /* between rows of the sums: of C^T */
    ptrdiff_t columns;    /* samples, rounded up to whole tiles */
    ptrdiff_t piece;      /* of k */
    ptrdiff_t begin, end; /* the chunk: columns of C */
} turned_work;

/* A thread's buffers: x^T in panels, some rows of w, a block of C^T, and room for the hooks. */
typedef struct {
    float *x, *rows, *sums;
    fd_scratch s;
} turned_room;

static size_t carve(turned_room *to, char *from, const turned_work *w) {
    const fd_nest *nest = w->turned->nest;
    const size_t line = FD_CACHE_LINE / sizeof(float);
    const ptrdiff_t groups = FD_TURNED_COLUMNS / FD_GROUP + 2;
    size_t at = 0;
#define PIECE(field, type, count)                                                                  \
    if (to) to->field = (type *)(void *)(from + at * sizeof(float));                               \
    at = (at + (size_t)(count) + line - 1) / line * line;
    PIECE(x, float, w->columns * nest->k + FD_TILE_N_MOST)
    PIECE(rows, float, nest->kernels->tile_m *(w->piece + FD_ROW_PAD) + FD_TILE_N_MOST)
    PIECE(sums, float, FD_TURNED_COLUMNS * w->ld + FD_TILE_N_MOST)
    PIECE(s.stage, float, nest->kernels->tile_n * w->piece + FD_TILE_N_MOST)
    PIECE(s.bits, uint32_t, nest->m * groups * FD_GROUP_WORDS + FD_BITS_PAD)
#undef PIECE
    return at * sizeof(float);
}

/* All panels of x^T, piece after piece of k. */
static void pack_x(const turned_work *w, turned_room *room) {
    const fd_nest *nest = w->turned->nest;
    const fd_b_packer pack = w->turned->x;
    fd_nest turned = {.kernels = nest->kernels, .b = pack};
    for (ptrdiff_t pc = 0; pc < nest->k; pc += w->piece) {
        room->s.panels = room->x + w->columns * pc;
        pack.pack(&turned, &room->s, pc, fd_min(w->piece, nest->k - pc), 0, nest->m);
    }
}

/* The sums of columns [j, j + count) of C: rows of C^T, in tiles of equal height. */
static void block_sums(const turned_work *w, const turned_room *room, ptrdiff_t j,
                       ptrdiff_t count) {
    const fd_nest *nest = w->turned->nest;
    const ptrdiff_t width = nest->kernels->tile_n, vector = nest->kernels->lanes,
                    tiles = fd_ceil_div(count, fd_min(w->turned->most_rows, nest->kernels->tile_m)),
                    low = count / tiles, high = count % tiles;
    fd_tile t = {.a_rows = 1, .ldc = w->ld};
    for (ptrdiff_t tile = 0, r = 0; tile < tiles; tile++, r += t.mr) {
        t.mr = low + (tile < high);
        for (ptrdiff_t pc = 0; pc < nest->k; pc += w->piece) {
            t.k = fd_min(w->piece, nest->k - pc);
            t.add = pc > 0;
            w->turned->rows(nest, &t, room->rows, j + r, pc);
            for (ptrdiff_t i = 0; i < nest->m; i += width) {
                t.n = nest->m - i <= vector ? vector : width; /* whole vectors: x has zeros there */
                t.b = room->x + w->columns * pc + i * t.k;
                t.c = room->sums + r * w->ld + i;
                nest->kernels->gemm_tile(&t);
            }
        }
    }
}

static void turned_task(const fd_region *region, int thread, void *context) {
    const turned_work *w = context;
    const fd_nest *nest = w->turned->nest;
    const ptrdiff_t n = w->end - w->begin,
                    first = w->begin + fd_cut(n, region->threads, thread, nest->kernels->tile_n),
                    end = w->begin + fd_cut(n, region->threads, thread + 1, nest->kernels->tile_n);
    if (first >= end) return;
    turned_room room;
    carve(&room, region->workspace + (size_t)thread * region->stride, w);
    pack_x(w, &room);
    for (ptrdiff_t j = first; j < end; j += FD_TURNED_COLUMNS) {
        const ptrdiff_t count = fd_min(FD_TURNED_COLUMNS, end - j);
        block_sums(w, &room, j, count);
        fd_tile t = {.mr = nest->m,
                     .n = count,
                     .a = room.sums,
                     .lda = w->ld,
                     .c = nest->c + j,
                     .ldc = nest->ldc};
        if (nest->out.start) nest->out.start(nest, &t, &room.s, 0, j, count);
        nest->kernels->turn_tile(&t);
        if (nest->out.finish) nest->out.finish(nest, &t, &room.s, 0, j, count);
    }
}

int fd_worth_turning(const fd_product *p, const fd_nest *nest) {
    if (p->ta || !p->tb || p->panels || p->b_drop.stream || p->repeat > 1 || p->accumulate ||
        p->k == 0)
        return 0;
    return p->m <= FD_TURNED_MOST && p->n >= p->m &&
           fd_round_up(p->m, nest->kernels->tile_n) * nest->k <= FD_TURNED_X;
}

int fd_turned_run(const fd_turned *turned) {
    const fd_nest *nest = turned->nest;
    turned_work w = {.turned = turned,
                     .columns = fd_round_up(nest->m, nest->kernels->tile_n),
                     .piece = fd_piece_of_k(nest->k)};
    w.ld = w.columns + FD_ROW_PAD;
    const double lines = FD_PRODUCT_CHUNK / ((double)w.columns * (double)nest->k);
    const ptrdiff_t unit = FD_TURNED_COLUMNS * nest->kernels->tile_n,
                    most = lines < (double)nest->n ? (ptrdiff_t)lines : nest->n,
                    chunk = fd_round_up(most + 1, unit);
    for (; w.begin < nest->n; w.begin = w.end) {
        w.end = fd_min(nest->n, w.begin + chunk);
        const double work = (double)nest->m * (double)(w.end - w.begin) * (double)nest->k;
        fd_region region;
        int status = fd_begin(&region, (ptrdiff_t)(work / FD_PRODUCT_GRAIN) + 1,
                              carve(NULL, NULL, &w));
        if (status != FD_OK) return status;
        fd_run(&region, turned_task, &w, 1);
        fd_end(&region);
        if (w.end < nest->n && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}
