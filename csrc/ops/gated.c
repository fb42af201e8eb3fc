/* Gated activations: silu(a) * b, and its gradients. */
#include "runtime/chunks.h"

/* What a piece needs besides its work: two results, three inputs, and the distances of their rows.
 */
typedef struct {
    piece_work work; /* first: a piece gets a pointer to it */
    float *da, *db;
    const float *dh, *a, *b;
    ptrdiff_t ld, ldd;
} gate_work;

static void gate_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0,
                       ptrdiff_t units) {
    const gate_work *g = (const gate_work *)w;
    for (ptrdiff_t r = row; r < row + rows; r++) {
        const ptrdiff_t at = r * g->ld + unit0;
        w->k->silu_gate((float *)w->y + r * w->units + unit0, g->a + at, g->b + at, units);
    }
}

int fd_silu_gate(const fd_silu_gate_args *args) {
    gate_work g = {.work = {.piece = gate_piece, .y = args->h, .units = args->cols},
                   .a = args->a,
                   .b = args->b,
                   .ld = args->ld};
    return fd_for_pieces(&g.work, args->rows, 1);
}

static void gradient_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0,
                           ptrdiff_t units) {
    const gate_work *g = (const gate_work *)w;
    for (ptrdiff_t r = row; r < row + rows; r++) {
        const ptrdiff_t from = r * g->ld + unit0, to = r * g->ldd + unit0;
        w->k->silu_gate_backward(g->da + to, g->db + to, g->dh + r * w->units + unit0, g->a + from,
                                 g->b + from, units);
    }
}

int fd_silu_gate_backward(const fd_silu_gate_backward_args *args) {
    gate_work g = {.work = {.piece = gradient_piece, .units = args->cols},
                   .da = args->da,
                   .db = args->db,
                   .dh = args->dh,
                   .a = args->a,
                   .b = args->b,
                   .ld = args->ld,
                   .ldd = args->ldd};
    return fd_for_pieces(&g.work, args->rows, 1);
}
