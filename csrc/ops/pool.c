/* Pooling of maps, a row of positions at a time. A gradient is made the other way round: position p
   of the input adds up what the windows over it give, so that each element is written once. */
#include "fastdrop.h"
#include "kernels/table.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

typedef struct {
    void (*kernel)(const fd_pool_row *t);
    const fd_pool_shape *s;
    int backward;
    const ptrdiff_t *to, *of; /* positions of what is made, and of what is read */
    float *y;
    const float *x, *factor;
    uint32_t *at;
    const uint32_t *ats;
    int uncached;
    ptrdiff_t most[2];    /* rows that a row reads along axes 0 and 1 */
    ptrdiff_t begin, end; /* the chunk, in rows of y */
} pool_work;

/* The positions that window q covers along an axis, before they are cut to the input: [first,
   last] in steps of the dilation. Kernel 0: adaptive. */
static ptrdiff_t first_of(const fd_pool_shape *s, int axis, ptrdiff_t q) {
    if (s->kernel[axis] == 0) return q * s->size[axis] / s->out[axis];
    return q * s->stride[axis] - s->before[axis];
}

static ptrdiff_t last_of(const fd_pool_shape *s, int axis, ptrdiff_t q) {
    if (s->kernel[axis] == 0) return fd_ceil_div((q + 1) * s->size[axis], s->out[axis]) - 1;
    return first_of(s, axis, q) + (s->kernel[axis] - 1) * s->dilation[axis];
}

static ptrdiff_t step_of(const pool_work *w, int axis) {
    return w->backward || w->s->kernel[axis] == 0 ? 1 : w->s->dilation[axis];
}

/* What each position of y reads along an axis: from[q] and taps[q]. */
static void table(const pool_work *w, int axis, int32_t *from, int32_t *taps) {
    const fd_pool_shape *s = w->s;
    const ptrdiff_t n = w->to[axis], of = w->of[axis], step = step_of(w, axis);
    ptrdiff_t low = 0, high = 0; /* the windows over position p are [low, high) */
    for (ptrdiff_t p = 0; p < n; p++) {
        if (w->backward) {
            while (low < of && last_of(s, axis, low) < p) low++;
            while (high < of && first_of(s, axis, high) <= p) high++;
            from[p] = (int32_t)low;
            taps[p] = (int32_t)fd_max(0, high - low);
            continue;
        }
        ptrdiff_t first = first_of(s, axis, p);
        const ptrdiff_t last = fd_min(last_of(s, axis, p), of - 1);
        if (first < 0) first += fd_ceil_div(-first, step) * step;
        from[p] = (int32_t)first;
        taps[p] = (int32_t)(last < first ? 0 : (last - first) / step + 1);
    }
}

/* The most that a table's taps can be. */
static ptrdiff_t most_taps(const pool_work *w, int axis) {
    const fd_pool_shape *s = w->s;
    const ptrdiff_t n = w->to[axis], of = w->of[axis];
    if (s->kernel[axis] == 0) return fd_min(of, of / n + 2);
    const ptrdiff_t reach = (s->kernel[axis] - 1) * s->dilation[axis];
    return fd_min(of, w->backward ? reach / s->stride[axis] + 1 : s->kernel[axis]);
}

typedef struct {
    const float **rows, **factors;
    const uint32_t **ats;
    int32_t *numbers, *from[3], *taps[3];
} pool_room;

static size_t carve(pool_room *to, char *from, const pool_work *w) {
    const size_t rows = (size_t)(w->most[0] * w->most[1]);
    size_t used = 3 * rows * sizeof(float *), positions = rows;
    for (int i = 0; i < 3; i++) positions += 2 * (size_t)w->to[i];
    if (to) {
        to->rows = (const float **)from;
        to->factors = to->rows + rows;
        to->ats = (const uint32_t **)(to->factors + rows);
        to->numbers = (int32_t *)(from + used);
        int32_t *at = to->numbers + rows;
        for (int i = 0; i < 3; at += 2 * w->to[i], i++)
            to->from[i] = at, to->taps[i] = at + w->to[i];
    }
    return used + positions * sizeof(int32_t);
}

