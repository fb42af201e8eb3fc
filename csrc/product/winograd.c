/* Winograd convolution F(4x4, 3x3), forward and the gradient for the input. The 6 x 6 positions
   that a tile of 4 x 4 outputs reads become 36 numbers a channel, and the convolution 36 products
   of tiles x channels by channels x outputs: 4 times fewer multiply-adds. Each sum is one chain
   over the channels, so a tile does not depend on the others. */
#include "product/map_dropout.h"
#include "product/winograd.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

enum { SOME_CHANNELS = 32 /* kernels of so many channels of a panel are transformed at a time */ };

typedef struct {
    const fd_table *k;
    fd_wino_map map;
    const float *x, *w, *bias;
    const float *weights; /* transformed and kept by the caller, or NULL */
    float *kept;          /* where weights_task puts them for the caller, or NULL */
    float *y;
    ptrdiff_t outputs;
    int turned; /* w is channels x outputs x taps, and its kernels are turned round */
    int relu;
    const fd_map_dropout_args *drop;           /* of an image when it is complete, or NULL */
    ptrdiff_t unit;                            /* tiles that one thread computes all of: .. */
    int whole;                                 /* .. a whole image, else one */
    ptrdiff_t group;                           /* tiles whose transforms stand in the cache */
    ptrdiff_t x_pitch, y_pitch;                /* floats of a transformed position */
    ptrdiff_t x_product, y_product, w_product; /* floats to the next product's operand */
    ptrdiff_t begin, end;                      /* the chunk, in tiles */
    int shares;                                /* threads among which the outputs are divided */
} wino_work;

typedef struct {
    float *x, *y, *kernels, *zeros;
    uint32_t *bits;
} wino_room;

/* The transformed weights stand before the room of thread 0. */
static size_t weights_bytes(const wino_work *c) {
    return ((size_t)(FD_WINO_PRODUCTS * c->w_product) + FD_TILE_N_MOST) * sizeof(float);
}

static size_t carve(wino_room *to, char *from, const wino_work *c) {
    const size_t sizes[6] = {
        c->weights ? 0 : weights_bytes(c),
        (size_t)(FD_WINO_PRODUCTS * c->x_product) * sizeof(float),
        (size_t)(FD_WINO_PRODUCTS * c->y_product) * sizeof(float),
        (size_t)(SOME_CHANNELS * FD_WINO_TAPS * c->k->tile_n + FD_TILE_N_MOST) * sizeof(float),
        (size_t)c->x_pitch * sizeof(float),
        c->drop ? fd_map_dropout_room(c->drop->channels, c->drop->positions, c->drop->by_channel)
                : 0,
    };
    void *at[6];
    size_t used = 0;
    for (int i = 0; i < 6; i++) {
        at[i] = from + used;
        used += (sizes[i] + FD_CACHE_LINE - 1) / FD_CACHE_LINE * FD_CACHE_LINE;
    }
    if (to) *to = (wino_room){at[1], at[2], at[3], at[4], at[5]};
    return used;
}

/* Transforms the kernels: product e has panels of tile_n outputs, rows are channels. */
static void weights_task(const fd_region *region, int thread, void *context) {
    const wino_work *c = context;
    float *to = c->kept ? c->kept : (float *)(void *)region->workspace;
    wino_room room;
    carve(&room, region->workspace + (size_t)thread * region->stride, c);
    const ptrdiff_t width = c->k->tile_n, channels = c->map.channels,
                    blocks = fd_ceil_div(channels, SOME_CHANNELS),
                    units = fd_ceil_div(c->outputs, width) * blocks;
    for (ptrdiff_t unit = fd_cut(units, region->threads, thread, 1);
         unit < fd_cut(units, region->threads, thread + 1, 1); unit++) {
        const ptrdiff_t o = unit / blocks * width, first = unit % blocks * SOME_CHANNELS,
                        n = fd_min(width, c->outputs - o),
                        rows = fd_min(SOME_CHANNELS, channels - first);
        if (c->turned)
            for (ptrdiff_t row = 0; row < rows; row++)
                c->k->pack_panels_t(room.kernels + row * FD_WINO_TAPS * width, 0,
                                    c->w + ((first + row) * c->outputs + o) * FD_WINO_TAPS,
                                    FD_WINO_TAPS, FD_WINO_TAPS, n);
        else
            c->k->pack_panels_t(room.kernels, 0, c->w + (o * channels + first) * FD_WINO_TAPS,
                                channels * FD_WINO_TAPS, rows * FD_WINO_TAPS, n);
        c->k->wino_weights(to + o * channels + first * width, c->w_product, room.kernels, rows,
                           c->turned);
    }
}

