/* Attention, forward and backward, without a matrix of queries x keys. A task is a head of keys and
   values of a sample with its heads of queries; forward it may also be a part of their blocks.

   For each block of queries the keys pass in chunks: a product gives the block's scores, the kernel
   makes weights of them in place, with the bits of dropout, and a second product multiplies the
   values. The chunk is a constant, because the order of additions depends on it. Backward computes
   the scores again and draws the bits again. */
#include "fastdrop.h"
#include "kernels/table.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

#include <float.h>
#include <math.h>

enum {
    CHUNK = 192,            /* keys: a multiple of every tile_n and of a word of bits */
    LD_SCORES = CHUNK + 16, /* no power of two */
    QUERIES = 48,           /* of a block, rounded up to whole tiles */
};
#define LOG2E 1.44269504088896340736
#define LN2 0.69314718055994530942f
#define LEAST_SCORE (-FLT_MAX)

enum pass { FORWARD, BACKWARD, WEIGHTS };

typedef struct {
    const fd_table *k;
    const fd_attention_layer *l;
    enum pass pass;
    const fd_attention_args *forward; /* of the pass */
    const fd_attention_backward_args *backward;
    const fd_attention_weights_args *weights;
    ptrdiff_t begin, end; /* the samples of a run */
    ptrdiff_t pieces;     /* of the blocks of queries */
    ptrdiff_t block;      /* queries of a block */
    ptrdiff_t ld, v_ld;   /* rows of `size` and `v_size` numbers, with room for whole tiles */
    ptrdiff_t groups;     /* of the bits of a query */
} attention_work;

/* A thread's memory, and what it computes. */
typedef struct {
    float *k_panels_t, *v_panels_t; /* for the scores and their gradients */
    float *k_panels, *v_panels;     /* for the gradient of q, and for o */
    float *q, *d_o, *scores, *t, *out, *dk, *dv, *most, *sum;
    uint32_t *keep, *allowed;
    ptrdiff_t sample, head, kv_head;
    ptrdiff_t first, rows; /* the block of queries */
    ptrdiff_t seen;        /* keys that its last query may see */
} attention_task;

/* Returns the bytes that a thread needs; memory may be NULL. */
static ptrdiff_t lay_out(const attention_work *w, char *memory, attention_task *t) {
    const fd_attention_layer *l = w->l;
    const ptrdiff_t n = w->k->tile_n, keys = fd_round_up(l->keys, n), back = w->pass == BACKWARD,
                    bits = w->block * w->groups * FD_GROUP_WORDS;
    const struct {
        void *field;
        ptrdiff_t count;
    } parts[] = {
        {&t->k_panels_t, keys * l->size},
        {&t->v_panels_t, back * keys * l->v_size},
        {&t->k_panels, back * l->keys * w->ld},
        {&t->v_panels, (w->pass == FORWARD) * l->keys * w->v_ld},
        {&t->q, w->block * w->ld + n},
        {&t->d_o, back * (w->block * w->v_ld + n)},
        {&t->scores, w->block * LD_SCORES},
        {&t->t, back * w->block * LD_SCORES},
        {&t->out, w->block * fd_max(w->ld, w->v_ld)},
        {&t->dk, back * l->keys * w->ld},
        {&t->dv, back * l->keys * w->v_ld},
        {&t->most, w->block},
        {&t->sum, w->block},
        {&t->keep, bits},
        {&t->allowed, bits},
    };
    ptrdiff_t at = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (memory) {
            char *p = memory + at;
            memcpy(parts[i].field, &p, sizeof p);
        }
        at += fd_round_up(parts[i].count * 4, FD_CACHE_LINE);
    }
    return at;
}

static ptrdiff_t place(const fd_heads *at, ptrdiff_t sample, ptrdiff_t head, ptrdiff_t row) {
    return sample * at->sample + head * at->head + row * at->row;
}

