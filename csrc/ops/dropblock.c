/* DropBlock (Ghiasi, Lin, Le, 2018).

   There is one keep bit for each position where a block fits; a position whose bit is not set is a
   seed. The map is one string of bits. Seeds grow to blocks by shifting and or-ing the whole
   string, one axis after the other, with shifts that double. The mask of a sample is bits in the
   first caches, never floats. The factor of the kept elements needs the number that a sample, or
   the batch, keeps. If a thread has whole samples, masks are made once; else they are made twice,
   to count and to apply. */
#include "runtime/chunks.h"

/* Keep bits made at a time if maps are small, so that the vectors of the random generator are full.
 */
enum { BITS_AT_ONCE = 1 << 17 };

typedef struct {
    float *y;
    const float *x;
    const fd_table *k;
    const fd_dropblock_args *b;
    fd_drop d;
    ptrdiff_t maps;            /* masks of a sample: channels, or 1 if coupled */
    ptrdiff_t grid[3], groups; /* positions along each axis; groups of their keep bits */
    ptrdiff_t elements, map_words, at_once;
    ptrdiff_t begin, end; /* the chunk, in samples (whole_samples) or in maps */
    int64_t *kept;        /* the number that each thread kept */
    int apply, uncached;
    int few; /* few seeds: drawing their blocks one by one is less work than growing the map */
} block_work;

typedef struct {
    uint32_t *keep; /* keep bits of at_once maps */
    uint64_t *map;  /* packed masks: of all maps of a sample if a thread has whole samples */
} block_buffers;

/* Bytes of workspace for so many masks; fills `to` with their places from `from` on unless it is
 * NULL. */
static size_t layout_buffers(const block_work *w, block_buffers *to, char *from, ptrdiff_t masks) {
    const size_t keep = (size_t)(w->at_once * w->groups * FD_GROUP_WORDS + 4) / 2 * 8;
    if (to) *to = (block_buffers){(uint32_t *)(void *)from, (uint64_t *)(void *)(from + keep)};
    return keep + (size_t)(masks * w->map_words + 1) * 8; /* one to read past the last */
}

/* map |= map << s, as one string of bits */
static void or_shifted(uint64_t *map, ptrdiff_t words, ptrdiff_t s) {
    const ptrdiff_t whole = s / 64, part = s % 64;
    if (part == 0) {
        for (ptrdiff_t i = words - 1; i >= whole; i--) map[i] |= map[i - whole];
        return;
    }
    for (ptrdiff_t i = words - 1; i > whole; i--)
        map[i] |= map[i - whole] << part | map[i - whole - 1] >> (64 - part);
    if (whole < words) map[whole] |= map[0] << part;
}

/* Each set bit becomes `block` bits at distance `step`. */
static void grow(uint64_t *map, ptrdiff_t words, ptrdiff_t step, ptrdiff_t block) {
    for (ptrdiff_t done = 1, by; done < block; done += by)
        or_shifted(map, words, (by = fd_min(done, block - done)) * step);
}

/* Sets the bits of a block, at most 64 wide, that begins at element `at`. */
static void draw_block(const block_work *w, uint64_t *map, ptrdiff_t at) {
    const ptrdiff_t *size = w->b->size, *block = w->b->block;
    const uint64_t row = ~(uint64_t)0 >> (64 - block[2]);
    for (ptrdiff_t z = 0; z < block[0]; z++)
        for (ptrdiff_t y = 0; y < block[1]; y++) {
            const ptrdiff_t to = at + (z * size[1] + y) * size[2], shift = to % 64;
            map[to / 64] |= row << shift;
            if (shift) map[to / 64 + 1] |= row >> (64 - shift);
        }
}

/* The mask of one map from its keep bits: packed, 1 = kept, in C order. Returns how many elements
   are kept. A block fits at each position, so no shift moves a bit past the end of its row, plane
   or map. */
static int64_t make_map(const block_work *w, uint64_t *map, const uint32_t *keep) {
    const ptrdiff_t *size = w->b->size, *block = w->b->block, words = fd_ceil_div(w->elements, 64);
    const ptrdiff_t places = w->grid[0] * w->grid[1] * w->grid[2];
    /* row of the positions, where it ends, and the element of a position minus its number */
    ptrdiff_t row = 0, end = w->grid[2], shift = 0;
    int any = 0;
    memset(map, 0, (size_t)w->map_words * 8);
    /* seeds are rare: seed by seed is four times as fast as row by row */
    for (ptrdiff_t i = 0; i < places; i += 32) {
        const ptrdiff_t n = fd_min(32, places - i);
        for (uint32_t seeds = ~keep[i / 32] & ~(uint32_t)0 >> (32 - n); seeds; seeds &= seeds - 1) {
            const ptrdiff_t place = i + __builtin_ctz(seeds);
            while (place >= end) {
                end += w->grid[2];
                row++;
                shift += block[2] - 1 + (row % w->grid[1] == 0 ? (block[1] - 1) * size[2] : 0);
            }
            any = 1;
            if (w->few) draw_block(w, map, place + shift);
            else map[(place + shift) / 64] |= (uint64_t)1 << (place + shift) % 64;
        }
    }
    if (any && !w->few) {
        grow(map, words, 1, block[2]);
        grow(map, words, size[2], block[1]);
        grow(map, words, size[1] * size[2], block[0]);
    }
    const int64_t dropped = any ? w->k->count_ones(map, words) : 0;
    for (ptrdiff_t i = 0; i < words; i++) map[i] = ~map[i];
    return w->elements - dropped;
}

