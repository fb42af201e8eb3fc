/* Dropout with one decision for all elements along some axes (a noise shape): whole channels, time
   steps or samples. Adjacent axes of the same kind, shared or not, are merged, so the kinds of the
   merged axes alternate. The mask of a sample is made piece by piece; then a recursion over the
   axes applies it. The last axis is either a run of elements with one decision or a piece of
   ordinary dropout. */
#include "runtime/chunks.h"

enum {
    UNITS = 64 * FD_GROUP, /* units made at a time if the first axis is not shared */
    SPREAD = 1024,         /* elements for which one bit each is written at a time */
    SHORT = 64             /* for runs shorter than this one bit an element is written */
};

typedef struct {
    const fd_table *k;
    float *y;
    const float *x;
    const fd_drop *d;
    int axes;
    ptrdiff_t length[FD_MOST_AXES], elements[FD_MOST_AXES],
        units[FD_MOST_AXES]; /* elements and units of one step along the axis; units 0: shared */
    ptrdiff_t inner;         /* units of one step along the first axis, or of all if it is shared */
    ptrdiff_t at_once;       /* steps along the first axis whose units are made at a time */
    ptrdiff_t begin, end;    /* the chunk, in steps along the first axis counted over all rows */
    int uncached;
} shared_work;

/* A run of n elements with one decision. */
static void run(const shared_work *w, float *y, const float *x, ptrdiff_t n, int kept) {
    if (!kept) {
        w->k->fill(y, n, w->d->fill, w->uncached);
    } else if (w->d->shift == 0.0f) {
        w->k->scale(y, x, n, w->d->scale, w->uncached);
    } else {
        uint32_t all[SPREAD / 32 + FD_BITS_PAD];
        memset(all, 0xFF, sizeof(all));
        for (ptrdiff_t i = 0; i < n; i += SPREAD)
            w->k->apply_bits(y + i, x + i, all, 0, fd_min(SPREAD, n - i), w->d, 0);
    }
}

/* `runs` runs of n < SHORT elements: each decision is written n times as a bit, then applied as in
   ordinary dropout. (One run at a time, channels of three elements took as long as 26 copies.) */
static void short_runs(const shared_work *w, float *y, const float *x, ptrdiff_t runs, ptrdiff_t n,
                       const uint32_t *bits, ptrdiff_t bit) {
    const uint64_t run = (UINT64_C(1) << n) - 1;
    for (ptrdiff_t done = 0, some; done < runs; done += some) {
        uint64_t wide[SPREAD / 64 + 2], word = 0;
        ptrdiff_t full = 0, at = 0; /* complete words; bits in the next word */
        some = fd_min(SPREAD / n, runs - done);
        for (ptrdiff_t i = 0; i < some; i++) {
            const uint64_t kept = run & -(uint64_t)(fd_bits_at(bits, bit + done + i) & 1);
            word |= kept << at;
            at += n;
            if (at >= 64) {
                wide[full++] = word;
                at -= 64;
                word = at ? kept >> (n - at) : 0;
            }
        }
        wide[full] = word;
        wide[full + 1] = 0;
        w->k->apply_bits(y + done * n, x + done * n, (const uint32_t *)(const void *)wide, 0,
                         some * n, w->d, 0);
    }
}

/* `steps` steps along an axis from element `at` of the sample on; their first unit is bit `bit`. */
static void walk(const shared_work *w, float *y, const float *x, int axis, ptrdiff_t steps,
                 ptrdiff_t at, ptrdiff_t bit, const uint32_t *bits) {
    const int last = axis == w->axes - 1;
    if (axis == w->axes - 2 && !w->units[axis + 1] && w->length[axis + 1] < SHORT) {
        short_runs(w, y + at, x + at, steps, w->length[axis + 1], bits, bit);
    } else if (last && !w->units[axis]) {
        run(w, y + at, x + at, steps, fd_bits_at(bits, bit) & 1);
    } else if (last) {
        w->k->apply_bits(y + at, x + at, bits, bit, steps, w->d, w->uncached);
    } else {
        for (ptrdiff_t i = 0; i < steps; i++)
            walk(w, y, x, axis + 1, w->length[axis + 1], at + i * w->elements[axis],
                 bit + i * w->units[axis], bits);
    }
}

