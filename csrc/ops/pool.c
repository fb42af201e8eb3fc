/* Pooling of maps: visits the windows; kernels/pool.inc computes them. What is computed for an
   image is a function of the image alone. */
#include "fastdrop.h"
#include "kernels/table.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

#include <math.h>

/* A window: `taps` positions here + tap[t] of the image, and its place in the result. */
typedef struct {
    int32_t here;
    const int32_t *tap;
    ptrdiff_t taps, place;
} pool_window;

typedef struct pool_work {
    void (*visit)(const struct pool_work *w, ptrdiff_t image, const pool_window *window);
    const fd_table *k;
    const fd_pool_shape *s;
    float *to; /* the result */
    int adds;  /* windows add to it */
    const float *from, *factor;
    int32_t *at;
    const int32_t *read_at;
    ptrdiff_t begin, end; /* the chunk, in images */
} pool_work;

static ptrdiff_t size_of(const fd_pool_shape *s) { return s->size[0] * s->size[1] * s->size[2]; }
static ptrdiff_t out_of(const fd_pool_shape *s) { return s->out[0] * s->out[1] * s->out[2]; }
static ptrdiff_t taps_of(const fd_pool_shape *s) {
    return s->kernel[0] * s->kernel[1] * s->kernel[2];
}

static void visit_max(const pool_work *w, ptrdiff_t image, const pool_window *window) {
    const ptrdiff_t channels = w->s->channels,
                    row = (image * out_of(w->s) + window->place) * channels;
    if (window->taps) {
        w->k->pool_max(w->to + row, w->at + row, w->from + image * size_of(w->s) * channels,
                       window->here, window->tap, window->taps, channels);
        return;
    }
    for (ptrdiff_t c = row; c < row + channels; c++) w->to[c] = -INFINITY, w->at[c] = -1;
}

static void visit_max_backward(const pool_work *w, ptrdiff_t image, const pool_window *window) {
    const ptrdiff_t channels = w->s->channels,
                    row = (image * out_of(w->s) + window->place) * channels;
    w->k->pool_max_backward(w->to + image * size_of(w->s) * channels, w->from + row,
                            w->read_at + row, window->here, window->tap, window->taps, channels);
}

static void visit_sum(const pool_work *w, ptrdiff_t image, const pool_window *window) {
    const ptrdiff_t channels = w->s->channels;
    w->k->pool_sum(w->to + (image * out_of(w->s) + window->place) * channels,
                   w->from + image * size_of(w->s) * channels, w->factor[window->place],
                   window->here, window->tap, window->taps, channels);
}

static void visit_sum_backward(const pool_work *w, ptrdiff_t image, const pool_window *window) {
    const ptrdiff_t channels = w->s->channels;
    w->k->pool_sum_backward(w->to + image * size_of(w->s) * channels,
                            w->from + (image * out_of(w->s) + window->place) * channels,
                            w->factor[window->place], window->here, window->tap, window->taps,
                            channels);
}

/* The taps [*first, *end) of output position q along an axis that are inside of the input. */
static void taps_inside(const fd_pool_shape *s, int axis, ptrdiff_t q, ptrdiff_t *first,
                        ptrdiff_t *end) {
    const ptrdiff_t start = q * s->stride[axis] - s->before[axis], dilation = s->dilation[axis];
    *first = start < 0 ? fd_ceil_div(-start, dilation) : 0;
    *end = fd_min(s->kernel[axis], fd_ceil_div(s->size[axis] - start, dilation));
}

/* The positions of the taps [first, end), from that of tap 0. Returns their number. */
static ptrdiff_t list_taps(const fd_pool_shape *s, int32_t *tap, const ptrdiff_t first[3],
                           const ptrdiff_t end[3]) {
    ptrdiff_t n = 0;
    for (ptrdiff_t i = first[0]; i < end[0]; i++)
        for (ptrdiff_t j = first[1]; j < end[1]; j++)
            for (ptrdiff_t k = first[2]; k < end[2]; k++)
                tap[n++] = (int32_t)((i * s->dilation[0] * s->size[1] + j * s->dilation[1]) *
                                         s->size[2] +
                                     k * s->dilation[2]);
    return n;
}