/* The masks of maps [map0, map0 + maps) of a sample, packed one after the other. Returns how many
   elements they keep. */
static int64_t make_maps(const block_work *w, const block_buffers *buf, ptrdiff_t sample,
                         ptrdiff_t map0, ptrdiff_t maps) {
    const fd_stream inside = fd_in_sample(w->d.stream, sample);
    int64_t kept = 0;
    for (ptrdiff_t m = 0; m < maps; m += w->at_once) {
        const ptrdiff_t n = fd_min(w->at_once, maps - m);
        w->k->keep_bits(buf->keep, &inside, map0 + m, n, 0, w->groups, w->d.q);
        for (ptrdiff_t i = 0; i < n; i++)
            kept += make_map(w, buf->map + (m + i) * w->map_words,
                             buf->keep + i * w->groups * FD_GROUP_WORDS);
    }
    return kept;
}

/* Applies the masks of maps [map, map + maps) of a sample; if coupled, the only one to all
 * channels.
 */
static void apply_maps(const block_work *w, const uint64_t *map, ptrdiff_t sample, ptrdiff_t first,
                       ptrdiff_t maps, const fd_drop *d) {
    const uint32_t *bits = (const uint32_t *)(const void *)map;
    const ptrdiff_t channels = w->b->channels, all = channels * w->elements, at = sample * all;
    if (w->b->channels_last) {
        const ptrdiff_t n = w->b->coupled ? channels : maps;
        w->k->apply_map_bits(w->y + at + first, w->x + at + first, channels, n, w->elements, bits,
                             0, w->b->coupled ? 0 : w->map_words * 64, d, w->uncached);
        return;
    }
    for (ptrdiff_t i = 0; i < (w->b->coupled ? channels : maps); i++) {
        const ptrdiff_t to = at + (first + i) * w->elements;
        if (d->scale == 0.0f)
            w->k->fill(w->y + to, w->elements, 0.0f, w->uncached); /* nothing is kept */
        else
            w->k->apply_bits(w->y + to, w->x + to,
                             w->b->coupled ? bits : bits + i * w->map_words * 2, 0, w->elements, d,
                             w->uncached);
    }
}

static float factor(const block_work *w, int64_t kept, ptrdiff_t samples) {
    return kept ? (float)((double)samples * (double)w->maps * (double)w->elements / (double)kept)
                : 0.0f;
}

static void whole_samples(const fd_region *region, int thread, void *context) {
    const block_work *w = context;
    block_buffers buf;
    layout_buffers(w, &buf, region->workspace + (size_t)thread * region->stride, w->maps);
    const ptrdiff_t s0 = w->begin + fd_cut(w->end - w->begin, region->threads, thread, 1);
    const ptrdiff_t s1 = w->begin + fd_cut(w->end - w->begin, region->threads, thread + 1, 1);
    for (ptrdiff_t s = s0; s < s1; s++) {
        fd_drop d = w->d;
        d.scale = factor(w, make_maps(w, &buf, s, 0, w->maps), 1);
        apply_maps(w, buf.map, s, 0, w->maps, &d);
    }
    if (w->uncached) w->k->uncached_end();
}

static void some_maps(const fd_region *region, int thread, void *context) {
    const block_work *w = context;
    block_buffers buf;
    layout_buffers(w, &buf, region->workspace + (size_t)thread * region->stride, w->at_once);
    ptrdiff_t at = w->begin + fd_cut(w->end - w->begin, region->threads, thread, 1);
    const ptrdiff_t end = w->begin + fd_cut(w->end - w->begin, region->threads, thread + 1, 1);
    int64_t *own = w->kept + thread, kept = 0;
    while (at < end) {
        const ptrdiff_t s = at / w->maps, m = at % w->maps,
                        n = fd_min(fd_min(end - at, w->maps - m), w->at_once);
        kept += make_maps(w, &buf, s, m, n);
        if (w->apply) apply_maps(w, buf.map, s, m, n, &w->d);
        at += n;
    }
    *own = kept;
    if (w->uncached) w->k->uncached_end();
}