/* Bytes of 0 and 1 to packed bits; the words end with the last byte. */
static void pack_bytes(uint32_t *bits, const uint8_t *bytes, ptrdiff_t n) {
    for (ptrdiff_t j = 0; j < n; j += 32) {
        bits[j / 32] = 0;
        for (ptrdiff_t i = j; i < fd_min(n, j + 32); i += 8) {
            uint64_t eight = 0;
            for (ptrdiff_t b = 0; b < fd_min(8, n - i); b++)
                eight |= (uint64_t)bytes[i + b] << 8 * b;
            /* byte b times 2^(56 - 7b) is bit 56 + b */
            bits[j / 32] |= (uint32_t)(eight * 0x0102040810204080u >> 56) << (i - j);
        }
    }
}

/* ---- a block of queries ---- */

/* The copy of n numbers of each row, times a factor, with zeros up to ld. */
static void copy_rows(const attention_work *w, float *to, ptrdiff_t ld, const float *from,
                      ptrdiff_t row, ptrdiff_t rows, ptrdiff_t n, float factor) {
    for (ptrdiff_t i = 0; i < rows; i++) {
        w->k->scale(to + i * ld, from + i * row, n, factor, 0);
        if (n < ld) memset(to + i * ld + n, 0, (size_t)(ld - n) * sizeof(float));
    }
}

static void start_block(const attention_work *w, attention_task *t, ptrdiff_t first) {
    const fd_attention_layer *l = w->l;
    t->first = first;
    t->rows = fd_min(w->block, l->queries - first);
    t->seen = l->causal ? fd_min(l->keys, first + t->rows + l->query_offset) : l->keys;
    copy_rows(w, t->q, w->ld, l->q + place(&l->q_at, t->sample, t->head, first), l->q_at.row,
              t->rows, l->size, (float)(l->scale * LOG2E));
    if (l->drop.stream) {
        const ptrdiff_t groups = fd_ceil_div(t->seen, FD_GROUP);
        fd_stream s = fd_in_sample(l->drop.stream, t->sample);
        s.sub = (uint32_t)(t->head << 22) + (uint32_t)(first + l->query_offset);
        if (l->drop.q) w->k->keep_bits(t->keep, &s, 0, t->rows, 0, groups, l->drop.q);
        else memset(t->keep, 0, (size_t)(t->rows * groups) * FD_GROUP_WORDS * sizeof(uint32_t));
    }
    if (l->allowed)
        for (ptrdiff_t i = 0; i < (l->allowed_at.row ? t->rows : 1); i++)
            pack_bytes(t->allowed + i * w->groups * FD_GROUP_WORDS,
                       l->allowed + place(&l->allowed_at, t->sample, t->head, first + i), t->seen);
}

/* rows x columns of a product: row i of a, of k numbers, times the panels. */
static void by_panels(const attention_work *w, float *c, ptrdiff_t ldc, const float *a,
                      ptrdiff_t lda, ptrdiff_t rows, const float *panels, ptrdiff_t stride,
                      ptrdiff_t columns, ptrdiff_t k, int add) {
    const ptrdiff_t m = w->k->tile_m, n = w->k->tile_n;
    for (ptrdiff_t j = 0; j < columns; j += n)
        for (ptrdiff_t i = 0; i < rows; i += m) {
            const fd_tile tile = {.mr = fd_min(m, rows - i),
                                  .n = fd_min(n, columns - j),
                                  .k = k,
                                  .a = a + i * lda,
                                  .lda = lda,
                                  .a_rows = 1,
                                  .b = panels + j / n * stride,
                                  .c = c + i * ldc + j,
                                  .ldc = ldc,
                                  .add = add};
            w->k->gemm_tile(&tile);
        }
}

/* c, keys x columns, += a^T b, of which a has a row for each query of the block. */
static void by_queries(const attention_work *w, float *c, const float *a, ptrdiff_t keys,
                       const float *b, ptrdiff_t ld, ptrdiff_t columns, ptrdiff_t queries) {
    const ptrdiff_t m = w->k->tile_m, n = w->k->tile_n;
    static const ptrdiff_t zero = 0;
    for (ptrdiff_t j = 0; j < columns; j += n)
        for (ptrdiff_t i = 0; i < keys; i += m) {
            const fd_tile tile = {.mr = fd_min(m, keys - i),
                                  .n = fd_min(n, columns - j),
                                  .k = queries,
                                  .a = a + i,
                                  .lda = LD_SCORES,
                                  .b = b + j,
                                  .ldb = ld,
                                  .runs = 1,
                                  .a_runs = &zero,
                                  .b_runs = &zero,
                                  .c = c + i * ld + j,
                                  .ldc = ld,
                                  .add = 1};
            w->k->gemm_tile(&tile);
        }
}

