/* Depthwise convolution: each channel is convolved alone. The kernels read maps where they lie, row
   by row; rows outside of the map are left out, and zeros stand for positions outside of a row. */
#include "kernels/table.h"
#include "product/conv.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

/* Where the rows of the input begin that output row (q0, q1) of an image reads; NULL: outside. */
static void rows_of(const fd_window *w, const float **rows, ptrdiff_t image, ptrdiff_t q0,
                    ptrdiff_t q1) {
    for (ptrdiff_t t0 = 0; t0 < w->taps[0]; t0++) {
        const ptrdiff_t p0 = q0 * w->step[0] + w->origin[0] + t0 * w->dilation[0];
        for (ptrdiff_t t1 = 0; t1 < w->taps[1]; t1++) {
            const ptrdiff_t p1 = q1 * w->step[1] + w->origin[1] + t1 * w->dilation[1];
            const int inside = p0 >= 0 && p0 < w->size[0] && p1 >= 0 && p1 < w->size[1];
            const ptrdiff_t row = (image * w->size[0] + p0) * w->size[1] + p1;
            *rows++ = inside ? w->x + row * w->size[2] * w->pitch : NULL;
        }
    }
}

static ptrdiff_t taps_of(const fd_window *w) { return w->taps[0] * w->taps[1] * w->taps[2]; }

/* ---- forward, and the gradient for the input ---- */

typedef struct {
    const fd_table *k;
    const fd_depthwise_args *a;
    ptrdiff_t begin, end; /* the chunk, in rows of output positions */
} map_work;

/* Bytes of the weights, tap by tap; the pointers to rows follow. */
static size_t weight_bytes(const fd_window *w) {
    const size_t bytes = (size_t)(taps_of(w) * w->channels) * sizeof(float);
    return (bytes + FD_CACHE_LINE - 1) / FD_CACHE_LINE * FD_CACHE_LINE;
}

static void map_task(const fd_region *region, int thread, void *context) {
    const map_work *m = context;
    const fd_depthwise_args *a = m->a;
    const fd_window *w = &a->window;
    char *room = region->workspace + (size_t)thread * region->stride;
    float *taps = (float *)room, *to = taps;
    const float **rows = (const float **)(room + weight_bytes(w));
    const ptrdiff_t n = m->end - m->begin,
                    end = m->begin + fd_cut(n, region->threads, thread + 1, 1);
    ptrdiff_t row = m->begin + fd_cut(n, region->threads, thread, 1);
    if (row >= end) return;
    for (ptrdiff_t t0 = 0; t0 < w->taps[0]; t0++)
        for (ptrdiff_t t1 = 0; t1 < w->taps[1]; t1++)
            for (ptrdiff_t t2 = 0; t2 < w->taps[2]; t2++) {
                const float *tap = a->w + t0 * a->w_t[0] + t1 * a->w_t[1] + t2 * a->w_t[2];
                for (ptrdiff_t c = 0; c < w->channels; c++) *to++ = tap[c * a->w_c];
            }
    fd_depthwise t = {.count = w->count[2],
                      .channels = w->channels,
                      .y_step = a->y_step[2],
                      .rows = rows,
                      .runs = w->taps[0] * w->taps[1],
                      .size = w->size[2],
                      .x_step = w->pitch,
                      .step = w->step[2],
                      .origin = w->origin[2],
                      .taps = w->taps[2],
                      .dilation = w->dilation[2],
                      .w = taps,
                      .w_step = w->channels,
                      .bias = a->bias,
                      .relu = a->relu};
    for (; row < end; row++) {
        const ptrdiff_t image = row / (w->count[0] * w->count[1]),
                        q0 = row / w->count[1] % w->count[0], q1 = row % w->count[1];
        rows_of(w, rows, image, q0, q1);
        t.y = a->y + image * a->y_image + q0 * a->y_step[0] + q1 * a->y_step[1];
        m->k->depthwise(&t);
    }
}