/* some: room for the taps of a window at the edge; all: those of a whole window. */
static void visit_image(const pool_work *w, ptrdiff_t image, const int32_t *all, int32_t *some) {
    const fd_pool_shape *s = w->s;
    const ptrdiff_t size = size_of(s) * s->channels;
    if (w->adds) memset(w->to + image * size, 0, (size_t)size * sizeof(float));
    pool_window window = {.place = 0};
    ptrdiff_t q[3], first[3], end[3];
    for (q[0] = 0; q[0] < s->out[0]; q[0]++) {
        taps_inside(s, 0, q[0], &first[0], &end[0]);
        for (q[1] = 0; q[1] < s->out[1]; q[1]++) {
            taps_inside(s, 1, q[1], &first[1], &end[1]);
            const int whole = end[0] - first[0] == s->kernel[0] &&
                              end[1] - first[1] == s->kernel[1];
            const ptrdiff_t row = (q[0] * s->stride[0] - s->before[0]) * s->size[1] +
                                  q[1] * s->stride[1] - s->before[1];
            for (q[2] = 0; q[2] < s->out[2]; q[2]++, window.place++) {
                const ptrdiff_t start = q[2] * s->stride[2] - s->before[2],
                                last = start + (s->kernel[2] - 1) * s->dilation[2];
                window.here = (int32_t)(row * s->size[2] + start);
                if (whole && start >= 0 && last < s->size[2]) {
                    window.tap = all, window.taps = taps_of(s);
                } else {
                    taps_inside(s, 2, q[2], &first[2], &end[2]);
                    window.tap = some, window.taps = list_taps(s, some, first, end);
                }
                w->visit(w, image, &window);
            }
        }
    }
}

static void pool_task(const fd_region *region, int thread, void *context) {
    const pool_work *w = context;
    const ptrdiff_t images = w->end - w->begin,
                    end = w->begin + fd_cut(images, region->threads, thread + 1, 1);
    int32_t *all = (int32_t *)(void *)(region->workspace + (size_t)thread * region->stride);
    const ptrdiff_t none[3] = {0, 0, 0};
    list_taps(w->s, all, none, w->s->kernel);
    for (ptrdiff_t i = w->begin + fd_cut(images, region->threads, thread, 1); i < end; i++)
        visit_image(w, i, all, all + taps_of(w->s));
}

static int run(pool_work *w) {
    const fd_pool_shape *s = w->s;
    const ptrdiff_t elements = fd_max(size_of(s), out_of(s) * taps_of(s)) * s->channels;
    w->k = fd_kernels();
    if (s->images == 0 || s->channels == 0) return FD_OK;
    const ptrdiff_t chunk = fd_max(1, FD_CHUNK / fd_max(1, elements));
    for (w->begin = 0; w->begin < s->images; w->begin = w->end) {
        w->end = fd_min(s->images, w->begin + chunk);
        fd_region region;
        int status = fd_begin(&region, fd_worth((w->end - w->begin) * elements, FD_GRAIN),
                              (size_t)(2 * taps_of(s)) * sizeof(int32_t));
        if (status != FD_OK) return status;
        fd_run(&region, pool_task, w, 0);
        fd_end(&region);
        if (w->end < s->images && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}

int fd_max_pool(const fd_max_pool_args *a) {
    pool_work w = {.visit = visit_max, .s = &a->shape, .to = a->y, .from = a->x, .at = a->at};
    return run(&w);
}

int fd_max_pool_backward(const fd_max_pool_backward_args *a) {
    pool_work w = {.visit = visit_max_backward,
                   .s = &a->shape,
                   .to = a->dx,
                   .adds = 1,
                   .from = a->dy,
                   .read_at = a->at};
    return run(&w);
}

int fd_avg_pool(const fd_avg_pool_args *a) {
    pool_work w = {
        .visit = visit_sum, .s = &a->shape, .to = a->y, .from = a->x, .factor = a->factor};
    return run(&w);
}

int fd_avg_pool_backward(const fd_avg_pool_backward_args *a) {
    pool_work w = {.visit = visit_sum_backward,
                   .s = &a->shape,
                   .to = a->dx,
                   .adds = 1,
                   .from = a->dy,
                   .factor = a->factor};
    return run(&w);
}
