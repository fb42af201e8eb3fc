/* Floor 3: DropBlock (Ghiasi et al., 2018). A map's seeds are keep bits that are not set, one for each place where a block fits. They
   grow to blocks by shifts and ors of whole rows of bits, one axis after the other, doubling: the mask of a sample is bits in the
   first caches, never floats. The factor of what is kept needs the count of a sample, or of the batch: where a thread has whole
   samples, masks are made once, else once to count and once to apply. */
#include "dispatch.h"
#include "fastdrop.h"
#include "parallel.h"

enum {
    GRAIN = 16384,         /* elements worth a thread, as in elementwise.c */
    CHUNK = 1 << 22,       /* elements between two looks for an interrupt */
    BITS_AT_ONCE = 1 << 17 /* keep bits made at a time, where maps are small: vectors are full */
};

typedef struct {
    float *y;
    const float *x;
    const fd_table *k;
    const fd_blocks *b;
    fd_drop d;
    ptrdiff_t maps;               /* masks of a sample: channels, or 1 when coupled */
    ptrdiff_t grid[3], groups;    /* places for seeds along each axis; groups of their keep bits */
    ptrdiff_t elements, row_words, map_words, at_once;
    ptrdiff_t begin, end;         /* the chunk, in samples (whole_samples) or in maps */
    int64_t *kept;                /* per sample, or NULL: thread by thread */
    int apply;
} block_work;

typedef struct {
    uint32_t *keep; /* keep bits of at_once maps */
    uint64_t *rows; /* of a map, row_words each */
    uint64_t *map;  /* packed masks: of all maps of a sample where a thread has whole samples */
} block_buffers;

static size_t carve(const block_work *w, block_buffers *to, char *from, ptrdiff_t masks) {
    const size_t keep = (size_t)(w->at_once * w->groups * FD_GROUP_WORDS + 4) / 2 * 8;
    const size_t rows = (size_t)(w->b->size[0] * w->b->size[1] * w->row_words) * 8, map = (size_t)(masks * w->map_words) * 8;
    if (to) *to = (block_buffers){(uint32_t *)(void *)from, (uint64_t *)(void *)(from + keep), (uint64_t *)(void *)(from + keep + rows)};
    return keep + rows + map;
}

/* n <= 64 bits from bit o of packed 32-bit words on */
static uint64_t bits_from(const uint32_t *words, ptrdiff_t o, ptrdiff_t n) {
    const ptrdiff_t word = o / 32, shift = o % 32;
    uint64_t v = words[word] >> shift | (n > 32 - shift ? (uint64_t)words[word + 1] << (32 - shift) : 0);
    if (n > 64 - shift) v |= (uint64_t)words[word + 2] << (64 - shift);
    return n == 64 ? v : v & (((uint64_t)1 << n) - 1);
}

/* row |= row << s, over `words` words */
static void or_shifted(uint64_t *row, ptrdiff_t words, ptrdiff_t s) {
    const ptrdiff_t whole = s / 64, part = s % 64;
    for (ptrdiff_t i = words - 1; i >= whole; i--) {
        uint64_t v = row[i - whole] << part;
        if (part && i > whole) v |= row[i - whole - 1] >> (64 - part);
        row[i] |= v;
    }
}

/* Each of `count` things (of `words` words, `step` words apart) gets the ors of the `block` things up to itself. */
static void grow(uint64_t *at, ptrdiff_t count, ptrdiff_t step, ptrdiff_t words, ptrdiff_t block) {
    for (ptrdiff_t done = 1; done < block;) {
        const ptrdiff_t by = fd_min(done, block - done);
        for (ptrdiff_t i = count - 1; i >= by; i--)
            for (ptrdiff_t j = 0; j < words; j++) at[i * step + j] |= at[(i - by) * step + j];
        done += by;
    }
}

static int64_t ones(uint64_t v) {
    v -= v >> 1 & UINT64_C(0x5555555555555555);
    v = (v & UINT64_C(0x3333333333333333)) + (v >> 2 & UINT64_C(0x3333333333333333));
    return (int64_t)(((v + (v >> 4)) & UINT64_C(0x0F0F0F0F0F0F0F0F)) * UINT64_C(0x0101010101010101) >> 56);
}

