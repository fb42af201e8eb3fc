/* fd_pack: packs the second operand of x w^T for the caller to keep, whole or thinned to some rows
   and columns. panels.h has the layout. */
#include "product/panels.h"
#include "product/bf16.h"
#include "runtime/bf16.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

typedef struct {
    const fd_table *k;
    const fd_bf16_table *pairs; /* NULL: the panels are float32 */
    const fd_pack_args *p;
    ptrdiff_t begin, end; /* the chunk, in panels */
} pack_work;

/* Floats between staged rows: a vector may be written behind each row. */
static ptrdiff_t stage_ld(ptrdiff_t k) { return fd_round_up(k, FD_ROW_PAD) + FD_ROW_PAD; }

static pack_work work_of(const fd_pack_args *p) {
    return (pack_work){.k = fd_kernels(), .p = p, .pairs = p->bf16 ? fd_bf16_kernels() : NULL};
}

static ptrdiff_t width_of(const pack_work *work) {
    return work->pairs ? work->pairs->tile_n : work->k->tile_n;
}

/* Packs panels [first, end). Rows that are thinned are gathered in the stage first, tile_n rows at
   a time. */
static void pack_some(const pack_work *work, ptrdiff_t first, ptrdiff_t end, float *stage) {
    const fd_pack_args *p = work->p;
    assert(p->bits ? p->k <= p->units : p->k == p->units && p->scale == 1.0f);
    const fd_table *k = work->k;
    const fd_bf16_table *pairs = work->pairs;
    const ptrdiff_t width = width_of(work), columns = fd_round_up(p->n, width),
                    length = pairs ? fd_pairs(p->k) : p->k, piece = fd_piece_of_k(length);
    for (ptrdiff_t j = first * width; j < end * width; j += width) {
        const ptrdiff_t n = fd_min(width, p->n - j);
        const float *from = p->w + j * p->units;
        ptrdiff_t ld = p->units;
        if (p->rows || p->bits) {
            ld = stage_ld(p->k);
            for (ptrdiff_t i = 0; i < n; i++) {
                const float *row = p->w + (p->rows ? p->rows[j + i] : j + i) * p->units;
                if (p->bits) k->compress(stage + i * ld, row, p->bits, p->units, p->k, p->scale);
                else k->pack_rows(stage + i * ld, ld, row, p->units, 1, p->k);
            }
            from = stage;
        }
        for (ptrdiff_t pc = 0; pc < length; pc += piece) {
            const ptrdiff_t kc = fd_min(piece, length - pc);
            float *to = p->panels + fd_panel_at(pc, kc, j, columns);
            if (pairs)
                pairs->pair_panels_t(to, kc * width, from + 2 * pc, ld,
                                     fd_min(2 * kc, p->k - 2 * pc), n);
            else k->pack_panels_t(to, kc * width, from + pc, ld, kc, n);
        }
    }
}

static void pack_task(const fd_region *region, int thread, void *context) {
    const pack_work *work = context;
    const ptrdiff_t first = work->begin +
                            fd_cut(work->end - work->begin, region->threads, thread, 1);
    const ptrdiff_t end = work->begin +
                          fd_cut(work->end - work->begin, region->threads, thread + 1, 1);
    pack_some(work, first, end,
              (float *)(void *)(region->workspace + (size_t)thread * region->stride));
}

ptrdiff_t fd_panels_length(ptrdiff_t n, ptrdiff_t k) {
    return fd_round_up(n, fd_kernels()->tile_n) * k + FD_PANELS_PAD;
}

ptrdiff_t fd_bf16_panels_length(ptrdiff_t n, ptrdiff_t k) {
    const fd_bf16_table *pairs = fd_bf16_kernels();
    if (!pairs) return fd_panels_length(n, k);
    return fd_round_up(n, pairs->tile_n) * fd_pairs(k) + FD_PANELS_PAD;
}

size_t fd_pack_room(const fd_pack_args *p) {
    if (!p->rows && !p->bits) return 0;
    const pack_work work = work_of(p);
    return (size_t)(width_of(&work) * stage_ld(p->k)) * sizeof(float);
}

void fd_pack_alone(const fd_pack_args *p, char *room) {
    const pack_work work = work_of(p);
    if (p->k > 0) pack_some(&work, 0, fd_ceil_div(p->n, width_of(&work)), (float *)(void *)room);
}

int fd_pack(const fd_pack_args *p) {
    pack_work work = work_of(p);
    if (p->n == 0 || p->k == 0) return FD_OK;
    const ptrdiff_t width = width_of(&work), total = fd_ceil_div(p->n, width),
                    chunk = fd_max(8, FD_PACK_CHUNK / (width * p->units));
    for (work.begin = 0; work.begin < total; work.begin = work.end) {
        work.end = fd_min(total, work.begin + chunk);
        fd_region region;
        int status = fd_begin(&region,
                              fd_worth((work.end - work.begin) * width * p->k, FD_PACK_GRAIN),
                              fd_pack_room(p));
        if (status != FD_OK) return status;
        fd_run(&region, pack_task, &work, 1);
        fd_end(&region);
        if (work.end < total && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}
