/* Floor 3: masks and elementwise work: cuts a rows x units array into pieces for threads, and into chunks between which
   an interrupt is noticed. */
#include "dispatch.h"
#include "fastdrop.h"
#include "parallel.h"

enum {
    GRAIN = 16384,            /* elements worth a thread: about 2 us of copying; a region costs 1 us */
    CHUNK = 1 << 23           /* elements between two looks for an interrupt: 0.2 s of scalar code */
};

/* What a piece may need; one struct for all elementwise tasks. */
typedef struct piece_work {
    void (*piece)(const struct piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0, ptrdiff_t units);
    const fd_table *k;
    void *y;
    const float *x, *saved;
    ptrdiff_t units, groups, begin, end; /* units a row, groups a row, the chunk in groups counted over all rows */
    const fd_stream *s;
    uint64_t q;
    fd_drop drop;
    fd_concrete concrete;
    double *sums;
    float scale, alpha;
    int kind, nt;
} piece_work;

static void run_pieces(const fd_region *region, int thread, void *context) {
    const piece_work *w = context;
    ptrdiff_t at = w->begin + fd_cut(w->end - w->begin, region->threads, thread, 8);
    const ptrdiff_t end = w->begin + fd_cut(w->end - w->begin, region->threads, thread + 1, 8);
    while (at < end) {
        const ptrdiff_t row = at / w->groups, group = at % w->groups, left = end - at;
        if (group == 0 && left >= w->groups) { /* whole rows */
            w->piece(w, row, left / w->groups, 0, w->units);
            at += left / w->groups * w->groups;
        } else {
            const ptrdiff_t groups = fd_min(left, w->groups - group);
            w->piece(w, row, 1, group * FD_GROUP, fd_min(groups * FD_GROUP, w->units - group * FD_GROUP));
            at += groups;
        }
    }
    if (w->nt) w->k->stream_end();
}

static int for_pieces(piece_work *w, ptrdiff_t rows, int flush) {
    if (rows == 0 || w->units == 0) return FD_OK;
    w->k = fd_kernels();
    w->groups = fd_ceil_div(w->units, FD_GROUP);
    const ptrdiff_t total = rows * w->groups, chunk = CHUNK / FD_GROUP;
    for (w->begin = 0; w->begin < total; w->begin = w->end) {
        w->end = fd_min(total, w->begin + chunk);
        fd_region region;
        int status = fd_begin(&region, fd_worth((w->end - w->begin) * FD_GROUP, GRAIN), 0);
        if (status != FD_OK) return status;
        fd_run(&region, run_pieces, w, flush);
        fd_end(&region);
        if (w->end < total && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}

/* A flat array as rows of one group's multiple, so that pieces are cut anywhere. */
static int for_flat(piece_work *w, ptrdiff_t n, int flush) {
    w->units = n;
    return for_pieces(w, 1, flush);
}

/* ---- masks ---- */

void fd_stream_key(uint32_t key[2], uint64_t seed, uint32_t site, uint32_t domain, uint32_t call) {
    uint32_t c[4] = {site, domain, call, 1 /* the contract's version */};
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int r = 0; r < 10; r++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        const uint64_t p0 = (uint64_t)c[0] * 0xD2511F53u, p1 = (uint64_t)c[2] * 0xCD9E8D57u;
        const uint32_t n0 = (uint32_t)(p1 >> 32) ^ c[1] ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
        c[0] = n0, c[1] = (uint32_t)p1, c[2] = n2, c[3] = (uint32_t)p0;
    }
    key[0] = c[0];
    key[1] = c[1];
}

/* keep_bits for every q; bits past `units` of the last group are cleared by the caller that stores them */
static void any_keep_bits(const fd_table *k, uint32_t *bits, const fd_stream *s, ptrdiff_t row, ptrdiff_t rows,
                          ptrdiff_t group, ptrdiff_t groups, uint64_t q) {
    if (q > 0 && q < FD_KEEP_ALL) k->keep_bits(bits, s, row, rows, group, groups, q);
    else memset(bits, q ? 0xFF : 0, (size_t)(rows * groups) * 16);
}

static void keep_bits_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0, ptrdiff_t units) {
    const ptrdiff_t group = unit0 / FD_GROUP, groups = fd_ceil_div(units, FD_GROUP);
    uint32_t *bits = (uint32_t *)w->y + (row * w->groups + group) * FD_GROUP_WORDS;
    any_keep_bits(w->k, bits, w->s, row, rows, group, groups, w->q);
    const ptrdiff_t tail = units % FD_GROUP;
    if (tail == 0) return;
    for (ptrdiff_t r = 0; r < rows; r++) {
        uint32_t *last = bits + ((r + 1) * groups - 1) * FD_GROUP_WORDS;
        for (ptrdiff_t word = tail / 32; word < FD_GROUP_WORDS; word++)
            last[word] &= word == tail / 32 ? ((uint32_t)1 << tail % 32) - 1 : 0;
    }
}