int fd_depthwise_map(const fd_depthwise_args *a) {
    const fd_window *w = &a->window;
    map_work m = {.k = fd_kernels(), .a = a};
    const ptrdiff_t all = a->images * w->count[0] * w->count[1];
    const double row = (double)(w->count[2] * w->channels) * (double)taps_of(w);
    const ptrdiff_t chunk = (ptrdiff_t)(FD_DEPTHWISE_CHUNK / row) + 1;
    for (m.begin = 0; m.begin < all; m.begin = m.end) {
        m.end = fd_min(all, m.begin + chunk);
        fd_region region;
        const size_t bytes = weight_bytes(w) + (size_t)(w->taps[0] * w->taps[1]) * sizeof(float *);
        int status = fd_begin(
            &region, (ptrdiff_t)(row * (double)(m.end - m.begin) / FD_DEPTHWISE_GRAIN) + 1, bytes);
        if (status != FD_OK) return status;
        fd_run(&region, map_task, &m, 1);
        fd_end(&region);
        if (m.end < all && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}

/* ---- the gradient for the weights: a chain for each strip of rows of an image; strips are added
   in order to the sums of a group of images, and groups in order to dw ---- */

typedef struct {
    const fd_table *k;
    const fd_window *window;
    ptrdiff_t images, a_group, groups, vectors;
    ptrdiff_t lines; /* rows of output positions in a strip */
    const float *dy;
    float *dw;
    int accumulate;
} weight_work;

static size_t sums_bytes(const weight_work *c) {
    return (size_t)c->groups * weight_bytes(c->window);
}

/* The sums of a group of images: taps x channels, in the workspace that all threads share. */
static float *sums_of(const weight_work *c, const fd_region *region, ptrdiff_t group) {
    return (float *)(region->workspace + (size_t)group * weight_bytes(c->window));
}

/* Vectors [begin, end) of channels of a group of images. */
static void sum_group(const weight_work *c, const float **rows, float *sums, ptrdiff_t group,
                      ptrdiff_t begin, ptrdiff_t end) {
    const fd_window *w = c->window;
    const ptrdiff_t runs = w->taps[0] * w->taps[1], channels = w->channels, lanes = c->k->lanes;
    fd_depthwise_weight t = {.count = w->count[2],
                             .channels = channels,
                             .begin = begin * lanes,
                             .end = fd_min(channels, end * lanes),
                             .dy_line = w->count[2] * channels,
                             .dy_step = channels,
                             .rows = rows,
                             .runs = runs,
                             .size = w->size[2],
                             .x_step = w->pitch,
                             .step = w->step[2],
                             .origin = w->origin[2],
                             .taps = w->taps[2],
                             .dilation = w->dilation[2],
                             .sums = sums,
                             .sums_step = channels};
    for (ptrdiff_t tap = 0; tap < taps_of(w); tap++)
        memset(sums + tap * channels + t.begin, 0, (size_t)(t.end - t.begin) * sizeof(float));
    const ptrdiff_t last = fd_min(c->images, (group + 1) * c->a_group);
    for (ptrdiff_t image = group * c->a_group; image < last; image++)
        for (ptrdiff_t q0 = 0; q0 < w->count[0]; q0++)
            for (ptrdiff_t q1 = 0; q1 < w->count[1]; q1 += c->lines) {
                t.lines = fd_min(c->lines, w->count[1] - q1);
                for (ptrdiff_t line = 0; line < t.lines; line++)
                    rows_of(w, rows + line * runs, image, q0, q1 + line);
                const ptrdiff_t row = (image * w->count[0] + q0) * w->count[1] + q1;
                t.dy = c->dy + row * t.dy_line;
                c->k->depthwise_weight(&t);
            }
}

static void weight_task(const fd_region *region, int thread, void *context) {
    const weight_work *c = context;
    const float **rows = /* behind the sums, which take the place of thread 0 */
        (const float **)(region->workspace + (size_t)thread * region->stride + sums_bytes(c));
    ptrdiff_t at = fd_cut(c->groups * c->vectors, region->threads, thread, 1);
    const ptrdiff_t end = fd_cut(c->groups * c->vectors, region->threads, thread + 1, 1);
    while (at < end) {
        const ptrdiff_t group = at / c->vectors, first = at % c->vectors,
                        last = fd_min(c->vectors, first + end - at);
        sum_group(c, rows, sums_of(c, region, group), group, first, last);
        at += last - first;
    }
}

/* Adds the groups, and stores dw as channels x taps. */
static void store_task(const fd_region *region, int thread, void *context) {
    const weight_work *c = context;
    const ptrdiff_t channels = c->window->channels, taps = taps_of(c->window),
                    end = fd_cut(channels, region->threads, thread + 1, c->k->lanes);
    for (ptrdiff_t i = fd_cut(channels, region->threads, thread, c->k->lanes); i < end; i++)
        for (ptrdiff_t tap = 0; tap < taps; tap++) {
            float sum = sums_of(c, region, 0)[tap * channels + i], *to = c->dw + i * taps + tap;
            for (ptrdiff_t group = 1; group < c->groups; group++)
                sum += sums_of(c, region, group)[tap * channels + i];
            *to = c->accumulate ? *to + sum : sum;
        }
}

int fd_depthwise_dw(const fd_window *w, const fd_conv_dw_args *a) {
    weight_work c = {.k = fd_kernels(),
                     .window = w,
                     .images = a->shape.images,
                     .dy = a->dy,
                     .dw = a->dw,
                     .accumulate = a->accumulate};
    c.a_group = fd_max(FD_DEPTHWISE_IMAGES, fd_ceil_div(c.images, FD_DEPTHWISE_GROUPS));
    c.groups = fd_ceil_div(c.images, c.a_group);
    c.vectors = fd_ceil_div(w->channels, c.k->lanes);
    c.lines = fd_max(1, fd_min(w->count[1], FD_WEIGHT_PIXELS / w->count[2]));
    const double work = (double)(c.images * w->count[0] * w->count[1]) *
                        (double)(w->count[2] * w->channels) * (double)taps_of(w);
    const size_t pointers = (size_t)(c.lines * w->taps[0] * w->taps[1]) * sizeof(float *);
    fd_region region;
    int status = fd_begin(&region, (ptrdiff_t)(work / FD_DEPTHWISE_GRAIN) + 1,
                          sums_bytes(&c) + pointers);
    if (status != FD_OK) return status;
    fd_run(&region, weight_task, &c, 1);
    fd_run(&region, store_task, &c, 1);
    fd_end(&region);
    return FD_OK;
}