static void pool_task(const fd_region *region, int thread, void *context) {
    const pool_work *w = context;
    const ptrdiff_t *to = w->to, *of = w->of, channels = w->s->channels, all = w->end - w->begin,
                    end = w->begin + fd_cut(all, region->threads, thread + 1, 1);
    ptrdiff_t row = w->begin + fd_cut(all, region->threads, thread, 1);
    if (row >= end) return;
    pool_room room;
    carve(&room, region->workspace + (size_t)thread * region->stride, w);
    for (int i = 0; i < 3; i++) table(w, i, room.from[i], room.taps[i]);
    fd_pool_row t = {.count = to[2],
                     .channels = channels,
                     .rows = room.rows,
                     .step = step_of(w, 2),
                     .from = room.from[2],
                     .taps = room.taps[2],
                     .numbers = room.numbers,
                     .ats = room.ats,
                     .row_factors = room.factors,
                     .uncached = w->uncached};
    for (; row < end; row++) {
        const ptrdiff_t image = row / (to[0] * to[1]), p0 = row / to[1] % to[0], p1 = row % to[1];
        t.y = w->y + row * to[2] * channels;
        t.at = w->at ? w->at + row * to[2] * channels : NULL;
        t.number = (int32_t)((p0 * to[1] + p1) * to[2]);
        t.factor = w->factor ? w->factor + t.number : NULL;
        t.runs = 0;
        for (ptrdiff_t i = 0; i < room.taps[0][p0]; i++)
            for (ptrdiff_t j = 0; j < room.taps[1][p1]; j++) {
                const ptrdiff_t q0 = room.from[0][p0] + i * step_of(w, 0),
                                q1 = room.from[1][p1] + j * step_of(w, 1),
                                number = (q0 * of[1] + q1) * of[2],
                                first = (image * of[0] * of[1] * of[2] + number) * channels;
                room.rows[t.runs] = w->x + first;
                room.ats[t.runs] = w->ats ? w->ats + first : NULL;
                room.factors[t.runs] = w->factor ? w->factor + number : NULL;
                room.numbers[t.runs++] = (int32_t)number;
            }
        w->kernel(&t);
    }
    if (w->uncached) fd_kernels()->uncached_end();
}

static int run(pool_work *w) {
    const fd_pool_shape *s = w->s;
    if (s->images == 0 || s->channels == 0) return FD_OK;
    w->to = w->backward ? s->size : s->out, w->of = w->backward ? s->out : s->size;
    double elements = (double)(w->to[2] * s->channels);
    for (int i = 0; i < 3; i++) elements *= (double)fd_max(1, most_taps(w, i));
    for (int i = 0; i < 2; i++) w->most[i] = most_taps(w, i);
    const ptrdiff_t rows = s->images * w->to[0] * w->to[1], lanes = fd_kernels()->lanes,
                    chunk = (ptrdiff_t)(FD_CHUNK / elements) + 1;
    w->uncached = w->backward && s->channels % lanes == 0 &&
                  (uintptr_t)w->y % ((size_t)lanes * sizeof(float)) == 0 &&
                  fd_exceeds_caches(rows * w->to[2] * s->channels);
    for (w->begin = 0; w->begin < rows; w->begin = w->end) {
        w->end = fd_min(rows, w->begin + chunk);
        fd_region region;
        const double work = elements * (double)(w->end - w->begin);
        int status = fd_begin(&region, (ptrdiff_t)(work / FD_GRAIN) + 1, carve(NULL, NULL, w));
        if (status != FD_OK) return status;
        fd_run(&region, pool_task, w, 0);
        fd_end(&region);
        if (w->end < rows && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}

int fd_max_pool(const fd_max_pool_args *a) {
    pool_work w = {.kernel = fd_kernels()->max_pool,
                   .s = &a->shape,
                   .y = a->y,
                   .x = a->x,
                   .at = (uint32_t *)a->at};
    return run(&w);
}

int fd_max_pool_backward(const fd_max_pool_backward_args *a) {
    pool_work w = {.kernel = fd_kernels()->max_pool_backward,
                   .s = &a->shape,
                   .backward = 1,
                   .y = a->dx,
                   .x = a->dy,
                   .ats = (const uint32_t *)a->at};
    return run(&w);
}

int fd_avg_pool(const fd_avg_pool_args *a) {
    pool_work w = {.kernel = fd_kernels()->avg_pool,
                   .s = &a->shape,
                   .y = a->y,
                   .x = a->x,
                   .factor = a->factor};
    return run(&w);
}

int fd_avg_pool_backward(const fd_avg_pool_backward_args *a) {
    pool_work w = {.kernel = fd_kernels()->avg_pool_backward,
                   .s = &a->shape,
                   .backward = 1,
                   .y = a->dx,
                   .x = a->dy,
                   .factor = a->factor};
    return run(&w);
}