/* Maps [begin, end) on all threads: counts the elements that they keep and, with apply, writes y.
 */
static int run_maps(block_work *w, ptrdiff_t begin, ptrdiff_t end, int apply, int64_t *kept) {
    enum { MOST = 4096 };
    int64_t by_thread[MOST];
    const ptrdiff_t each = w->elements * (w->b->coupled ? w->b->channels : 1),
                    chunk = fd_max(1, FD_CHUNK / each);
    *kept = 0;
    w->kept = by_thread;
    w->apply = apply;
    for (w->begin = begin; w->begin < end; w->begin = w->end) {
        w->end = fd_min(end, w->begin + chunk);
        fd_region region;
        const ptrdiff_t wanted = fd_min(
            fd_min(fd_worth((w->end - w->begin) * each, FD_GRAIN), w->end - w->begin), MOST);
        int status = fd_begin(&region, wanted, layout_buffers(w, NULL, NULL, w->at_once));
        if (status != FD_OK) return status;
        fd_run(&region, some_maps, w, 0);
        for (int t = 0; t < region.threads; t++) *kept += by_thread[t];
        fd_end(&region);
        if (fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}

/* Whether each position of channels-last maps begins with a cache line. */
static int is_aligned(const fd_dropblock_args *b) {
    return b->channels % (FD_CACHE_LINE / (ptrdiff_t)sizeof(float)) == 0 &&
           (uintptr_t)b->y % FD_CACHE_LINE == 0;
}

int fd_dropblock(const fd_dropblock_args *b) {
    const ptrdiff_t rows = b->rows;
    const uint64_t q = b->q;
    const ptrdiff_t elements = b->size[0] * b->size[1] * b->size[2], each = b->channels * elements;
    if (rows == 0 || each == 0) return FD_OK;
    if (q == 0 || q >= FD_KEEP_ALL) {
        const fd_dropout_args plain = {.y = b->y,
                                       .x = b->x,
                                       .rows = rows,
                                       .units = each,
                                       .drop = {b->stream, q, 1.0f, 0.0f, 0.0f}};
        return fd_dropout(&plain);
    }
    block_work w = {.y = b->y,
                    .x = b->x,
                    .k = fd_kernels(),
                    .b = b,
                    .d = {.stream = b->stream, .q = q},
                    .elements = elements,
                    .uncached = b->y != b->x && fd_exceeds_caches(rows * each) &&
                                (b->channels_last ? is_aligned(b) : elements >= 256),
                    .maps = b->coupled ? 1 : b->channels,
                    .map_words = elements / 64 + 2};
    for (int i = 0; i < 3; i++) w.grid[i] = b->size[i] - b->block[i] + 1;
    w.groups = fd_ceil_div(w.grid[0] * w.grid[1] * w.grid[2], FD_GROUP);
    const double seeds = (double)(FD_KEEP_ALL - q) / (double)FD_KEEP_ALL *
                         (double)(w.grid[0] * w.grid[1] * w.grid[2]);
    w.few = b->block[2] <= 64 &&
            seeds * (double)(b->block[0] * b->block[1]) < (double)elements / 16.0;
    w.at_once = fd_max(1, fd_min(w.maps, BITS_AT_ONCE / (w.groups * FD_GROUP)));
    int64_t kept;
    if (b->batch) {
        int status = run_maps(&w, 0, rows * w.maps, 0, &kept);
        if (status != FD_OK) return status;
        w.d.scale = factor(&w, kept, rows);
        return run_maps(&w, 0, rows * w.maps, 1, &kept);
    }
    const ptrdiff_t chunk = fd_max(1, FD_CHUNK / each);
    for (ptrdiff_t s = 0, end; s < rows; s = end) {
        end = fd_min(rows, s + chunk);
        fd_region region;
        int status = fd_begin(&region, fd_worth((end - s) * each, FD_GRAIN),
                              layout_buffers(&w, NULL, NULL, w.maps));
        if (status != FD_OK) return status;
        const int whole = region.threads == 1 || end - s >= 4 * region.threads;
        if (whole) {
            w.begin = s;
            w.end = end;
            fd_run(&region, whole_samples, &w, 0);
        }
        fd_end(&region);
        for (ptrdiff_t i = s; i < end && !whole; i++) {
            status = run_maps(&w, i * w.maps, (i + 1) * w.maps, 0, &kept);
            if (status != FD_OK) return status;
            w.d.scale = factor(&w, kept, 1);
            status = run_maps(&w, i * w.maps, (i + 1) * w.maps, 1, &kept);
            if (status != FD_OK) return status;
        }
        if (end < rows && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}
