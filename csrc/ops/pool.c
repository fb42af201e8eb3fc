/* Pooling of maps: plain loops over the channels, which stand side by side. The kernels of an image
   are functions of the image alone. */
#include "fastdrop.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

#include <math.h>

typedef struct pool_work {
    void (*image)(const struct pool_work *w, ptrdiff_t image);
    const fd_pool_shape *s;
    float *to; /* the result */
    const float *from, *factor;
    int32_t *at;
    const int32_t *read_at;
    ptrdiff_t begin, end; /* the chunk, in images */
} pool_work;

static ptrdiff_t size_of(const fd_pool_shape *s) { return s->size[0] * s->size[1] * s->size[2]; }
static ptrdiff_t out_of(const fd_pool_shape *s) { return s->out[0] * s->out[1] * s->out[2]; }

/* The taps [first, end) of output position q along an axis that are inside of the input. */
static ptrdiff_t taps(const fd_pool_shape *s, int axis, ptrdiff_t q, ptrdiff_t *first) {
    const ptrdiff_t start = q * s->stride[axis] - s->before[axis], dilation = s->dilation[axis];
    *first = start < 0 ? fd_ceil_div(-start, dilation) : 0;
    return fd_min(s->kernel[axis], fd_ceil_div(s->size[axis] - start, dilation));
}

/* A position of the result, and the taps of its window. */
typedef struct {
    ptrdiff_t q[3], first[3], end[3];
} pool_window;

static void window_at(const fd_pool_shape *s, pool_window *w, ptrdiff_t position) {
    w->q[0] = position / (s->out[1] * s->out[2]);
    w->q[1] = position / s->out[2] % s->out[1];
    w->q[2] = position % s->out[2];
    for (int i = 0; i < 3; i++) w->end[i] = taps(s, i, w->q[i], &w->first[i]);
}

static ptrdiff_t input_at(const fd_pool_shape *s, const pool_window *w, const ptrdiff_t tap[3]) {
    ptrdiff_t p[3];
    for (int i = 0; i < 3; i++)
        p[i] = w->q[i] * s->stride[i] - s->before[i] + tap[i] * s->dilation[i];
    return (p[0] * s->size[1] + p[1]) * s->size[2] + p[2];
}

#define FOR_EACH_TAP(w, t)                                                                         \
    for (t[0] = (w).first[0]; t[0] < (w).end[0]; t[0]++)                                           \
        for (t[1] = (w).first[1]; t[1] < (w).end[1]; t[1]++)                                       \
            for (t[2] = (w).first[2]; t[2] < (w).end[2]; t[2]++)

static void max_image(const pool_work *work, ptrdiff_t image) {
    const fd_pool_shape *s = work->s;
    const ptrdiff_t channels = s->channels, positions = out_of(s);
    const float *x = work->from + image * size_of(s) * channels;
    for (ptrdiff_t q = 0; q < positions; q++) {
        float *y = work->to + (image * positions + q) * channels;
        int32_t *at = work->at + (image * positions + q) * channels;
        pool_window w;
        window_at(s, &w, q);
        ptrdiff_t t[3];
        int first = 1;
        FOR_EACH_TAP(w, t) {
            const ptrdiff_t p = input_at(s, &w, t);
            const float *row = x + p * channels;
            const int32_t here = (int32_t)p;
            if (first) {
                for (ptrdiff_t c = 0; c < channels; c++) y[c] = row[c];
                for (ptrdiff_t c = 0; c < channels; c++) at[c] = here;
            } else {
                for (ptrdiff_t c = 0; c < channels; c++) {
                    /* not (row <= y): also where row is NaN; but a NaN in y stays */
                    const int larger = !(row[c] <= y[c]) & (y[c] == y[c]);
                    y[c] = larger ? row[c] : y[c];
                    at[c] = larger ? here : at[c];
                }
            }
            first = 0;
        }
        if (first) { /* all taps are outside of the input */
            for (ptrdiff_t c = 0; c < channels; c++) y[c] = -INFINITY;
            for (ptrdiff_t c = 0; c < channels; c++) at[c] = -1;
        }
    }
}

