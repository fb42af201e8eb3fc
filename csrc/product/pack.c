/* Packers for stored arrays; see pack.h. Every function below that has the type of a hook follows
   the contract of that hook in gemm.h. */
#include "product/pack.h"
#include "product/panels.h"
#include "runtime/tuning.h"

/* ---- A ---- */

/* Floats between packed rows of A. Not a power of two: the rows of a tile would share cache sets.
 */
static ptrdiff_t rows_ld(ptrdiff_t kc) { return kc + FD_ROW_PAD; }

static void use_rows(fd_tile *t, const fd_scratch *s) {
    t->a_rows = 1;
    t->lda = rows_ld(t->k);
    t->a = s->rows;
}

static void a_rows(const fd_nest *nest, fd_tile *t, const fd_scratch *s, ptrdiff_t i,
                   ptrdiff_t tiles, ptrdiff_t pc) {
    const fd_operand *a = nest->a.context;
    use_rows(t, s);
    nest->kernels->pack_rows(s->rows, t->lda, a->x + i * a->ld + pc, a->ld, tiles * t->mr, t->k);
}

static void a_rows_masked(const fd_nest *nest, fd_tile *t, const fd_scratch *s, ptrdiff_t i,
                          ptrdiff_t tiles, ptrdiff_t pc) {
    const fd_operand *a = nest->a.context;
    use_rows(t, s);
    nest->kernels->dropout(s->rows, t->lda, a->x + i * a->ld + pc, a->ld, &a->drop, i,
                           tiles * t->mr, pc, t->k, 0);
}

/* Rows of the tile that repeat one stored row are made together, with a distance of 0 between their
   sources. */
static void a_repeated(const fd_nest *nest, fd_tile *t, const fd_scratch *s, ptrdiff_t i,
                       ptrdiff_t tiles, ptrdiff_t pc) {
    const fd_operand *a = nest->a.context;
    const ptrdiff_t end = i + tiles * t->mr;
    use_rows(t, s);
    float *to = s->rows;
    for (ptrdiff_t n; i < end; i += n, to += n * t->lda) {
        const ptrdiff_t row = i / a->repeat;
        const float *from = a->x + row * a->ld + pc;
        n = fd_min(end, (row + 1) * a->repeat) - i;
        if (a->drop.stream)
            nest->kernels->dropout(to, t->lda, from, 0, &a->drop, i, n, pc, t->k, 0);
        else nest->kernels->pack_rows(to, t->lda, from, 0, n, t->k);
    }
}

/* The rows from i on that repeat one stored row, and where that row is not 0. */
static ptrdiff_t a_nonzeros(const fd_nest *nest, fd_tile *t, const fd_scratch *s, ptrdiff_t i,
                            ptrdiff_t end, ptrdiff_t pc) {
    const fd_operand *a = nest->a.context;
    const ptrdiff_t row = i / a->repeat;
    const float *x = a->x + row * a->ld + pc;
    ptrdiff_t count = 0;
    for (ptrdiff_t p = 0; p < t->k; p++) {
        s->index[count] = (int32_t)p;
        count += x[p] != 0.0f;
    }
    t->index = s->index;
    t->count = count;
    return fd_min(end, (row + 1) * a->repeat);
}

/* Packed: element (p, r) of a tile at p * mr + r, tile after tile. */
static void a_columns(const fd_nest *nest, fd_tile *t, const fd_scratch *s, ptrdiff_t i,
                      ptrdiff_t tiles, ptrdiff_t pc) {
    const fd_operand *a = nest->a.context;
    t->a_rows = 0;
    t->a = s->rows;
    nest->kernels->pack_panels(s->rows, t->mr, t->k * t->mr, a->x + pc * a->ld + i, a->ld, t->k,
                               tiles * t->mr);
}

/* FD_STAGE stored rows at a time: their dropout into the stage, from there into the tiles. */
static void a_columns_masked(const fd_nest *nest, fd_tile *t, const fd_scratch *s, ptrdiff_t i,
                             ptrdiff_t tiles, ptrdiff_t pc) {
    const fd_operand *a = nest->a.context;
    const fd_table *k = nest->kernels;
    const ptrdiff_t rows = tiles * t->mr;
    t->a_rows = 0;
    t->a = s->rows;
    for (ptrdiff_t p = 0; p < t->k; p += FD_STAGE) {
        const ptrdiff_t n = fd_min(FD_STAGE, t->k - p);
        k->dropout(s->stage, rows, a->x + (pc + p) * a->ld + i, a->ld, &a->drop, pc + p, n, i, rows,
                   0);
        k->pack_panels(s->rows + p * t->mr, t->mr, t->k * t->mr, s->stage, rows, n, rows);
    }
}

fd_a_packer fd_a_rows(const fd_operand *a) {
    return (fd_a_packer){.pack = a->drop.stream ? a_rows_masked : a_rows, .context = a, .run = 1};
}

fd_a_packer fd_a_columns(const fd_operand *a) {
    return (fd_a_packer){
        .pack = a->drop.stream ? a_columns_masked : a_columns, .context = a, .run = FD_RUN};
}