/* The scores of the block's queries with keys [k0, k1), and what they see of them. */
static fd_scores scores_of(const attention_work *w, const attention_task *t, ptrdiff_t k0,
                           ptrdiff_t k1) {
    const fd_attention_layer *l = w->l;
    by_panels(w, t->scores, LD_SCORES, t->q, w->ld, t->rows, t->k_panels_t + k0 * l->size,
              l->size * w->k->tile_n, k1 - k0, l->size, 0);
    fd_scores s = {
        .rows = t->rows, .columns = k1 - k0, .scores = t->scores, .ld = LD_SCORES, .seen = k1 - k0};
    if (l->causal) {
        s.seen = t->first + l->query_offset + 1 - k0;
        s.seen_step = 1;
    }
    if (l->bias) {
        s.bias = l->bias + place(&l->bias_at, t->sample, t->head, t->first) + k0;
        s.bias_ld = l->bias_at.row;
    }
    if (l->allowed) {
        s.allowed = t->allowed + k0 / 32;
        s.allowed_ld = l->allowed_at.row ? w->groups * FD_GROUP_WORDS : 0;
    }
    if (l->drop.stream) {
        s.keep = t->keep + k0 / 32;
        s.keep_ld = fd_ceil_div(t->seen, FD_GROUP) * FD_GROUP_WORDS;
    }
    return s;
}

static ptrdiff_t row_of(const attention_work *w, const attention_task *t) {
    return (t->sample * w->l->heads + t->head) * w->l->queries + t->first;
}

static float scale_of(const fd_attention_layer *l) { return l->drop.stream ? l->drop.scale : 1.0f; }

static void forward_block(const attention_work *w, attention_task *t) {
    const fd_attention_layer *l = w->l;
    const fd_attention_args *a = w->forward;
    for (ptrdiff_t i = 0; i < t->rows; i++) t->most[i] = LEAST_SCORE, t->sum[i] = 0.0f;
    for (ptrdiff_t k0 = 0; k0 < t->seen; k0 += CHUNK) {
        const ptrdiff_t k1 = fd_min(t->seen, k0 + CHUNK);
        const fd_scores s = scores_of(w, t, k0, k1);
        w->k->softmax_block(&s, t->most, t->sum, t->out, w->v_ld, k0 ? l->v_size : 0);
        by_panels(w, t->out, w->v_ld, t->scores, LD_SCORES, t->rows,
                  t->v_panels + k0 * w->k->tile_n, l->keys * w->k->tile_n, l->v_size, k1 - k0,
                  k0 > 0);
    }
    float *log_sums = a->log_sums + row_of(w, t);
    for (ptrdiff_t i = 0; i < t->rows; i++) {
        float *o = a->o + place(&a->o_at, t->sample, t->head, t->first + i);
        /* a sum that is NaN must not become 0 */
        const int some = !(t->sum[i] == 0.0f);
        log_sums[i] = some ? t->most[i] + log2f(t->sum[i]) : INFINITY;
        if (some) w->k->scale(o, t->out + i * w->v_ld, l->v_size, scale_of(l) / t->sum[i], 0);
        else memset(o, 0, (size_t)l->v_size * sizeof(float));
    }
}

/* columns numbers of each row of the block to a dense array of queries x keys */
static void copy_out(const attention_work *w, const attention_task *t, float *to, const float *from,
                     ptrdiff_t k0, ptrdiff_t columns, float factor) {
    for (ptrdiff_t i = 0; i < t->rows; i++)
        w->k->scale(to + (row_of(w, t) + i) * w->l->keys + k0, from + i * LD_SCORES, columns,
                    factor, 0);
}

