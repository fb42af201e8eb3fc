/* Dropout of channels-last maps. The mask is that of the same array in C order, whose units are the
   positions of channel 0, then those of channel 1, and so on. */
#include "product/map_dropout.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

int fd_map_dropout_is_plain(const fd_drop *drop) {
    return !drop->stream || drop->q == 0 || drop->q >= FD_KEEP_ALL;
}

size_t fd_map_dropout_room(ptrdiff_t channels, ptrdiff_t positions, int by_channel) {
    const ptrdiff_t groups = channels * (by_channel ? 1 : positions) / FD_GROUP + 2;
    return (size_t)(groups * FD_GROUP_WORDS + FD_BITS_PAD) * sizeof(uint32_t) + sizeof(uint64_t);
}

void fd_map_dropout_some(const fd_map_dropout_args *a, const fd_table *k, uint32_t *bits,
                         ptrdiff_t image, ptrdiff_t c0, ptrdiff_t c1, int uncached) {
    const ptrdiff_t each = a->by_channel ? 1 : a->positions, unit = c0 * each,
                    group = unit / FD_GROUP, end = fd_ceil_div(c1 * each, FD_GROUP),
                    at = image * a->positions * a->channels + c0, bit0 = unit - group * FD_GROUP;
    k->keep_bits(bits, a->drop.stream, image, 1, group, end - group, a->drop.q);
    if (a->by_channel)
        k->apply_channel_bits(a->y + at, a->x + at, a->channels, c1 - c0, a->positions, bits, bit0,
                              &a->drop, uncached);
    else
        k->apply_map_bits(a->y + at, a->x + at, a->channels, c1 - c0, a->positions, bits, bit0,
                          a->positions, &a->drop, uncached);
}

typedef struct {
    const fd_table *k;
    const fd_map_dropout_args *args;
    ptrdiff_t begin, end; /* the chunk, in images */
    int shares;           /* threads among which the channels of an image are divided */
    int uncached;
} map_work;

static void map_task(const fd_region *region, int thread, void *context) {
    const map_work *w = context;
    const fd_map_dropout_args *a = w->args;
    const ptrdiff_t parts = region->threads / w->shares, part = thread / w->shares,
                    share = thread % w->shares, images = w->end - w->begin,
                    line = FD_CACHE_LINE / sizeof(float),
                    c0 = fd_cut(a->channels, w->shares, share, line),
                    c1 = fd_cut(a->channels, w->shares, share + 1, line);
    if (part >= parts || c0 >= c1) return;
    uint32_t *bits = (uint32_t *)(void *)(region->workspace + (size_t)thread * region->stride);
    const ptrdiff_t end = w->begin + fd_cut(images, parts, part + 1, 1);
    for (ptrdiff_t i = w->begin + fd_cut(images, parts, part, 1); i < end; i++)
        fd_map_dropout_some(a, w->k, bits, i, c0, c1, w->uncached);
    if (w->uncached) w->k->uncached_end();
}

int fd_map_dropout(const fd_map_dropout_args *a) {
    const ptrdiff_t each = a->channels * a->positions, elements = a->images * each;
    if (elements == 0) return FD_OK;
    if (fd_map_dropout_is_plain(&a->drop)) {
        const fd_dropout_args plain = {
            .y = a->y, .x = a->x, .rows = a->images, .units = each, .drop = a->drop};
        return fd_dropout(&plain);
    }
    const ptrdiff_t line = FD_CACHE_LINE / sizeof(float), chunk = fd_max(1, FD_CHUNK / each);
    map_work w = {.k = fd_kernels(),
                  .args = a,
                  .uncached = a->y != a->x && fd_exceeds_caches(elements) &&
                              a->channels % line == 0 && (uintptr_t)a->y % FD_CACHE_LINE == 0};
    for (w.begin = 0; w.begin < a->images; w.begin = w.end) {
        w.end = fd_min(a->images, w.begin + chunk);
        const ptrdiff_t images = w.end - w.begin, lines = fd_ceil_div(a->channels, line);
        fd_region region;
        int status = fd_begin(&region, fd_min(fd_worth(images * each, FD_GRAIN), images * lines),
                              fd_map_dropout_room(a->channels, a->positions, a->by_channel));
        if (status != FD_OK) return status;
        w.shares = (int)fd_max(1, fd_min(region.threads / images, lines));
        fd_run(&region, map_task, &w, 0);
        fd_end(&region);
        if (w.end < a->images && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}
