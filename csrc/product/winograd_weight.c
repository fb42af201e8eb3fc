/* Winograd convolution F(4x4, 3x3), the gradient for the weights: 36 products of outputs x tiles by
   tiles x channels, then the transform back to 3 x 3. A block of tiles is one chain, and blocks are
   added in order; which tiles make a block depends on the shape alone. */
#include "product/winograd.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

typedef struct {
    const fd_table *k;
    fd_wino_map map;
    const float *x, *dy;
    float *dw;
    ptrdiff_t outputs;
    int accumulate;
    ptrdiff_t panels;                         /* of channels, of tile_n */
    ptrdiff_t x_pitch, dy_pitch;              /* transformed channels and outputs */
    ptrdiff_t x_product, dy_product, product; /* floats to the next product's operand and sums */
    ptrdiff_t chunk, begin, end;              /* first tiles of chunk and block; end of the block */
} wino_work;

typedef struct {
    float *x, *dy, *sums, *zeros;
} wino_room;

/* All threads share one room. */
static size_t carve(wino_room *to, char *from, const wino_work *c) {
    const size_t floats[4] = {
        (size_t)(FD_WINO_PRODUCTS * c->x_product + FD_TILE_N_MOST),
        (size_t)(FD_WINO_PRODUCTS * c->dy_product),
        (size_t)(FD_WINO_PRODUCTS * c->product),
        (size_t)fd_max(c->x_pitch, c->dy_pitch),
    };
    void *at[4];
    size_t used = 0;
    for (int i = 0; i < 4; i++) {
        at[i] = from + used;
        used += fd_round_up((ptrdiff_t)(floats[i] * sizeof(float)), FD_CACHE_LINE);
    }
    if (to) *to = (wino_room){at[0], at[1], at[2], at[3]};
    return used;
}

static void zeros_task(const fd_region *region, int thread, void *context) {
    const wino_work *c = context;
    wino_room room;
    carve(&room, region->workspace, c);
    if (thread == 0) memset(room.zeros, 0, (size_t)fd_max(c->x_pitch, c->dy_pitch) * sizeof(float));
}

static void transform_task(const fd_region *region, int thread, void *context) {
    const wino_work *c = context;
    wino_room room;
    carve(&room, region->workspace, c);
    const ptrdiff_t n = c->end - c->begin, width = c->k->tile_n;
    for (ptrdiff_t i = fd_cut(n, region->threads, thread, 1);
         i < fd_cut(n, region->threads, thread + 1, 1); i++) {
        const fd_patch x = fd_wino_read(&c->map, c->x, c->begin + i, room.zeros);
        c->k->wino_input(room.x + i * width, c->x_product, n * width, &x);
        ptrdiff_t at;
        fd_patch dy = fd_wino_tile(&c->map, c->outputs, c->begin + i, &at);
        dy.at = c->dy + at;
        dy.zeros = room.zeros;
        c->k->wino_gradient(room.dy + i * c->dy_pitch, c->dy_product, width, &dy);
    }
}

static void products_task(const fd_region *region, int thread, void *context) {
    const wino_work *c = context;
    wino_room room;
    carve(&room, region->workspace, c);
    static const ptrdiff_t whole = 0; /* one run, which begins at 0 */
    const ptrdiff_t n = c->end - c->begin, width = c->k->tile_n,
                    units = FD_WINO_PRODUCTS * c->panels,
                    pieces = fd_ceil_div(c->outputs, c->k->tile_m);
    fd_tile t = {.k = n,
                 .runs = 1,
                 .a_runs = &whole,
                 .b_runs = &whole,
                 .lda = c->dy_pitch,
                 .ldb = width,
                 .ldc = c->x_pitch,
                 .add = c->begin > c->chunk};
    for (ptrdiff_t unit = fd_cut(units, region->threads, thread, 1);
         unit < fd_cut(units, region->threads, thread + 1, 1); unit++) {
        const ptrdiff_t e = unit / c->panels, panel = unit % c->panels;
        t.n = fd_min(width, c->x_pitch - panel * width);
        t.b = room.x + e * c->x_product + panel * n * width;
        for (ptrdiff_t piece = 0; piece < pieces; piece++) {
            const ptrdiff_t o = c->outputs * piece / pieces;
            t.mr = c->outputs * (piece + 1) / pieces - o;
            t.a = room.dy + e * c->dy_product + o;
            t.c = room.sums + e * c->product + o * c->x_pitch + panel * width;
            c->k->gemm_tile(&t);
        }
    }
}

static void store_task(const fd_region *region, int thread, void *context) {
    const wino_work *c = context;
    wino_room room;
    carve(&room, region->workspace, c);
    const ptrdiff_t channels = c->map.channels;
    for (ptrdiff_t o = fd_cut(c->outputs, region->threads, thread, 1);
         o < fd_cut(c->outputs, region->threads, thread + 1, 1); o++)
        c->k->wino_weight_sums(c->dw + o * channels * FD_WINO_TAPS, room.sums + o * c->x_pitch,
                               c->product, channels, c->accumulate || c->chunk > 0);
}

int fd_conv_winograd_dw(const fd_conv_dw_args *a) {
    const fd_conv_shape *s = &a->shape;
    const ptrdiff_t count[2] = {fd_conv_length(s, 1), fd_conv_length(s, 2)};
    wino_work c = {.k = fd_kernels(),
                   .map = fd_wino_map_of(s->images, s->channels, s->size + 1, count, s->before + 1),
                   .x = a->x,
                   .dy = a->dy,
                   .dw = a->dw,
                   .outputs = s->outputs,
                   .accumulate = a->accumulate};
    const ptrdiff_t width = c.k->tile_n, all = c.map.total,
                    block = fd_winograd_block(s->channels, s->outputs), most = fd_min(all, block);
    c.x_pitch = fd_round_up(s->channels, FD_WINO_UNIT);
    c.dy_pitch = fd_round_up(s->outputs, FD_WINO_UNIT);
    c.panels = fd_ceil_div(c.x_pitch, width);
    c.x_product = fd_wino_step(c.panels * most * width);
    c.dy_product = fd_wino_step(most * c.dy_pitch);
    c.product = fd_wino_step(s->outputs * c.x_pitch);
    const double work = (double)FD_WINO_PRODUCTS * (double)s->channels *
                        (double)s->outputs; /* of a tile */
    /* whole blocks, so that chunks change no chain */
    const ptrdiff_t chunk = fd_round_up(
        (ptrdiff_t)fd_max(1.0, fd_min((double)all, FD_PRODUCT_CHUNK / work)), block);
    for (c.chunk = 0; c.chunk < all; c.chunk += chunk) {
        const ptrdiff_t end = fd_min(all, c.chunk + chunk);
        fd_region region;
        int status = fd_begin(&region,
                              (ptrdiff_t)(work * (double)(end - c.chunk) / FD_PRODUCT_GRAIN) + 1,
                              carve(NULL, NULL, &c));
        if (status != FD_OK) return status;
        fd_run(&region, zeros_task, &c, 1);
        for (c.begin = c.chunk; c.begin < end; c.begin = c.end) {
            c.end = fd_min(end, c.begin + block);
            fd_run(&region, transform_task, &c, 1);
            fd_run(&region, products_task, &c, 1);
        }
        fd_run(&region, store_task, &c, 1);
        fd_end(&region);
        if (end < all && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}
