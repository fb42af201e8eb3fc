/* Floor 3: DropConnect with one mask a sample (Wan et al., 2013): the 3-d mask is never made. A few
   rows of weights stay in the first caches while the samples pass; the bits of (sample, these rows)
   are made when they meet. (One mask a pass is the product's packer.) */
#include "runtime/cpu.h"
#include "fastdrop.h"
#include "runtime/parallel.h"

enum {
    OUTS = 16,       /* rows of weights at a time: their bits fill Philox' vectors */
    GRAIN = 1 << 17, /* weights x samples worth a thread: about 5 us */
    CHUNK = 1 << 27  /* weights x samples between two looks for an interrupt */
};

typedef struct {
    const fd_connection *c;
    const fd_table *k;
    float *y, *db;                /* y, dx or dw */
    const float *x, *w;           /* x or dy; w or x */
    ptrdiff_t groups, begin, end; /* the chunk, in samples or outputs */
} connect_work;

/* The bits of a sample's rows [o0, o0 + outs) of weights, groups words each */
static void make_bits(const connect_work *w, uint32_t *bits, ptrdiff_t sample, ptrdiff_t o0,
                      ptrdiff_t outs) {
    const fd_drop *d = &w->c->drop;
    if (d->q == 0 || d->q >= FD_KEEP_ALL) {
        memset(bits, d->q ? 0xFF : 0, (size_t)(outs * w->groups) * 16);
        return;
    }
    const fd_stream inside = fd_in_sample(d->stream, sample);
    w->k->keep_bits(bits, &inside, o0, outs, 0, w->groups, d->q);
}

static int keeps(const uint32_t *bits, ptrdiff_t unit) { return bits[unit / 32] >> unit % 32 & 1; }

static void part(const connect_work *w, const fd_region *region, int thread, ptrdiff_t *from,
                 ptrdiff_t *to, ptrdiff_t unit) {
    *from = w->begin + fd_cut(w->end - w->begin, region->threads, thread, unit);
    *to = w->begin + fd_cut(w->end - w->begin, region->threads, thread + 1, unit);
}

/* y of some samples, all outputs; with one sample some outputs */
static void forward_task(const fd_region *region, int thread, void *context) {
    const connect_work *w = context;
    const fd_connection *c = w->c;
    uint32_t *bits = (uint32_t *)(void *)(region->workspace + (size_t)thread * region->stride);
    ptrdiff_t n0 = 0, n1 = 1, o0 = 0, o1 = c->outs;
    if (c->rows == 1) part(w, region, thread, &o0, &o1, OUTS);
    else part(w, region, thread, &n0, &n1, 1);
    for (ptrdiff_t o = o0; o < o1; o += OUTS) {
        const ptrdiff_t outs = fd_min(OUTS, o1 - o);
        for (ptrdiff_t n = n0; n < n1; n++) {
            float *y = w->y + n * c->outs + o;
            make_bits(w, bits, n, o, outs);
            w->k->masked_dots(y, w->x + n * c->ins, w->w + o * c->ins, c->ins, bits,
                              w->groups * FD_GROUP_WORDS, outs, c->ins);
            for (ptrdiff_t i = 0; i < outs; i++) {
                const float *b = c->bias ? c->bias + o + i : NULL;
                y[i] *= c->drop.scale;
                if (b && !c->mask_bias) y[i] += *b;
                else if (b && keeps(bits + i * w->groups * FD_GROUP_WORDS, c->ins))
                    y[i] += *b * c->drop.scale;
            }
        }
    }
}

static void scaled(float *a, const float *dy, ptrdiff_t n, float scale) {
    for (ptrdiff_t i = 0; i < n; i++) a[i] = dy[i] * scale;
}

