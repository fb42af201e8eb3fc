/* Resized maps: positions of the result are weighted sums of positions of the input, axis by axis.
   The gradient is the same with the tables turned round. */
#include "fastdrop.h"
#include "kernels/table.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

typedef struct {
    const fd_resize_args *a;
    ptrdiff_t most;       /* rows that a row of the result reads */
    ptrdiff_t begin, end; /* the chunk, in rows of the result */
} resize_work;

static ptrdiff_t most_taps(const fd_resize_axis *x) {
    int32_t most = 0;
    for (ptrdiff_t q = 0; q < x->out; q++)
        if (x->starts[q + 1] - x->starts[q] > most) most = x->starts[q + 1] - x->starts[q];
    return most;
}

static void resize_task(const fd_region *region, int thread, void *context) {
    const resize_work *w = context;
    const fd_resize_args *a = w->a;
    const fd_resize_axis *axis = a->axis;
    const ptrdiff_t all = w->end - w->begin,
                    end = w->begin + fd_cut(all, region->threads, thread + 1, 1);
    const float **rows = (const float **)(region->workspace + (size_t)thread * region->stride);
    float *weights = (float *)(rows + w->most);
    fd_resized_row t = {.count = axis[2].out,
                        .channels = a->channels,
                        .rows = rows,
                        .row_weights = weights,
                        .starts = axis[2].starts,
                        .index = axis[2].index,
                        .weights = axis[2].weights};
    for (ptrdiff_t row = w->begin + fd_cut(all, region->threads, thread, 1); row < end; row++) {
        const ptrdiff_t image = row / (axis[0].out * axis[1].out),
                        q0 = row / axis[1].out % axis[0].out, q1 = row % axis[1].out;
        t.y = a->y + row * axis[2].out * a->channels;
        t.runs = 0;
        for (int32_t i = axis[0].starts[q0]; i < axis[0].starts[q0 + 1]; i++)
            for (int32_t j = axis[1].starts[q1]; j < axis[1].starts[q1 + 1]; j++) {
                const ptrdiff_t from = (image * axis[0].size + axis[0].index[i]) * axis[1].size +
                                       axis[1].index[j];
                rows[t.runs] = a->x + from * axis[2].size * a->channels;
                weights[t.runs++] = axis[0].weights[i] * axis[1].weights[j];
            }
        fd_kernels()->resized(&t);
    }
}

int fd_resize(const fd_resize_args *a) {
    const fd_resize_axis *axis = a->axis;
    const ptrdiff_t rows = a->images * axis[0].out * axis[1].out;
    if (rows == 0 || axis[2].out == 0 || a->channels == 0) return FD_OK;
    resize_work w = {.a = a, .most = most_taps(&axis[0]) * most_taps(&axis[1])};
    const double elements = (double)(axis[2].out * a->channels) *
                            (double)fd_max(1, w.most * most_taps(&axis[2]));
    const ptrdiff_t chunk = (ptrdiff_t)(FD_CHUNK / elements) + 1;
    for (w.begin = 0; w.begin < rows; w.begin = w.end) {
        w.end = fd_min(rows, w.begin + chunk);
        fd_region region;
        int status = fd_begin(&region,
                              (ptrdiff_t)(elements * (double)(w.end - w.begin) / FD_GRAIN) + 1,
                              (size_t)w.most * (sizeof(float *) + sizeof(float)));
        if (status != FD_OK) return status;
        fd_run(&region, resize_task, &w, 0);
        fd_end(&region);
        if (w.end < rows && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}