/* The 36 products of n tiles, for outputs [o_first, o_end). */
static void multiply(const wino_work *c, const wino_room *room, const float *weights, ptrdiff_t n,
                     ptrdiff_t o_first, ptrdiff_t o_end) {
    const ptrdiff_t pieces = fd_ceil_div(n, c->k->tile_m), width = c->k->tile_n;
    fd_tile t = {.k = c->map.channels, .a_rows = 1, .lda = c->x_pitch, .ldc = c->y_pitch};
    for (ptrdiff_t e = 0; e < FD_WINO_PRODUCTS; e++)
        for (ptrdiff_t o = o_first; o < o_end; o += width) {
            t.b = weights + e * c->w_product + o * t.k;
            t.n = fd_min(width, c->y_pitch - o); /* whole vectors; the panel has zeros */
            for (ptrdiff_t piece = 0; piece < pieces; piece++) {
                const ptrdiff_t i = n * piece / pieces;
                t.mr = n * (piece + 1) / pieces - i;
                t.a = room->x + e * c->x_product + i * c->x_pitch;
                t.c = room->y + e * c->y_product + i * c->y_pitch + o;
                c->k->gemm_tile(&t);
            }
        }
}

static void tiles_task(const fd_region *region, int thread, void *context) {
    const wino_work *c = context;
    const float *weights = c->weights ? c->weights : (const float *)(const void *)region->workspace;
    wino_room room;
    carve(&room, region->workspace + (size_t)thread * region->stride, c);
    const ptrdiff_t shares = c->shares, parts = region->threads / shares, part = thread / shares,
                    all = c->end - c->begin, width = c->k->tile_n;
    if (part >= parts) return;
    const ptrdiff_t first = c->begin + fd_cut(all, parts, part, c->unit),
                    n = c->begin + fd_cut(all, parts, part + 1, c->unit) - first,
                    o_first = fd_cut(c->outputs, shares, thread % shares, width),
                    o_end = fd_cut(c->outputs, shares, thread % shares + 1, width),
                    groups = fd_ceil_div(n, c->group);
    if (o_first >= o_end) return;
    memset(room.zeros, 0, (size_t)c->x_pitch * sizeof(float));
    for (ptrdiff_t group = 0; group < groups; group++) {
        const ptrdiff_t begin = first + n * group / groups, end = first + n * (group + 1) / groups;
        for (ptrdiff_t tile = begin; tile < end; tile++) {
            const fd_patch x = fd_wino_read(&c->map, c->x, tile, room.zeros);
            c->k->wino_input(room.x + (tile - begin) * c->x_pitch, c->x_product, width, &x);
        }
        multiply(c, &room, weights, end - begin, o_first, o_end);
        for (ptrdiff_t tile = begin; tile < end; tile++) {
            ptrdiff_t at;
            fd_patch y = fd_wino_tile(&c->map, c->outputs, tile, &at);
            y.n = o_end - o_first;
            c->k->wino_output(c->y + at + o_first, &y,
                              room.y + (tile - begin) * c->y_pitch + o_first, c->y_product,
                              c->bias ? c->bias + o_first : NULL, c->relu);
        }
        if (c->drop && c->whole)
            for (ptrdiff_t image = begin / c->unit; image < end / c->unit; image++)
                fd_map_dropout_some(c->drop, c->k, room.bits, image, 0, c->outputs, 0);
    }
}

/* The dropout of images [first, first + images), which no thread computed alone. */
static int drop_images(const wino_work *c, ptrdiff_t first, ptrdiff_t images) {
    const ptrdiff_t each = c->drop->channels * c->drop->positions;
    const fd_stream stream = fd_rows_from(c->drop->drop.stream, first);
    fd_map_dropout_args some = *c->drop;
    some.drop.stream = &stream;
    some.y += first * each, some.x += first * each, some.images = images;
    return fd_map_dropout(&some);
}

/* Sets the sizes of the weights; returns their panels. */
static ptrdiff_t plan_weights(wino_work *c) {
    c->k = fd_kernels();
    const ptrdiff_t panels = fd_ceil_div(c->outputs, c->k->tile_n);
    c->w_product = fd_wino_step(panels * c->k->tile_n * c->map.channels);
    return panels;
}