int fd_keep_bits(uint32_t *bits, const fd_stream *s, ptrdiff_t rows, ptrdiff_t units, uint64_t q) {
    piece_work w = {.piece = keep_bits_piece, .y = bits, .s = s, .units = units, .q = q};
    return for_pieces(&w, rows, 0);
}

static void keep_mask_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0, ptrdiff_t units) {
    enum { AT_ONCE = 32 };
    uint32_t bits[AT_ONCE * FD_GROUP_WORDS];
    for (ptrdiff_t r = row; r < row + rows; r++)
        for (ptrdiff_t u = unit0; u < unit0 + units; u += AT_ONCE * FD_GROUP) {
            const ptrdiff_t n = fd_min(AT_ONCE * FD_GROUP, unit0 + units - u);
            uint8_t *mask = (uint8_t *)w->y + r * w->units + u;
            any_keep_bits(w->k, bits, w->s, r, 1, u / FD_GROUP, fd_ceil_div(n, FD_GROUP), w->q);
            const uint8_t *bytes = (const uint8_t *)bits;
            ptrdiff_t i = 0;
            for (; i + 8 <= n; i += 8) { /* bit j of the byte into byte j, then to 0 or 1 */
                uint64_t v = bytes[i / 8] * UINT64_C(0x0101010101010101) & UINT64_C(0x8040201008040201);
                v = (v + UINT64_C(0x7F7F7F7F7F7F7F7F)) >> 7 & UINT64_C(0x0101010101010101);
                memcpy(mask + i, &v, 8);
            }
            for (; i < n; i++) mask[i] = bytes[i / 8] >> i % 8 & 1;
        }
}

int fd_keep_mask(uint8_t *mask, const fd_stream *s, ptrdiff_t rows, ptrdiff_t units, uint64_t q) {
    piece_work w = {.piece = keep_mask_piece, .y = mask, .s = s, .units = units, .q = q};
    return for_pieces(&w, rows, 0);
}

static void uniform_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0, ptrdiff_t units) {
    for (ptrdiff_t r = row; r < row + rows; r++) w->k->uniform((float *)w->y + r * w->units + unit0, w->s, r, unit0, units);
}
static void normal_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0, ptrdiff_t units) {
    for (ptrdiff_t r = row; r < row + rows; r++) w->k->normal((float *)w->y + r * w->units + unit0, w->s, r, unit0, units);
}

int fd_uniform(float *out, const fd_stream *s, ptrdiff_t rows, ptrdiff_t units) {
    piece_work w = {.piece = uniform_piece, .y = out, .s = s, .units = units};
    return for_pieces(&w, rows, 0);
}
int fd_normal(float *out, const fd_stream *s, ptrdiff_t rows, ptrdiff_t units) {
    piece_work w = {.piece = normal_piece, .y = out, .s = s, .units = units};
    return for_pieces(&w, rows, 0);
}

static void noise_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0, ptrdiff_t units) {
    for (ptrdiff_t r = row; r < row + rows; r++) {
        const ptrdiff_t at = r * w->units + unit0;
        w->k->noise((float *)w->y + at, w->x + at, w->s, r, unit0, units, w->alpha, w->kind);
    }
}

int fd_noise(float *y, const float *x, const fd_stream *s, ptrdiff_t rows, ptrdiff_t units, float sigma, int relative) {
    piece_work w = {.piece = noise_piece, .y = y, .x = x, .s = s, .units = units, .alpha = sigma, .kind = relative};
    return for_pieces(&w, rows, 0);
}

static void concrete_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0, ptrdiff_t units) {
    for (ptrdiff_t r = row; r < row + rows; r++) {
        const ptrdiff_t at = r * w->units + unit0;
        w->k->concrete((float *)w->y + at, w->x + at, w->s, r, unit0, units, &w->concrete);
    }
}

int fd_concrete_forward(float *y, const float *x, const fd_stream *s, ptrdiff_t rows, ptrdiff_t units, fd_concrete c) {
    piece_work w = {.piece = concrete_piece, .y = y, .x = x, .s = s, .units = units, .concrete = c};
    return for_pieces(&w, rows, 0);
}