fd_a_packer fd_a_repeated(const fd_operand *a, int skip_zeros) {
    return (fd_a_packer){
        .pack = a_repeated, .cut = skip_zeros ? a_nonzeros : NULL, .context = a, .run = 1};
}

/* ---- B ---- */

static const float *b_rows(const fd_nest *nest, const fd_scratch *s, ptrdiff_t pc, ptrdiff_t kc,
                           ptrdiff_t jc, ptrdiff_t nc) {
    const fd_operand *b = nest->b.context;
    const ptrdiff_t width = nest->kernels->tile_n;
    nest->kernels->pack_panels(s->panels, width, kc * width, b->x + pc * b->ld + jc, b->ld, kc, nc);
    return s->panels;
}

/* FD_STAGE stored rows at a time, as in a_columns_masked. */
static const float *b_rows_masked(const fd_nest *nest, const fd_scratch *s, ptrdiff_t pc,
                                  ptrdiff_t kc, ptrdiff_t jc, ptrdiff_t nc) {
    const fd_operand *b = nest->b.context;
    const fd_table *k = nest->kernels;
    const ptrdiff_t width = k->tile_n;
    for (ptrdiff_t p = 0; p < kc; p += FD_STAGE) {
        const ptrdiff_t n = fd_min(FD_STAGE, kc - p);
        k->dropout(s->stage, nc, b->x + (pc + p) * b->ld + jc, b->ld, &b->drop, pc + p, n, jc, nc,
                   0);
        k->pack_panels(s->panels + p * width, width, kc * width, s->stage, nc, n, nc);
    }
    return s->panels;
}

static const float *b_columns(const fd_nest *nest, const fd_scratch *s, ptrdiff_t pc, ptrdiff_t kc,
                              ptrdiff_t jc, ptrdiff_t nc) {
    const fd_operand *b = nest->b.context;
    nest->kernels->pack_panels_t(s->panels, kc * nest->kernels->tile_n, b->x + jc * b->ld + pc,
                                 b->ld, kc, nc);
    return s->panels;
}

/* A panel at a time: dropout of its stored rows (columns of B) into the stage. */
static const float *b_columns_masked(const fd_nest *nest, const fd_scratch *s, ptrdiff_t pc,
                                     ptrdiff_t kc, ptrdiff_t jc, ptrdiff_t nc) {
    const fd_operand *b = nest->b.context;
    const fd_table *k = nest->kernels;
    const ptrdiff_t width = k->tile_n;
    for (ptrdiff_t j = 0; j < nc; j += width) {
        const ptrdiff_t n = fd_min(width, nc - j);
        k->dropout(s->stage, kc, b->x + (jc + j) * b->ld + pc, b->ld, &b->drop, jc + j, n, pc, kc,
                   0);
        k->pack_panels_t(s->panels + j * kc, kc * width, s->stage, kc, kc, n);
    }
    return s->panels;
}

static const float *b_kept(const fd_nest *nest, const fd_scratch *s, ptrdiff_t pc, ptrdiff_t kc,
                           ptrdiff_t jc, ptrdiff_t nc) {
    const float *panels = nest->b.context;
    (void)s, (void)nc;
    return panels + fd_panel_at(pc, kc, jc, fd_round_up(nest->n, nest->kernels->tile_n));
}

enum { PACKED = FD_PACKING_COST, READ = 1 }; /* fd_b_packer.cost */

static void read_rows(const fd_nest *nest, fd_tile *t, ptrdiff_t pc, ptrdiff_t j) {
    const fd_operand *b = nest->b.context;
    t->ldb = b->ld;
    t->b = b->x + pc * b->ld + j;
    t->ahead = fd_read_ahead() * b->ld;
}

static void read_columns(const fd_nest *nest, fd_tile *t, ptrdiff_t pc, ptrdiff_t j) {
    const fd_operand *b = nest->b.context;
    t->ldb = b->ld;
    t->b = b->x + j * b->ld + pc;
}

fd_b_packer fd_b_rows(const fd_operand *b) {
    return (fd_b_packer){
        .pack = b->drop.stream ? b_rows_masked : b_rows, .context = b, .cost = PACKED};
}

fd_b_packer fd_b_columns(const fd_operand *b) {
    return (fd_b_packer){
        .pack = b->drop.stream ? b_columns_masked : b_columns, .context = b, .cost = PACKED};
}

fd_b_packer fd_b_rows_in_place(const fd_operand *b) {
    assert(!b->drop.stream);
    return (fd_b_packer){
        .pack = b_rows, .read = read_rows, .place = FD_B_ROWS, .context = b, .cost = PACKED};
}

fd_b_packer fd_b_columns_in_place(const fd_operand *b) {
    assert(!b->drop.stream);
    return (fd_b_packer){
        .pack = b_columns, .read = read_columns, .place = FD_B_COLUMNS, .context = b, .cost = READ};
}

fd_b_packer fd_b_kept(const float *panels) {
    return (fd_b_packer){.pack = b_kept, .context = panels, .cost = READ};
}