static void max_image_backward(const pool_work *work, ptrdiff_t image) {
    const fd_pool_shape *s = work->s;
    const ptrdiff_t channels = s->channels, positions = out_of(s), size = size_of(s) * channels;
    float *dx = work->to + image * size;
    memset(dx, 0, (size_t)size * sizeof(float));
    for (ptrdiff_t q = 0; q < positions; q++) {
        const ptrdiff_t row = (image * positions + q) * channels;
        for (ptrdiff_t c = 0; c < channels; c++)
            if (work->read_at[row + c] >= 0)
                dx[work->read_at[row + c] * channels + c] += work->from[row + c];
    }
}

static void avg_image(const pool_work *work, ptrdiff_t image) {
    const fd_pool_shape *s = work->s;
    const ptrdiff_t channels = s->channels, positions = out_of(s);
    const float *x = work->from + image * size_of(s) * channels;
    for (ptrdiff_t q = 0; q < positions; q++) {
        float *y = work->to + (image * positions + q) * channels;
        const float factor = work->factor[q];
        pool_window w;
        window_at(s, &w, q);
        ptrdiff_t t[3];
        for (ptrdiff_t c = 0; c < channels; c++) y[c] = 0.0f;
        FOR_EACH_TAP(w, t) {
            const float *row = x + input_at(s, &w, t) * channels;
            for (ptrdiff_t c = 0; c < channels; c++) y[c] += row[c];
        }
        for (ptrdiff_t c = 0; c < channels; c++) y[c] *= factor;
    }
}

static void avg_image_backward(const pool_work *work, ptrdiff_t image) {
    const fd_pool_shape *s = work->s;
    const ptrdiff_t channels = s->channels, positions = out_of(s), size = size_of(s) * channels;
    float *dx = work->to + image * size;
    memset(dx, 0, (size_t)size * sizeof(float));
    for (ptrdiff_t q = 0; q < positions; q++) {
        const float *dy = work->from + (image * positions + q) * channels;
        const float factor = work->factor[q];
        pool_window w;
        window_at(s, &w, q);
        ptrdiff_t t[3];
        FOR_EACH_TAP(w, t) {
            float *row = dx + input_at(s, &w, t) * channels;
            for (ptrdiff_t c = 0; c < channels; c++) row[c] += dy[c] * factor;
        }
    }
}

static void pool_task(const fd_region *region, int thread, void *context) {
    const pool_work *w = context;
    const ptrdiff_t images = w->end - w->begin,
                    end = w->begin + fd_cut(images, region->threads, thread + 1, 1);
    for (ptrdiff_t i = w->begin + fd_cut(images, region->threads, thread, 1); i < end; i++)
        w->image(w, i);
}

static int run(pool_work *w) {
    const fd_pool_shape *s = w->s;
    const ptrdiff_t elements = fd_max(size_of(s),
                                      out_of(s) * s->kernel[0] * s->kernel[1] * s->kernel[2]) *
                               s->channels;
    if (s->images == 0 || s->channels == 0) return FD_OK;
    const ptrdiff_t chunk = fd_max(1, FD_CHUNK / fd_max(1, elements));
    for (w->begin = 0; w->begin < s->images; w->begin = w->end) {
        w->end = fd_min(s->images, w->begin + chunk);
        fd_region region;
        int status = fd_begin(&region, fd_worth((w->end - w->begin) * elements, FD_GRAIN), 0);
        if (status != FD_OK) return status;
        fd_run(&region, pool_task, w, 0);
        fd_end(&region);
        if (w->end < s->images && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}

int fd_max_pool(const fd_max_pool_args *a) {
    pool_work w = {.image = max_image, .s = &a->shape, .to = a->y, .from = a->x, .at = a->at};
    return run(&w);
}

int fd_max_pool_backward(const fd_max_pool_backward_args *a) {
    pool_work w = {
        .image = max_image_backward, .s = &a->shape, .to = a->dx, .from = a->dy, .read_at = a->at};
    return run(&w);
}

int fd_avg_pool(const fd_avg_pool_args *a) {
    pool_work w = {
        .image = avg_image, .s = &a->shape, .to = a->y, .from = a->x, .factor = a->factor};
    return run(&w);
}

int fd_avg_pool_backward(const fd_avg_pool_backward_args *a) {
    pool_work w = {.image = avg_image_backward,
                   .s = &a->shape,
                   .to = a->dx,
                   .from = a->dy,
                   .factor = a->factor};
    return run(&w);
}