/* Rows are cut over threads, so that each row's sum is one thread's. */
static void concrete_backward_task(const fd_region *region, int thread, void *context) {
    const piece_work *w = context;
    const ptrdiff_t r1 = w->begin + fd_cut(w->end - w->begin, region->threads, thread + 1, 1);
    for (ptrdiff_t r = w->begin + fd_cut(w->end - w->begin, region->threads, thread, 1); r < r1; r++) {
        const ptrdiff_t at = r * w->units;
        w->sums[r] = w->k->concrete_backward((float *)w->y + at, w->x + at, w->saved + at, w->s, r, 0, w->units, &w->concrete);
    }
}

int fd_concrete_backward(float *dx, double *dlogit, const float *dy, const float *x, const fd_stream *s, ptrdiff_t rows, ptrdiff_t units,
                         fd_concrete c) {
    piece_work w = {.k = fd_kernels(), .y = dx, .x = dy, .saved = x, .s = s, .units = units, .sums = dlogit, .concrete = c};
    const ptrdiff_t chunk = fd_max(1, CHUNK / fd_max(1, units));
    for (w.begin = 0; w.begin < rows; w.begin = w.end) {
        w.end = fd_min(rows, w.begin + chunk);
        fd_region region;
        int status = fd_begin(&region, fd_min(fd_worth((w.end - w.begin) * units, GRAIN), w.end - w.begin), 0);
        if (status != FD_OK) return status;
        fd_run(&region, concrete_backward_task, &w, 0);
        fd_end(&region);
        if (w.end < rows && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}

/* Bit u of the word of plane j is bit 31 - j of unit u's uniform. */
static void keep_uniforms_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0, ptrdiff_t units) {
    uint32_t planes[FD_PLANES * FD_GROUP_WORDS];
    for (ptrdiff_t r = row; r < row + rows; r++)
        for (ptrdiff_t u = unit0; u < unit0 + units; u++) {
            if (u % FD_GROUP == 0) w->k->words(planes, w->s, r, (uint64_t)(u / FD_GROUP) * FD_PLANES, FD_PLANES);
            uint32_t value = 0;
            for (int j = 0; j < FD_PLANES; j++)
                value |= (planes[j * FD_GROUP_WORDS + (u >> 5 & 3)] >> (u & 31) & 1) << (31 - j);
            ((uint32_t *)w->y)[r * w->units + u] = value;
        }
}

int fd_keep_uniforms(uint32_t *out, const fd_stream *s, ptrdiff_t rows, ptrdiff_t units) {
    piece_work w = {.piece = keep_uniforms_piece, .y = out, .s = s, .units = units};
    return for_pieces(&w, rows, 0);
}

/* ---- dropout and activations ---- */

static void dropout_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0, ptrdiff_t units) {
    const ptrdiff_t at = row * w->units + unit0;
    w->k->dropout((float *)w->y + at, w->units, w->x + at, w->units, &w->drop, row, rows, unit0, units, w->nt);
}

int fd_dropout(float *y, const float *x, ptrdiff_t rows, ptrdiff_t units, fd_drop drop) {
    if (!drop.stream) return fd_scale(y, x, rows * units, 1.0f);
    if (drop.q == 0) { /* zeros whatever x holds */
        memset(y, 0, (size_t)(rows * units) * sizeof(float));
        return FD_OK;
    }
    if (drop.q >= FD_KEEP_ALL) return fd_scale(y, x, rows * units, drop.scale);
    piece_work w = {.piece = dropout_piece, .y = y, .x = x, .units = units, .drop = drop,
                    .nt = y != x && fd_past_caches(rows * units)};
    return for_pieces(&w, rows, 0);
}

static void scale_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0, ptrdiff_t units) {
    (void)row, (void)rows;
    w->k->scale((float *)w->y + unit0, w->x + unit0, units, w->scale, w->nt);
}

int fd_scale(float *y, const float *x, ptrdiff_t n, float s) {
    piece_work w = {.piece = scale_piece, .y = y, .x = x, .scale = s, .nt = y != x && fd_past_caches(n)};
    return for_flat(&w, n, 0);
}

enum { SLICE = 2048 }; /* elements that activation and dropout do one after the other in the first cache */

static void act_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0, ptrdiff_t units) {
    for (ptrdiff_t r = row; r < row + rows; r++)
        for (ptrdiff_t u = unit0; u < unit0 + units; u += SLICE) {
            const ptrdiff_t n = fd_min(SLICE, unit0 + units - u), at = r * w->units + u;
            float *y = (float *)w->y + at;
            w->k->act(y, w->x + at, n, w->kind, w->alpha);
            if (w->drop.stream) w->k->dropout(y, n, y, n, &w->drop, r, 1, u, n, 0);
        }
}

