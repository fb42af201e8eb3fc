/* Direct convolution, the gradient for the weights: dw = dy^T X, where a row of X is the window of
   an output position. A block of positions is packed at a time: dy in small panels, the windows in
   panels of tile_n numbers. The sum over a block is one chain, and blocks are added in order. Which
   positions make a block depends on the shape alone. */
#include "product/conv.h"
#include "kernels/table.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

typedef struct {
    const fd_table *k;
    fd_window window;
    fd_band band;
    ptrdiff_t images, outputs, taps;
    const float *dy; /* first output of the group */
    ptrdiff_t dy_pitch;
    float *dw; /* of the group: outputs x channels x taps */
    int accumulate;
    ptrdiff_t height, tiles;          /* outputs in a tile, and tiles */
    ptrdiff_t panels_a_run, panels;   /* of the windows */
    ptrdiff_t at_a_time;              /* panels */
    ptrdiff_t strips, strips_a_block; /* a strip: rows of positions of one band */
    ptrdiff_t pixels;                 /* positions of a block at most */
    int grid;                         /* threads along the panels */
} weight_work;

typedef struct {
    float *band, *matrix, *windows, *dy, *sums;
} weight_room;

static size_t carve(weight_room *to, char *from, const weight_work *c) {
    const size_t line = FD_CACHE_LINE / sizeof(float), pad = FD_TILE_N_MOST,
                 wide = (size_t)(c->at_a_time * c->k->tile_n),
                 tall = (size_t)(c->tiles * c->height),
                 sizes[5] = {c->band.floats + pad, c->band.matrix + pad,
                             wide * (size_t)c->pixels + pad, tall * (size_t)c->pixels + pad,
                             tall * wide};
    float *at[5];
    size_t used = 0;
    for (int i = 0; i < 5; i++) {
        at[i] = (float *)(void *)from + used;
        used += (sizes[i] + line - 1) / line * line;
    }
    if (to) *to = (weight_room){at[0], at[1], at[2], at[3], at[4]};
    return used * sizeof(float);
}

/* The windows of a row of positions into panels [first, end), from position `pixel` of the block.
 */
static void pack_windows(const weight_work *c, const weight_room *room, ptrdiff_t row,
                         ptrdiff_t pixel, ptrdiff_t first, ptrdiff_t end) {
    const fd_window *w = &c->window;
    const ptrdiff_t width = c->k->tile_n, stride = c->pixels * width;
    for (ptrdiff_t panel = first; panel < end;) {
        const ptrdiff_t r = panel / c->panels_a_run, from = panel % c->panels_a_run,
                        some = fd_min(end - panel, c->panels_a_run - from),
                        n = fd_min(c->band.run - from * width, some * width);
        const float *x = c->band.gathered ? room->matrix
                                          : room->band + fd_band_run(w, &c->band, r, row);
        c->k->pack_panels(room->windows + (panel - first) * stride + pixel * width, width, stride,
                          x + from * width,
                          c->band.gathered ? c->band.run : w->step[2] * w->channels, w->count[2],
                          n);
        panel += some;
    }
}

/* Packs strips [begin, end): the windows of panels [first, last) and dy of tiles [t0, t1). Returns
   the number of positions. */
static ptrdiff_t pack_block(const weight_work *c, const weight_room *room, ptrdiff_t begin,
                            ptrdiff_t end, ptrdiff_t first, ptrdiff_t last, ptrdiff_t t0,
                            ptrdiff_t t1) {
    const fd_window *w = &c->window;
    const ptrdiff_t bands = fd_ceil_div(w->count[1], c->band.rows),
                    positions = w->count[0] * w->count[1] * w->count[2];
    ptrdiff_t pixel = 0;
    for (ptrdiff_t strip = begin; strip < end; strip++) {
        const ptrdiff_t image = strip / (w->count[0] * bands), q0 = strip / bands % w->count[0],
                        q1 = strip % bands * c->band.rows,
                        rows = fd_min(c->band.rows, w->count[1] - q1);
        fd_band_fill(w, &c->band, room->band, image, q0, q1, rows);
        const float *dy = c->dy +
                          (image * positions + (q0 * w->count[1] + q1) * w->count[2]) * c->dy_pitch;
        for (ptrdiff_t t = t0; t < t1; t++) {
            const ptrdiff_t o = t * c->height, n = fd_min(c->height, c->outputs - o);
            c->k->pack_panels(room->dy + (t - t0) * c->height * c->pixels + pixel * n, n, 0, dy + o,
                              c->dy_pitch, rows * w->count[2], n);
        }
        for (ptrdiff_t r = 0; r < rows; r++) {
            if (c->band.gathered) fd_band_gather(w, &c->band, room->matrix, room->band, r);
            pack_windows(c, room, r, pixel + r * w->count[2], first, last);
        }
        pixel += rows * w->count[2];
    }
    return pixel;
}