/* The mask of one map from its keep bits: packed, 1 = kept, in C order. Returns how many are kept. */
static int64_t make_map(const block_work *w, uint64_t *map, uint64_t *rows, const uint32_t *keep) {
    const ptrdiff_t depth = w->b->size[0], height = w->b->size[1], width = w->b->size[2], words = w->row_words;
    memset(rows, 0, (size_t)(depth * height * words) * 8);
    uint64_t any = 0;
    for (ptrdiff_t z = 0, o = 0; z < w->grid[0]; z++)
        for (ptrdiff_t y = 0; y < w->grid[1]; y++) {
            uint64_t *row = rows + (z * height + y) * words, seeds = 0;
            for (ptrdiff_t x = 0; x < w->grid[2]; x += 64) {
                const ptrdiff_t n = fd_min(64, w->grid[2] - x);
                const uint64_t all = n == 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1;
                seeds |= row[x / 64] = ~bits_from(keep, o + x, n) & all;
            }
            o += w->grid[2];
            any |= seeds;
            if (!seeds) continue;
            for (ptrdiff_t done = 1; done < w->b->block[2];) {
                const ptrdiff_t by = fd_min(done, w->b->block[2] - done);
                or_shifted(row, words, by);
                done += by;
            }
        }
    if (any) {
        for (ptrdiff_t z = 0; z < w->grid[0]; z++) grow(rows + z * height * words, height, words, words, w->b->block[1]);
        grow(rows, depth, height * words, height * words, w->b->block[0]);
    }
    memset(map, 0, (size_t)w->map_words * 8);
    int64_t kept = 0;
    ptrdiff_t o = 0;
    for (ptrdiff_t r = 0; r < depth * height; r++)
        for (ptrdiff_t x = 0; x < width; x += 64) {
            const ptrdiff_t n = fd_min(64, width - x), shift = o % 64;
            const uint64_t v = ~rows[r * words + x / 64] & (n == 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1);
            kept += ones(v);
            map[o / 64] |= v << shift;
            if (shift && n > 64 - shift) map[o / 64 + 1] |= v >> (64 - shift);
            o += n;
        }
    return kept;
}

/* The masks of maps [map0, map0 + maps) of a sample, packed one after the other; how many elements they keep. */
static int64_t make_maps(const block_work *w, const block_buffers *buf, ptrdiff_t sample, ptrdiff_t map0, ptrdiff_t maps) {
    const fd_stream inside = fd_in_sample(w->d.stream, sample);
    int64_t kept = 0;
    for (ptrdiff_t m = 0; m < maps; m += w->at_once) {
        const ptrdiff_t n = fd_min(w->at_once, maps - m);
        w->k->keep_bits(buf->keep, &inside, map0 + m, n, 0, w->groups, w->d.q);
        for (ptrdiff_t i = 0; i < n; i++)
            kept += make_map(w, buf->map + (m + i) * w->map_words, buf->rows, buf->keep + i * w->groups * FD_GROUP_WORDS);
    }
    return kept;
}

/* One map's mask to a map (or, coupled, to all maps of the sample) */
static void apply_map(const block_work *w, const uint64_t *map, ptrdiff_t sample, ptrdiff_t channel, ptrdiff_t channels, const fd_drop *d) {
    for (ptrdiff_t c = channel; c < channel + channels; c++) {
        const ptrdiff_t at = (sample * w->b->channels + c) * w->elements;
        if (d->scale == 0.0f) memset(w->y + at, 0, (size_t)w->elements * sizeof(float)); /* nothing is kept */
        else w->k->apply_bits(w->y + at, w->x + at, (const uint32_t *)(const void *)map, 0, w->elements, d, 0);
    }
}

static float factor(const block_work *w, int64_t kept, ptrdiff_t samples) {
    return kept ? (float)((double)samples * (double)w->maps * (double)w->elements / (double)kept) : 0.0f;
}

static void whole_samples(const fd_region *region, int thread, void *context) {
    const block_work *w = context;
    block_buffers buf;
    carve(w, &buf, region->workspace + (size_t)thread * region->stride, w->maps);
    const ptrdiff_t s0 = w->begin + fd_cut(w->end - w->begin, region->threads, thread, 1);
    const ptrdiff_t s1 = w->begin + fd_cut(w->end - w->begin, region->threads, thread + 1, 1);
    for (ptrdiff_t s = s0; s < s1; s++) {
        fd_drop d = w->d;
        d.scale = factor(w, make_maps(w, &buf, s, 0, w->maps), 1);
        for (ptrdiff_t m = 0; m < w->maps; m++) apply_map(w, buf.map + m * w->map_words, s, m, w->b->coupled ? w->b->channels : 1, &d);
    }
}