static void dx_task(const fd_region *region, int thread, void *context) {
    const connect_work *w = context;
    const fd_connection *c = w->c;
    uint32_t *bits = (uint32_t *)(void *)(region->workspace + (size_t)thread * region->stride);
    ptrdiff_t n0, n1;
    part(w, region, thread, &n0, &n1, 1);
    if (n0 < n1) memset(w->y + n0 * c->ins, 0, (size_t)((n1 - n0) * c->ins) * sizeof(float));
    for (ptrdiff_t o = 0; o < c->outs; o += OUTS)
        for (ptrdiff_t n = n0; n < n1; n++) {
            const ptrdiff_t outs = fd_min(OUTS, c->outs - o);
            float a[OUTS];
            scaled(a, w->x + n * c->outs + o, outs, c->drop.scale);
            make_bits(w, bits, n, o, outs);
            w->k->masked_rows(w->y + n * c->ins, a, w->w + o * c->ins, c->ins, bits,
                              w->groups * FD_GROUP_WORDS, outs, c->ins);
        }
}

static void dw_task(const fd_region *region, int thread, void *context) {
    const connect_work *w = context;
    const fd_connection *c = w->c;
    uint32_t *bits = (uint32_t *)(void *)(region->workspace + (size_t)thread * region->stride);
    ptrdiff_t o0, o1;
    part(w, region, thread, &o0, &o1, OUTS);
    for (ptrdiff_t o = o0; o < o1; o += OUTS) {
        const ptrdiff_t outs = fd_min(OUTS, o1 - o);
        memset(w->y + o * c->ins, 0, (size_t)(outs * c->ins) * sizeof(float));
        if (w->db) memset(w->db + o, 0, (size_t)outs * sizeof(float));
        for (ptrdiff_t n = 0; n < c->rows; n++) {
            float a[OUTS];
            const float *dy = w->x + n * c->outs + o;
            scaled(a, dy, outs, c->drop.scale);
            make_bits(w, bits, n, o, outs);
            w->k->masked_outer(w->y + o * c->ins, c->ins, a, w->w + n * c->ins, bits,
                               w->groups * FD_GROUP_WORDS, outs, c->ins);
            for (ptrdiff_t i = 0; w->db && i < outs; i++) {
                if (!c->mask_bias) w->db[o + i] += dy[i];
                else if (keeps(bits + i * w->groups * FD_GROUP_WORDS, c->ins)) w->db[o + i] += a[i];
            }
        }
    }
}

/* all of `count` samples or outputs, in chunks; each of `each` multiply-adds */
static int run(connect_work *w, fd_task task, ptrdiff_t count, ptrdiff_t unit, ptrdiff_t each) {
    w->k = fd_kernels();
    w->groups = fd_ceil_div(w->c->ins + (w->c->mask_bias != 0), FD_GROUP);
    const ptrdiff_t chunk = fd_round_up(fd_max(unit, CHUNK / fd_max(1, each)), unit);
    for (w->begin = 0; w->begin < count; w->begin = w->end) {
        w->end = fd_min(count, w->begin + chunk);
        fd_region region;
        const ptrdiff_t wanted = fd_min(fd_worth((w->end - w->begin) * each, GRAIN),
                                        fd_ceil_div(w->end - w->begin, unit));
        int status = fd_begin(&region, wanted,
                              (size_t)(OUTS * w->groups * FD_GROUP_WORDS + FD_BITS_PAD) *
                                  sizeof(uint32_t));
        if (status != FD_OK) return status;
        fd_run(&region, task, w, 1);
        fd_end(&region);
        if (w->end < count && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}

int fd_dropconnect(float *y, const float *x, const float *weight, const fd_connection *c) {
    connect_work w = {.c = c, .y = y, .x = x, .w = weight};
    if (c->rows == 1) return run(&w, forward_task, c->outs, OUTS, c->ins);
    return run(&w, forward_task, c->rows, 1, c->outs * c->ins);
}

int fd_dropconnect_dx(float *dx, const float *dy, const float *weight, const fd_connection *c) {
    connect_work w = {.c = c, .y = dx, .x = dy, .w = weight};
    return run(&w, dx_task, c->rows, 1, c->outs * c->ins);
}

int fd_dropconnect_dw(float *dw, float *db, const float *dy, const float *x,
                      const fd_connection *c) {
    connect_work w = {.c = c, .y = dw, .db = db, .x = dy, .w = x};
    return run(&w, dw_task, c->outs, OUTS, c->rows * c->ins);
}
