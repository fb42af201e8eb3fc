/* Thinned networks: layers that compute with the kept units only, when a whole Monte Carlo pass
   shares one mask.

   Each pass is one task. Its thread packs the kept weights and multiplies on its own, so passes do
   not wait for each other (with one parallel region a step, a busy neighbour on one of two cores
   made 50 passes take 180 ms instead of 18). */
#include "fastdrop.h"
#include "product/dense.h"
#include "product/panels.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

typedef struct {
    const fd_thin_layer_args *t;
    ptrdiff_t next, end;                      /* passes that no thread has taken yet */
    size_t pack_room, bias_room, panels_room; /* bytes, whole cache lines */
} thin_work;

/* The next pass that no thread has taken. Passes keep different numbers of units, so threads take
   them one by one. */
static ptrdiff_t take(ptrdiff_t *next) { return __atomic_fetch_add(next, 1, __ATOMIC_RELAXED); }

static size_t lines(size_t bytes) {
    return (bytes + FD_CACHE_LINE - 1) / FD_CACHE_LINE * FD_CACHE_LINE;
}

static fd_product product_of(const fd_thin_layer_args *t, ptrdiff_t pass) {
    fd_product p = {.m = t->samples,
                    .n = t->n[pass],
                    .k = t->k[pass],
                    .repeat = 1,
                    .tb = 1,
                    .act = t->act,
                    .alpha = t->alpha};
    p.c = t->y + t->y_at[pass];
    p.ldc = t->ldy ? t->ldy : p.n;
    p.a = t->x + t->x_at[pass];
    p.lda = p.k;
    return p;
}

static fd_pack_args pack_of(const fd_thin_layer_args *t, ptrdiff_t pass) {
    fd_pack_args p = {
        .w = t->w, .n = t->n[pass], .k = t->k[pass], .units = t->ins, .scale = t->scale};
    if (t->rows) p.rows = t->rows + t->rows_at[pass];
    if (t->bits) p.bits = t->bits + pass * t->words;
    return p;
}

static void layer_task(const fd_region *region, int thread, void *context) {
    thin_work *w = context;
    const fd_thin_layer_args *t = w->t;
    char *room = region->workspace + (size_t)thread * region->stride;
    float *panels = (float *)(void *)room, *bias = (float *)(void *)(room + w->panels_room);
    room += w->panels_room + w->bias_room;
    for (ptrdiff_t pass; (pass = take(&w->next)) < w->end;) {
        fd_pack_args packed = pack_of(t, pass);
        fd_product p = product_of(t, pass);
        packed.panels = panels;
        fd_pack_alone(&packed, room);
        p.panels = panels;
        p.bias = t->bias;
        if (t->bias && packed.rows) {
            for (ptrdiff_t j = 0; j < p.n; j++) bias[j] = t->bias[packed.rows[j]];
            p.bias = bias;
        }
        fd_dense d;
        fd_dense_start(&d, &p);
        fd_nest_alone(&d.nest, room + w->pack_room);
    }
}

static size_t most(size_t a, size_t b) { return a > b ? a : b; }

int fd_thin_layer(const fd_thin_layer_args *t) {
    thin_work w = {.t = t};
    size_t gemm_room = 0;
    double work = 0.0;
    ptrdiff_t widest = 0;
    for (ptrdiff_t pass = 0; pass < t->passes; pass++) {
        fd_pack_args packed = pack_of(t, pass);
        const fd_product p = product_of(t, pass);
        assert((t->bits ? 32 * t->words >= t->ins : p.k == t->ins) && (t->rows || p.n == t->outs) &&
               (!t->ldy || t->ldy >= p.n));
        fd_dense d;
        fd_dense_start(&d, &p);
        w.pack_room = most(w.pack_room, lines(fd_pack_room(&packed)));
        w.panels_room = most(w.panels_room,
                             lines((size_t)fd_panels_length(packed.n, packed.k) * sizeof(float)));
        gemm_room = most(gemm_room, lines(fd_nest_room(&d.nest)));
        widest = fd_max(widest, p.n);
        work += (double)fd_max(1, p.n) * (double)fd_max(1, p.k) * (double)(p.m + FD_THIN_COST);
    }
    w.bias_room = lines((size_t)(widest + FD_TILE_N_MOST) * sizeof(float));
    const ptrdiff_t chunk = fd_max(
        8, (ptrdiff_t)(FD_PRODUCT_CHUNK /
                       fd_max(1, (ptrdiff_t)(work / (double)fd_max(1, t->passes)))));
    for (w.next = 0; w.next < t->passes; w.next = w.end) {
        w.end = fd_min(t->passes, w.next + chunk);
        fd_region region;
        const ptrdiff_t wanted = fd_min(w.end - w.next, (ptrdiff_t)(work / FD_PRODUCT_GRAIN) + 1);
        int status = fd_begin(&region, wanted,
                              w.panels_room + w.bias_room + w.pack_room + gemm_room);
        if (status != FD_OK) return status;
        fd_run(&region, layer_task, &w, 1);
        fd_end(&region);
        if (w.end < t->passes && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}

typedef struct {
    const fd_thin_rows_args *t;
    const fd_table *kernels;
    ptrdiff_t next; /* the next pass that no thread has taken */
} rows_work;

static void rows_task(const fd_region *region, int thread, void *context) {
    rows_work *w = context;
    const fd_thin_rows_args *t = w->t;
    (void)region, (void)thread;
    for (ptrdiff_t pass; (pass = take(&w->next)) < t->passes;)
        for (ptrdiff_t i = 0; i < t->samples; i++)
            w->kernels->compress(t->y + t->y_at[pass] + i * t->k[pass],
                                 t->x + pass * t->step + i * t->ldx, t->bits + pass * t->words,
                                 t->ins, t->k[pass], 1.0f);
}

int fd_thin_rows(const fd_thin_rows_args *t) {
    rows_work w = {.t = t, .kernels = fd_kernels()};
    assert(t->bits && 32 * t->words >= t->ins);
    fd_region region;
    int status = fd_begin(
        &region, fd_min(t->passes, fd_worth(t->passes * t->samples * t->ins, FD_ROWS_GRAIN)), 0);
    if (status != FD_OK) return status;
    fd_run(&region, rows_task, &w, 0);
    fd_end(&region);
    return FD_OK;
}