int fd_act(float *y, const float *z, ptrdiff_t n, int kind, float alpha) {
    piece_work w = {.piece = act_piece, .y = y, .x = z, .kind = kind, .alpha = alpha};
    return for_flat(&w, n, 1);
}

int fd_act_dropout(float *y, const float *z, ptrdiff_t rows, ptrdiff_t units, int kind, float alpha, fd_drop drop) {
    if (drop.stream && drop.q == 0) return fd_dropout(y, z, rows, units, drop);
    if (drop.q >= FD_KEEP_ALL) drop.stream = NULL;
    piece_work w = {.piece = act_piece, .y = y, .x = z, .units = units, .kind = kind, .alpha = alpha, .drop = drop};
    return for_pieces(&w, rows, 1);
}

/* ---- backward of activation and dropout, with the bias gradient ---- */

typedef struct {
    const fd_table *k;
    float *dz, *db;
    const float *dy, *saved;
    ptrdiff_t cols, per_sample;             /* of the array; its rows in one sample of the mask */
    ptrdiff_t row0, row1, col0, col1;       /* the chunk */
    int kind;
    float alpha;
    fd_drop drop;
} backward_work;

/* Columns are cut over threads where db is wanted (each sum is one thread's, rows in order), rows otherwise. */
static void backward_task(const fd_region *region, int thread, void *context) {
    const backward_work *w = context;
    ptrdiff_t r0 = w->row0, r1 = w->row1, c0 = w->col0, c1 = w->col1;
    if (w->db || r1 - r0 == 1) {
        c0 += fd_cut(w->col1 - w->col0, region->threads, thread, FD_GROUP);
        c1 = w->col0 + fd_cut(w->col1 - w->col0, region->threads, thread + 1, FD_GROUP);
    } else {
        r0 += fd_cut(w->row1 - w->row0, region->threads, thread, 1);
        r1 = w->row0 + fd_cut(w->row1 - w->row0, region->threads, thread + 1, 1);
    }
    if (c0 >= c1 || r0 >= r1) return;
    if (w->db && r0 == 0) memset(w->db + c0, 0, (size_t)(c1 - c0) * sizeof(float));
    const fd_stream *s = w->drop.q < FD_KEEP_ALL ? w->drop.stream : NULL;
    const ptrdiff_t step = s ? (w->per_sample == 1 ? r1 - r0 : 1) : r1 - r0;
    for (ptrdiff_t r = r0; r < r1; r += step) {
        const ptrdiff_t at = r * w->cols + c0, unit0 = r % w->per_sample * w->cols + c0;
        w->k->act_backward(w->dz + at, w->db ? w->db + c0 : NULL, w->dy + at, w->saved + at, step, c1 - c0, w->cols,
                           w->kind, w->alpha, s, r / w->per_sample, unit0, w->drop.q, w->drop.scale);
    }
}

int fd_act_backward(float *dz, float *db, const float *dy, const float *saved, ptrdiff_t rows, ptrdiff_t cols,
                    ptrdiff_t samples, int kind, float alpha, fd_drop drop) {
    if (rows == 0 || cols == 0 || (drop.stream && drop.q == 0)) {
        memset(dz, 0, (size_t)(rows * cols) * sizeof(float));
        if (db) memset(db, 0, (size_t)cols * sizeof(float));
        return FD_OK;
    }
    if (kind == FD_RELU && drop.q < FD_KEEP_ALL) drop.stream = NULL; /* its zeros are the mask */
    backward_work w = {.k = fd_kernels(), .dz = dz, .db = db, .dy = dy, .saved = saved, .cols = cols,
                       .per_sample = rows / samples, .kind = kind, .alpha = alpha, .drop = drop};
    const ptrdiff_t wide = fd_min(cols, CHUNK), high = fd_max(1, CHUNK / wide);
    for (w.col0 = 0; w.col0 < cols; w.col0 = w.col1) {
        w.col1 = fd_min(cols, w.col0 + wide);
        for (w.row0 = 0; w.row0 < rows; w.row0 = w.row1) {
            w.row1 = fd_min(rows, w.row0 + high);
            const ptrdiff_t most = db || w.row1 - w.row0 == 1 ? fd_ceil_div(wide, FD_GROUP) : w.row1 - w.row0;
            fd_region region;
            int status = fd_begin(&region, fd_min(fd_worth((w.row1 - w.row0) * wide, GRAIN), most), 0);
            if (status != FD_OK) return status;
            fd_run(&region, backward_task, &w, 1);
            fd_end(&region);
            if ((w.row1 < rows || w.col1 < cols) && fd_interrupted()) return FD_INTERRUPTED;
        }
    }
    return FD_OK;
}