static void backward_block(const attention_work *w, attention_task *t) {
    const fd_attention_layer *l = w->l;
    const fd_attention_backward_args *a = w->backward;
    const float *d_o = a->d_o + place(&a->d_o_at, t->sample, t->head, t->first);
    float *delta = t->sum;
    copy_rows(w, t->d_o, w->v_ld, d_o, a->d_o_at.row, t->rows, l->v_size, 1.0f);
    w->k->row_dots(delta, t->d_o, w->v_ld, a->o + place(&a->o_at, t->sample, t->head, t->first),
                   a->o_at.row, t->rows, l->v_size);
    for (ptrdiff_t k0 = 0; k0 < t->seen; k0 += CHUNK) {
        const ptrdiff_t n = fd_min(t->seen, k0 + CHUNK) - k0;
        const fd_scores s = scores_of(w, t, k0, k0 + n);
        by_panels(w, t->t, LD_SCORES, t->d_o, w->v_ld, t->rows, t->v_panels_t + k0 * l->v_size,
                  l->v_size * w->k->tile_n, n, l->v_size, 0);
        w->k->softmax_block_again(&s, t->t, a->log_sums + row_of(w, t), delta, scale_of(l));
        if (a->d_scores) copy_out(w, t, a->d_scores, t->t, k0, n, 1.0f);
        by_panels(w, t->out, w->ld, t->t, LD_SCORES, t->rows, t->k_panels + k0 * w->k->tile_n,
                  l->keys * w->k->tile_n, l->size, n, k0 > 0);
        by_queries(w, t->dv + k0 * w->v_ld, t->scores, n, t->d_o, w->v_ld, l->v_size, t->rows);
        by_queries(w, t->dk + k0 * w->ld, t->t, n, t->q, w->ld, l->size, t->rows);
    }
    for (ptrdiff_t i = 0; i < t->rows; i++) {
        float *dq = a->dq + place(&a->dq_at, t->sample, t->head, t->first + i);
        if (t->seen > 0) w->k->scale(dq, t->out + i * w->ld, l->size, l->scale, 0);
        else memset(dq, 0, (size_t)l->size * sizeof(float));
    }
}

static void weights_block(const attention_work *w, attention_task *t) {
    for (ptrdiff_t k0 = 0; k0 < t->seen; k0 += CHUNK) {
        const ptrdiff_t n = fd_min(t->seen, k0 + CHUNK) - k0;
        const fd_scores s = scores_of(w, t, k0, k0 + n);
        w->k->softmax_block_again(&s, NULL, w->weights->log_sums + row_of(w, t), NULL, 1.0f);
        copy_out(w, t, w->weights->weights, t->scores, k0, n, scale_of(w->l));
    }
    const size_t rest = (size_t)(w->l->keys - t->seen) * sizeof(float);
    for (ptrdiff_t i = 0; i < t->rows; i++)
        memset(w->weights->weights + (row_of(w, t) + i) * w->l->keys + t->seen, 0, rest);
}

/* ---- a head ---- */

static void pack_head(const attention_work *w, attention_task *t) {
    const fd_attention_layer *l = w->l;
    const float *k = l->k + place(&l->k_at, t->sample, t->kv_head, 0),
                *v = l->v + place(&l->v_at, t->sample, t->kv_head, 0);
    const ptrdiff_t n = w->k->tile_n;
    w->k->pack_panels_t(t->k_panels_t, l->size * n, k, l->k_at.row, l->size, l->keys);
    if (w->pass == FORWARD)
        w->k->pack_panels(t->v_panels, n, l->keys * n, v, l->v_at.row, l->keys, l->v_size);
    if (w->pass != BACKWARD) return;
    w->k->pack_panels_t(t->v_panels_t, l->v_size * n, v, l->v_at.row, l->v_size, l->keys);
    w->k->pack_panels(t->k_panels, n, l->keys * n, k, l->k_at.row, l->keys, l->size);
    memset(t->dk, 0, (size_t)(l->keys * w->ld) * sizeof(float));
    memset(t->dv, 0, (size_t)(l->keys * w->v_ld) * sizeof(float));
}

/* dk and dv to where they belong. The products took q times scale * log2(e), and dropped weights
   before their scale. */
static void finish_head(const attention_work *w, const attention_task *t) {
    const fd_attention_layer *l = w->l;
    const fd_attention_backward_args *a = w->backward;
    for (ptrdiff_t j = 0; j < l->keys; j++) {
        w->k->scale(a->dk + place(&a->dk_at, t->sample, t->kv_head, j), t->dk + j * w->ld, l->size,
                    LN2, 0);
        w->k->scale(a->dv + place(&a->dv_at, t->sample, t->kv_head, j), t->dv + j * w->v_ld,
                    l->v_size, scale_of(l), 0);
    }
}

