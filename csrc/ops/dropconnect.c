/* DropConnect (Wan et al., 2013) with one mask for each sample.

   The mask (samples, outputs, inputs) is never stored. A few rows of weights stay in the first
   caches while all samples are processed, and the keep bits of a sample and these rows are made
   when they are needed. (DropConnect with one mask for the batch is a packer of the matrix
   product.) */
#include "fastdrop.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

enum { OUTS = 16 }; /* rows of weights at a time: their bits fill the vectors of Philox */

typedef struct {
    const void *args; /* of the call */
    const fd_table *k;
    const fd_drop *drop;
    ptrdiff_t units;      /* of the mask, for each output: inputs, and the bias if it is masked */
    ptrdiff_t groups;     /* that hold these units */
    ptrdiff_t begin, end; /* the chunk, in samples or outputs */
} connect_work;

/* The keep bits of rows [o0, o0 + outs) of the weights in a sample, w->groups groups each. */
static void make_bits(const connect_work *w, uint32_t *bits, ptrdiff_t sample, ptrdiff_t o0,
                      ptrdiff_t outs) {
    const fd_drop *d = w->drop;
    if (d->q == 0 || d->q >= FD_KEEP_ALL) {
        memset(bits, d->q ? 0xFF : 0, (size_t)(outs * w->groups) * 16);
        return;
    }
    const fd_stream inside = fd_in_sample(d->stream, sample);
    w->k->keep_bits(bits, &inside, o0, outs, 0, w->groups, d->q);
}

static int keeps(const uint32_t *bits, ptrdiff_t unit) { return bits[unit / 32] >> unit % 32 & 1; }

/* This thread's part of the chunk. */
static void part(const connect_work *w, const fd_region *region, int thread, ptrdiff_t *from,
                 ptrdiff_t *to, ptrdiff_t unit) {
    *from = w->begin + fd_cut(w->end - w->begin, region->threads, thread, unit);
    *to = w->begin + fd_cut(w->end - w->begin, region->threads, thread + 1, unit);
}

/* All outputs of some samples; if there is one sample, some of its outputs. */
static void forward_task(const fd_region *region, int thread, void *context) {
    const connect_work *w = context;
    const fd_dropconnect_args *c = w->args;
    uint32_t *bits = (uint32_t *)(void *)(region->workspace + (size_t)thread * region->stride);
    ptrdiff_t n0 = 0, n1 = 1, o0 = 0, o1 = c->outs;
    if (c->rows == 1) part(w, region, thread, &o0, &o1, OUTS);
    else part(w, region, thread, &n0, &n1, 1);
    for (ptrdiff_t o = o0; o < o1; o += OUTS) {
        const ptrdiff_t outs = fd_min(OUTS, o1 - o);
        for (ptrdiff_t n = n0; n < n1; n++) {
            float *y = c->y + n * c->outs + o;
            make_bits(w, bits, n, o, outs);
            w->k->masked_dots(y, c->x + n * c->ins, c->w + o * c->ins, c->ins, bits,
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
    const fd_dropconnect_dx_args *c = w->args;
    uint32_t *bits = (uint32_t *)(void *)(region->workspace + (size_t)thread * region->stride);
    ptrdiff_t n0, n1;
    part(w, region, thread, &n0, &n1, 1);
    if (n0 < n1) memset(c->dx + n0 * c->ins, 0, (size_t)((n1 - n0) * c->ins) * sizeof(float));
    for (ptrdiff_t o = 0; o < c->outs; o += OUTS)
        for (ptrdiff_t n = n0; n < n1; n++) {
            const ptrdiff_t outs = fd_min(OUTS, c->outs - o);
            float a[OUTS];
            scaled(a, c->dy + n * c->outs + o, outs, c->drop.scale);
            make_bits(w, bits, n, o, outs);
            w->k->masked_rows(c->dx + n * c->ins, a, c->w + o * c->ins, c->ins, bits,
                              w->groups * FD_GROUP_WORDS, outs, c->ins);
        }
}

static void dw_task(const fd_region *region, int thread, void *context) {
    const connect_work *w = context;
    const fd_dropconnect_dw_args *c = w->args;
    uint32_t *bits = (uint32_t *)(void *)(region->workspace + (size_t)thread * region->stride);
    ptrdiff_t o0, o1;
    part(w, region, thread, &o0, &o1, OUTS);
    for (ptrdiff_t o = o0; o < o1; o += OUTS) {
        const ptrdiff_t outs = fd_min(OUTS, o1 - o);
        memset(c->dw + o * c->ins, 0, (size_t)(outs * c->ins) * sizeof(float));
        if (c->db) memset(c->db + o, 0, (size_t)outs * sizeof(float));
        for (ptrdiff_t n = 0; n < c->rows; n++) {
            float a[OUTS];
            const float *dy = c->dy + n * c->outs + o;
            scaled(a, dy, outs, c->drop.scale);
            make_bits(w, bits, n, o, outs);
            w->k->masked_outer(c->dw + o * c->ins, c->ins, a, c->x + n * c->ins, bits,
                               w->groups * FD_GROUP_WORDS, outs, c->ins);
            for (ptrdiff_t i = 0; c->db && i < outs; i++) {
                if (!c->mask_bias) c->db[o + i] += dy[i];
                else if (keeps(bits + i * w->groups * FD_GROUP_WORDS, c->ins)) c->db[o + i] += a[i];
            }
        }
    }
}

/* Runs the task on `count` samples or outputs in chunks; `each` of them has so many multiply-adds.
 */
static int run(connect_work *w, fd_task task, ptrdiff_t count, ptrdiff_t unit, ptrdiff_t each) {
    w->k = fd_kernels();
    w->groups = fd_ceil_div(w->units, FD_GROUP);
    const ptrdiff_t chunk = fd_round_up(fd_max(unit, FD_CONNECT_CHUNK / fd_max(1, each)), unit);
    for (w->begin = 0; w->begin < count; w->begin = w->end) {
        w->end = fd_min(count, w->begin + chunk);
        fd_region region;
        const ptrdiff_t wanted = fd_min(fd_worth((w->end - w->begin) * each, FD_CONNECT_GRAIN),
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

int fd_dropconnect(const fd_dropconnect_args *args) {
    connect_work w = {
        .args = args, .drop = &args->drop, .units = args->ins + (args->mask_bias != 0)};
    if (args->rows == 1) return run(&w, forward_task, args->outs, OUTS, args->ins);
    return run(&w, forward_task, args->rows, 1, args->outs * args->ins);
}

int fd_dropconnect_dx(const fd_dropconnect_dx_args *args) {
    connect_work w = {.args = args, .drop = &args->drop, .units = args->ins};
    return run(&w, dx_task, args->rows, 1, args->outs * args->ins);
}

int fd_dropconnect_dw(const fd_dropconnect_dw_args *args) {
    connect_work w = {
        .args = args, .drop = &args->drop, .units = args->ins + (args->mask_bias != 0)};
    return run(&w, dw_task, args->outs, OUTS, args->rows * args->ins);
}