static int run(wino_work *c) {
    const ptrdiff_t channels = c->map.channels, panels = plan_weights(c);
    c->x_pitch = fd_round_up(channels, FD_WINO_UNIT);
    c->y_pitch = fd_round_up(c->outputs, FD_WINO_UNIT);
    c->group = fd_winograd_tiles(channels, c->outputs, c->k->tile_m);
    c->group = fd_min(c->group, c->map.total);
    c->x_product = fd_wino_step(c->group * c->x_pitch);
    c->y_product = fd_wino_step(c->group * c->y_pitch);
    const double work = (double)FD_WINO_PRODUCTS * (double)channels * (double)c->outputs;
    const ptrdiff_t an_image = c->map.tiles[0] * c->map.tiles[1];
    ptrdiff_t chunk = fd_max(1, (ptrdiff_t)fd_min((double)c->map.total, FD_PRODUCT_CHUNK / work));
    if (c->drop) chunk = fd_round_up(chunk, an_image);
    for (c->begin = 0; c->begin < c->map.total; c->begin = c->end) {
        c->end = fd_min(c->map.total, c->begin + chunk);
        const ptrdiff_t tiles = c->end - c->begin;
        fd_region region;
        int status = fd_begin(&region, (ptrdiff_t)(work * (double)tiles / FD_PRODUCT_GRAIN) + 1,
                              carve(NULL, NULL, c));
        if (status != FD_OK) return status;
        c->whole = c->drop && tiles / an_image >= region.threads;
        c->unit = c->whole ? an_image : 1;
        const ptrdiff_t most = c->whole ? tiles / an_image : fd_ceil_div(tiles, c->k->tile_m),
                        parts = fd_min(region.threads, most);
        c->shares = (int)fd_min(region.threads / parts, panels);
        if (!c->weights) fd_run(&region, weights_task, c, 1);
        fd_run(&region, tiles_task, c, 1);
        fd_end(&region);
        if (c->drop && !c->whole) {
            status = drop_images(c, c->begin / an_image, tiles / an_image);
            if (status != FD_OK) return status;
        }
        if (c->end < c->map.total && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}

int fd_conv_winograd(const fd_conv_args *a, const fd_map_dropout_args *drop) {
    const fd_conv_shape *s = &a->shape;
    const ptrdiff_t count[2] = {fd_conv_length(s, 1), fd_conv_length(s, 2)};
    wino_work c = {.map = fd_wino_map_of(s->images, s->channels, s->size + 1, count, s->before + 1),
                   .x = a->x,
                   .w = a->w,
                   .bias = a->bias,
                   .weights = a->panels,
                   .y = a->y,
                   .outputs = s->outputs,
                   .relu = a->act == FD_RELU,
                   .drop = drop};
    return run(&c);
}

ptrdiff_t fd_conv_winograd_panels(const fd_conv_shape *s) {
    wino_work c = {.map.channels = s->channels, .outputs = s->outputs};
    plan_weights(&c);
    return (ptrdiff_t)(weights_bytes(&c) / sizeof(float));
}

int fd_conv_winograd_pack(const fd_conv_pack_args *a) {
    wino_work c = {.map.channels = a->shape.channels,
                   .outputs = a->shape.outputs,
                   .w = a->w,
                   .kept = a->panels,
                   .x_pitch = fd_round_up(a->shape.channels, FD_WINO_UNIT)};
    plan_weights(&c);
    fd_region region;
    int status = fd_begin(&region, 1, carve(NULL, NULL, &c));
    if (status != FD_OK) return status;
    fd_run(&region, weights_task, &c, 1);
    fd_end(&region);
    return FD_OK;
}

int fd_conv_winograd_dx(const fd_conv_dx_args *a) {
    const fd_conv_shape *s = &a->shape;
    const ptrdiff_t size[2] = {fd_conv_length(s, 1), fd_conv_length(s, 2)},
                    before[2] = {2 - s->before[1], 2 - s->before[2]};
    wino_work c = {.map = fd_wino_map_of(s->images, s->outputs, size, s->size + 1, before),
                   .x = a->dy,
                   .w = a->w,
                   .y = a->dx,
                   .outputs = s->channels,
                   .turned = 1};
    return run(&c);
}