static void attention_part(const fd_region *region, int thread, void *context) {
    const attention_work *w = context;
    const fd_attention_layer *l = w->l;
    const ptrdiff_t blocks = fd_ceil_div(l->queries, w->block), group = l->heads / l->kv_heads;
    const ptrdiff_t tasks = (w->end - w->begin) * l->kv_heads * w->pieces;
    attention_task t;
    lay_out(w, region->workspace + (size_t)thread * region->stride, &t);
    for (ptrdiff_t task = thread; task < tasks; task += region->threads) {
        const ptrdiff_t head = task / w->pieces;
        t.sample = w->begin + head / l->kv_heads;
        t.kv_head = head % l->kv_heads;
        pack_head(w, &t);
        for (t.head = t.kv_head * group; t.head < (t.kv_head + 1) * group; t.head++)
            for (ptrdiff_t b = task % w->pieces; b < blocks; b += w->pieces) {
                start_block(w, &t, b * w->block);
                if (w->pass == FORWARD) forward_block(w, &t);
                else if (w->pass == BACKWARD) backward_block(w, &t);
                else weights_block(w, &t);
            }
        if (w->pass == BACKWARD) finish_head(w, &t);
    }
}

static int run(attention_work *w) {
    const fd_attention_layer *l = w->l;
    w->k = fd_kernels();
    assert(CHUNK % w->k->tile_n == 0 && l->heads % l->kv_heads == 0);
    assert(!l->drop.stream || l->drop.q < FD_KEEP_ALL);
    w->block = fd_round_up(QUERIES, w->k->tile_m);
    w->ld = fd_round_up(l->size, w->k->tile_n);
    w->v_ld = fd_round_up(l->v_size, w->k->tile_n);
    w->groups = fd_ceil_div(l->keys, FD_GROUP);
    const double sample = (double)l->heads * (double)l->queries * (double)l->keys *
                          (double)(l->size + l->v_size);
    const ptrdiff_t step = (ptrdiff_t)fmax(
        1.0, fmin((double)l->samples, FD_PRODUCT_CHUNK / fmax(1.0, sample)));
    for (w->begin = 0; w->begin < l->samples; w->begin = w->end) {
        w->end = fd_min(l->samples, w->begin + step);
        const ptrdiff_t heads = (w->end - w->begin) * l->kv_heads;
        const ptrdiff_t worth = (ptrdiff_t)fmin(1e6, 1.0 + sample * (double)(w->end - w->begin) /
                                                               FD_PRODUCT_GRAIN);
        /* The rows of queries are independent, unless their gradients are added up. */
        w->pieces = 1;
        if (w->pass != BACKWARD && heads < 2 * fd_min(worth, fd_get_threads()))
            w->pieces = fd_min(fd_ceil_div(l->queries, w->block), 4 * fd_get_threads());
        w->pieces = fd_max(1, w->pieces);
        fd_region region;
        attention_task unplaced;
        int status = fd_begin(&region, fd_min(worth, heads * w->pieces),
                              (size_t)lay_out(w, NULL, &unplaced));
        if (status != FD_OK) return status;
        fd_run(&region, attention_part, w, 1);
        fd_end(&region);
        if (w->end < l->samples && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}

int fd_attention(const fd_attention_args *args) {
    attention_work w = {.pass = FORWARD, .l = &args->layer, .forward = args};
    return run(&w);
}

int fd_attention_backward(const fd_attention_backward_args *args) {
    attention_work w = {.pass = BACKWARD, .l = &args->layer, .backward = args};
    if (args->d_scores && args->layer.causal)
        memset(args->d_scores, 0,
               (size_t)(w.l->samples * w.l->heads * w.l->queries * w.l->keys) * sizeof(float));
    return run(&w);
}

int fd_attention_weights(const fd_attention_weights_args *args) {
    attention_work w = {.pass = WEIGHTS, .l = &args->layer, .weights = args};
    return run(&w);
}