static void some_maps(const fd_region *region, int thread, void *context) {
    const block_work *w = context;
    block_buffers buf;
    carve(w, &buf, region->workspace + (size_t)thread * region->stride, w->at_once);
    ptrdiff_t at = w->begin + fd_cut(w->end - w->begin, region->threads, thread, 1);
    const ptrdiff_t end = w->begin + fd_cut(w->end - w->begin, region->threads, thread + 1, 1);
    int64_t *own = w->kept + thread, kept = 0;
    while (at < end) {
        const ptrdiff_t s = at / w->maps, m = at % w->maps, n = fd_min(fd_min(end - at, w->maps - m), w->at_once);
        kept += make_maps(w, &buf, s, m, n);
        for (ptrdiff_t i = 0; w->apply && i < n; i++)
            apply_map(w, buf.map + i * w->map_words, s, m + i, w->b->coupled ? w->b->channels : 1, &w->d);
        at += n;
    }
    *own = kept;
}

/* Maps [begin, end) by all threads: how many elements they keep; with apply also the result. */
static int run_maps(block_work *w, ptrdiff_t begin, ptrdiff_t end, int apply, int64_t *kept) {
    enum { MOST = 4096 };
    int64_t by_thread[MOST];
    const ptrdiff_t each = w->elements * (w->b->coupled ? w->b->channels : 1), chunk = fd_max(1, CHUNK / each);
    *kept = 0;
    w->kept = by_thread;
    w->apply = apply;
    for (w->begin = begin; w->begin < end; w->begin = w->end) {
        w->end = fd_min(end, w->begin + chunk);
        fd_region region;
        const ptrdiff_t wanted = fd_min(fd_min(fd_worth((w->end - w->begin) * each, GRAIN), w->end - w->begin), MOST);
        int status = fd_begin(&region, wanted, carve(w, NULL, NULL, w->at_once));
        if (status != FD_OK) return status;
        fd_run(&region, some_maps, w, 0);
        for (int t = 0; t < region.threads; t++) *kept += by_thread[t];
        fd_end(&region);
        if (fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}

int fd_dropblock(float *y, const float *x, ptrdiff_t rows, const fd_blocks *b, const fd_stream *stream, uint64_t q) {
    const ptrdiff_t elements = b->size[0] * b->size[1] * b->size[2], each = b->channels * elements;
    if (rows == 0 || each == 0) return FD_OK;
    if (q == 0 || q >= FD_KEEP_ALL) return fd_dropout(y, x, rows, each, (fd_drop){.stream = stream, .q = q, .scale = 1.0f});
    block_work w = {.y = y, .x = x, .k = fd_kernels(), .b = b, .d = {.stream = stream, .q = q}, .elements = elements,
                    .maps = b->coupled ? 1 : b->channels, .row_words = fd_ceil_div(b->size[2], 64), .map_words = elements / 64 + 2};
    for (int i = 0; i < 3; i++) w.grid[i] = b->size[i] - b->block[i] + 1;
    w.groups = fd_ceil_div(w.grid[0] * w.grid[1] * w.grid[2], FD_GROUP);
    w.at_once = fd_max(1, fd_min(w.maps, BITS_AT_ONCE / (w.groups * FD_GROUP)));
    int64_t kept;
    if (b->batch) {
        int status = run_maps(&w, 0, rows * w.maps, 0, &kept);
        if (status != FD_OK) return status;
        w.d.scale = factor(&w, kept, rows);
        return run_maps(&w, 0, rows * w.maps, 1, &kept);
    }
    const ptrdiff_t chunk = fd_max(1, CHUNK / each);
    for (ptrdiff_t s = 0, end; s < rows; s = end) {
        end = fd_min(rows, s + chunk);
        fd_region region;
        int status = fd_begin(&region, fd_worth((end - s) * each, GRAIN), carve(&w, NULL, NULL, w.maps));
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