/* The sums to their place in dw, whose last axes are channel and tap. */
static void store(const weight_work *c, const float *sums, ptrdiff_t ld, ptrdiff_t first,
                  ptrdiff_t last, ptrdiff_t t0, ptrdiff_t t1) {
    const ptrdiff_t width = c->k->tile_n, channels = c->window.channels;
    for (ptrdiff_t o = t0 * c->height; o < fd_min(c->outputs, t1 * c->height); o++) {
        const float *row = sums + (o - t0 * c->height) * ld;
        float *dw = c->dw + o * channels * c->taps;
        for (ptrdiff_t panel = first; panel < last; panel++) {
            const ptrdiff_t at = panel % c->panels_a_run * width,
                            n = fd_min(width, c->band.run - at),
                            number = panel / c->panels_a_run * c->band.run + at;
            for (ptrdiff_t j = 0; j < n; j++) {
                float *to = dw + (number + j) % channels * c->taps + (number + j) / channels;
                const float sum = row[(panel - first) * width + j];
                *to = c->accumulate ? *to + sum : sum;
            }
        }
    }
}

static void weight_task(const fd_region *region, int thread, void *context) {
    const weight_work *c = context;
    weight_room room;
    carve(&room, region->workspace + (size_t)thread * region->stride, c);
    const int along = region->threads / c->grid;
    if (thread / c->grid >= along) return;
    const ptrdiff_t width = c->k->tile_n, p0 = fd_cut(c->panels, c->grid, thread % c->grid, 1),
                    p1 = fd_cut(c->panels, c->grid, thread % c->grid + 1, 1),
                    t0 = fd_cut(c->tiles, along, thread / c->grid, 1),
                    t1 = fd_cut(c->tiles, along, thread / c->grid + 1, 1);
    if (t0 >= t1) return;
    for (ptrdiff_t first = p0; first < p1; first += c->at_a_time) {
        const ptrdiff_t last = fd_min(p1, first + c->at_a_time), ld = (last - first) * width;
        for (ptrdiff_t strip = 0; strip < c->strips; strip += c->strips_a_block) {
            const ptrdiff_t end = fd_min(c->strips, strip + c->strips_a_block),
                            pixels = pack_block(c, &room, strip, end, first, last, t0, t1);
            fd_tile t = {.k = pixels, .ldc = ld, .add = strip > 0};
            for (ptrdiff_t tile = t0; tile < t1; tile++) {
                t.mr = fd_min(c->height, c->outputs - tile * c->height);
                t.a = room.dy + (tile - t0) * c->height * c->pixels;
                for (ptrdiff_t panel = first; panel < last; panel++) {
                    t.n = width;
                    t.b = room.windows + (panel - first) * c->pixels * width;
                    t.c = room.sums + (tile - t0) * c->height * ld + (panel - first) * width;
                    c->k->gemm_tile(&t);
                }
            }
        }
        store(c, room.sums, ld, first, last, t0, t1);
    }
}

static int run(weight_work *c) {
    const fd_window *w = &c->window;
    const ptrdiff_t width = c->k->tile_n, bands = fd_ceil_div(w->count[1], c->band.rows),
                    strip = c->band.rows * w->count[2];
    c->tiles = fd_ceil_div(c->outputs, c->k->tile_m);
    c->height = fd_ceil_div(c->outputs, c->tiles);
    c->tiles = fd_ceil_div(c->outputs, c->height);
    c->panels_a_run = fd_ceil_div(c->band.run, width);
    c->panels = c->band.runs * c->panels_a_run;
    c->strips = c->images * w->count[0] * bands;
    c->strips_a_block = fd_max(1, FD_WEIGHT_PIXELS / strip);
    c->pixels = c->strips_a_block * strip;
    c->at_a_time = fd_max(1, fd_min(c->panels, FD_CONV_PANELS / (c->pixels * width)));
    const double work = (double)c->strips * (double)strip * (double)(c->panels * width) *
                        (double)c->outputs;
    fd_region region;
    int status = fd_begin(&region, (ptrdiff_t)(work / FD_PRODUCT_GRAIN) + 1, carve(NULL, NULL, c));
    if (status != FD_OK) return status;
    c->grid = (int)fd_min(region.threads, c->panels);
    fd_run(&region, weight_task, c, 1);
    fd_end(&region);
    return FD_OK;
}

int fd_conv_direct_dw(const fd_conv_dw_args *a) {
    const fd_conv_shape *s = &a->shape;
    const ptrdiff_t channels = s->channels / s->groups, outputs = s->outputs / s->groups;
    weight_work c = {.k = fd_kernels(),
                     .images = s->images,
                     .outputs = outputs,
                     .taps = s->kernel[0] * s->kernel[1] * s->kernel[2],
                     .dy_pitch = s->outputs,
                     .accumulate = a->accumulate,
                     .window = {.pitch = s->channels, .channels = channels}};
    for (int i = 0; i < 3; i++) {
        c.window.size[i] = s->size[i];
        c.window.count[i] = fd_conv_length(s, i);
        c.window.step[i] = s->stride[i];
        c.window.origin[i] = -s->before[i];
        c.window.taps[i] = s->kernel[i];
        c.window.dilation[i] = s->dilation[i];
    }
    c.band = fd_band_of(&c.window);
    for (ptrdiff_t group = 0; group < s->groups; group++) {
        c.window.x = a->x + group * channels;
        c.dy = a->dy + group * outputs;
        c.dw = a->dw + group * outputs * channels * c.taps;
        int status = run(&c);
        if (status != FD_OK) return status;
    }
    return FD_OK;
}