static ptrdiff_t bits_words(ptrdiff_t units) {
    return (units / FD_GROUP + 2) * FD_GROUP_WORDS + FD_BITS_PAD;
}

static void shared_task(const fd_region *region, int thread, void *context) {
    const shared_work *w = context;
    uint32_t *bits = (uint32_t *)(void *)(region->workspace + (size_t)thread * region->stride);
    ptrdiff_t at = w->begin + fd_cut(w->end - w->begin, region->threads, thread, 1);
    const ptrdiff_t end = w->begin + fd_cut(w->end - w->begin, region->threads, thread + 1, 1);
    const ptrdiff_t sample = w->length[0] * w->elements[0];
    while (at < end) {
        const ptrdiff_t row = at / w->length[0], i = at % w->length[0];
        const ptrdiff_t steps = fd_min(fd_min(end - at, w->length[0] - i), w->at_once);
        const ptrdiff_t unit0 = i * w->units[0], units = w->units[0] ? steps * w->inner : w->inner;
        const ptrdiff_t group = unit0 / FD_GROUP,
                        groups = (unit0 + units - 1) / FD_GROUP - group + 1;
        w->k->keep_bits(bits, w->d->stream, row, 1, group, groups, w->d->q);
        walk(w, w->y + row * sample, w->x + row * sample, 0, steps, i * w->elements[0],
             unit0 - group * FD_GROUP, bits);
        at += steps;
    }
    if (w->uncached) w->k->uncached_end();
}

static int plain_dropout(const fd_dropout_shared_args *args, ptrdiff_t units) {
    const fd_dropout_args plain = {
        .y = args->y, .x = args->x, .rows = args->rows, .units = units, .drop = args->drop};
    return fd_dropout(&plain);
}

int fd_dropout_shared(const fd_dropout_shared_args *args) {
    const ptrdiff_t *length = args->length;
    const fd_drop *drop = &args->drop;
    ptrdiff_t units = 1;
    for (int i = 0; i < args->axes; i++) units *= length[i];
    if (!drop->stream || drop->q == 0 || drop->q >= FD_KEEP_ALL || args->rows == 0 || units == 0)
        return plain_dropout(args, units);
    shared_work w = {.k = fd_kernels(), .y = args->y, .x = args->x, .d = drop};
    int kinds[FD_MOST_AXES]; /* of each merged axis: whether it is shared */
    for (int i = 0; i < args->axes; i++) {
        const int shared = args->shared[i] != 0;
        if (length[i] == 1) continue;
        if (w.axes && kinds[w.axes - 1] == shared) w.length[w.axes - 1] *= length[i];
        else kinds[w.axes] = shared, w.length[w.axes++] = length[i];
    }
    if (w.axes == 0) kinds[0] = 0, w.length[0] = 1, w.axes = 1;
    if (w.axes == 1 && !kinds[0]) return plain_dropout(args, units);
    ptrdiff_t elements = 1, inner = 1; /* of one step along the axis */
    for (int i = w.axes - 1; i >= 0; i--) {
        w.elements[i] = elements;
        w.units[i] = kinds[i] ? 0 : inner;
        w.inner = inner;
        elements *= w.length[i];
        if (!kinds[i]) inner *= w.length[i];
    }
    w.at_once = w.units[0] ? fd_max(1, UNITS / w.inner) : w.length[0];
    w.uncached = args->y != args->x && fd_exceeds_caches(args->rows * units) &&
                 w.length[w.axes - 1] >= 256; /* shorter runs end inside a cache line too often */
    const ptrdiff_t most = w.units[0] ? fd_min(w.at_once, w.length[0]) * w.inner : w.inner;
    const ptrdiff_t total = args->rows * w.length[0], chunk = fd_max(1, FD_CHUNK / w.elements[0]);
    for (w.begin = 0; w.begin < total; w.begin = w.end) {
        w.end = fd_min(total, w.begin + chunk);
        fd_region region;
        const ptrdiff_t worth = fd_min(fd_worth((w.end - w.begin) * w.elements[0], FD_GRAIN),
                                       w.end - w.begin);
        int status = fd_begin(&region, worth, (size_t)bits_words(most) * sizeof(uint32_t));
        if (status != FD_OK) return status;
        fd_run(&region, shared_task, &w, 0);
        fd_end(&region);
        if (w.end < total && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}
