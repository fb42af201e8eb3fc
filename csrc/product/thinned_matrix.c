/* Between a matrix and its part that a thinned network keeps: chosen rows, and chosen columns
   closed up. For training, where the weights of one network are read by several products, and its
   gradients go back among zeros. */
#include "product/thinned_matrix.h"
#include "fastdrop.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

typedef struct {
    const fd_table *kernels;
    const void *args; /* of the call */
} matrix_work;

/* Runs a task that shares out `rows` rows of `units` numbers. */
static int over_rows(fd_task task, const void *args, ptrdiff_t rows, ptrdiff_t units) {
    if (rows == 0 || units == 0) return FD_OK;
    matrix_work w = {fd_kernels(), args};
    fd_region region;
    int status = fd_begin(&region, fd_min(rows, fd_worth(rows * units, FD_ROWS_GRAIN)), 0);
    if (status != FD_OK) return status;
    fd_run(&region, task, &w, 1);
    fd_end(&region);
    return FD_OK;
}

static void take_task(const fd_region *region, int thread, void *context) {
    const matrix_work *w = context;
    const fd_thin_take_args *t = w->args;
    const ptrdiff_t end = fd_cut(t->n, region->threads, thread + 1, 1);
    for (ptrdiff_t i = fd_cut(t->n, region->threads, thread, 1); i < end; i++) {
        const float *from = t->x + (t->rows ? t->rows[i] : i) * t->ldx;
        float *to = t->y + i * t->k;
        if (t->bits) w->kernels->compress(to, from, t->bits, t->units, t->k, t->scale);
        else w->kernels->scale(to, from, t->k, t->scale, 0);
    }
}

int fd_thin_take(const fd_thin_take_args *args) {
    assert(args->bits ? args->k <= args->units : args->k == args->units);
    return over_rows(take_task, args, args->k ? args->n : 0, args->units);
}

/* The first of n ascending numbers that is at least `least`. */
static ptrdiff_t first_at_least(const int32_t *numbers, ptrdiff_t n, ptrdiff_t least) {
    ptrdiff_t low = 0, high = n;
    while (low < high) {
        const ptrdiff_t middle = (low + high) / 2;
        if (numbers[middle] < least) low = middle + 1;
        else high = middle;
    }
    return low;
}

fd_thin_reader fd_thin_reader_from(const fd_thin_put_args *sum, ptrdiff_t row) {
    assert(1 <= sum->count && sum->count <= FD_THIN_PARTS);
    fd_thin_reader reader = {.sum = sum, .kernels = fd_kernels()};
    for (ptrdiff_t q = 0; q < sum->count; q++) {
        const fd_thin_part *p = sum->parts + q;
        reader.at[q] = p->rows ? first_at_least(p->rows, p->n, row) : row;
    }
    return reader;
}

void fd_thin_read_row(fd_thin_reader *reader, ptrdiff_t i, float *to, int add) {
    const ptrdiff_t units = reader->sum->units;
    for (ptrdiff_t q = 0; q < reader->sum->count; q++, add = 1) {
        const fd_thin_part *p = reader->sum->parts + q;
        ptrdiff_t *at = reader->at + q;
        if (!p->rows || (*at < p->n && p->rows[*at] == i))
            reader->kernels->expand(to, p->x + (*at)++ * p->k, p->bits, units, p->k, add);
        else if (!add) reader->kernels->fill(to, units, 0.0f, 0);
    }
}

static void put_task(const fd_region *region, int thread, void *context) {
    const matrix_work *w = context;
    const fd_thin_put_args *t = w->args;
    const ptrdiff_t begin = fd_cut(t->m, region->threads, thread, 1),
                    end = fd_cut(t->m, region->threads, thread + 1, 1);
    fd_thin_reader reader = fd_thin_reader_from(t, begin);
    for (ptrdiff_t i = begin; i < end; i++)
        fd_thin_read_row(&reader, i, t->y + i * t->ldy, t->accumulate);
}

int fd_thin_put(const fd_thin_put_args *args) {
    return over_rows(put_task, args, args->m, args->units);
}
