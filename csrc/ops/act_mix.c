/* Mixtures of the identity and an activation, with a weight for each unit. */
#include "runtime/chunks.h"

typedef struct {
    piece_work work; /* first: a piece gets a pointer to it */
    const float *weight;
} mix_work;

static void mix_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0,
                      ptrdiff_t units) {
    const float *weight = ((const mix_work *)w)->weight + unit0;
    for (ptrdiff_t r = row; r < row + rows; r++) {
        const ptrdiff_t at = r * w->units + unit0;
        w->k->act_mix((float *)w->y + at, w->x + at, weight, units, w->kind);
    }
}

int fd_act_mix(const fd_act_mix_args *args) {
    mix_work m = {.work = {.piece = mix_piece,
                           .y = args->y,
                           .x = args->z,
                           .units = args->cols,
                           .kind = args->kind},
                  .weight = args->weight};
    return fd_for_pieces(&m.work, args->rows, 1);
}

/* A thread adds whole columns of dweight, rows in order. */
static void backward_task(const fd_region *region, int thread, void *context) {
    const fd_act_mix_backward_args *a = context;
    const ptrdiff_t c0 = fd_cut(a->cols, region->threads, thread, FD_GROUP);
    const ptrdiff_t c1 = fd_cut(a->cols, region->threads, thread + 1, FD_GROUP);
    if (c0 >= c1) return;
    memset(a->dweight + c0, 0, (size_t)(c1 - c0) * sizeof(float));
    for (ptrdiff_t r = 0; r < a->rows; r++) {
        const ptrdiff_t at = r * a->cols + c0;
        fd_kernels()->act_mix_backward(a->dz + at, a->dweight + c0, a->dy + at, a->z + at,
                                       a->weight + c0, c1 - c0, a->kind);
    }
}

int fd_act_mix_backward(const fd_act_mix_backward_args *args) {
    fd_act_mix_backward_args work = *args;
    fd_region region;
    const ptrdiff_t worth = fd_worth(args->rows * args->cols, FD_GRAIN);
    const int status = fd_begin(&region, fd_min(worth, fd_ceil_div(args->cols, FD_GROUP)), 0);
    if (status != FD_OK) return status;
    fd_run(&region, backward_task, &work, 1);
    fd_end(&region);
    return FD_OK;
}
