/* Direct convolution, forward and the gradient for the input: the register tile of the matrix
   product, whose rows are the windows of neighbouring positions in a padded band. The gradient for
   the input is a convolution of dy with the kernel turned round; with a stride S along an axis it
   is S of them, one for each position modulo S.

   The columns of the tile are outputs. Where they are few, most lanes of a vector would be empty:
   then its rows are the outputs, and its columns positions of a band whose channels stand apart.
   Both add the same chains. */
#include "product/conv.h"
#include "product/map_dropout.h"
#include "kernels/table.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

/* One convolution of a group of channels. */
typedef struct {
    const fd_table *k;
    fd_window window;
    fd_band band;
    ptrdiff_t images, outputs;
    const float *w; /* output o, channel c, tap t at w[o*w_o + c*w_c + sum of t[i]*w_t[i]] */
    ptrdiff_t w_o, w_c, w_t[3];
    float *y; /* output 0 of position 0 */
    ptrdiff_t y_image, y_step[3];
    const float *bias;
    int relu;
    const float *kept;               /* panels of all outputs, or NULL */
    const fd_map_dropout_args *drop; /* of an image when it is complete, or NULL */
    int few;                         /* few outputs: the columns of the tile are positions */
    ptrdiff_t columns;               /* outputs whose panels are packed at a time */
    ptrdiff_t begin, end;            /* the chunk, in images */
    int shares;                      /* threads among which the outputs of an image are divided */
} conv_work;

static ptrdiff_t width_of(const conv_work *c) { return c->k->tile_n; }

/* Numbers of a window. */
static ptrdiff_t depth(const conv_work *c) { return c->band.run * c->band.runs; }

typedef struct {
    float *packed, *rows, *band;
    const float *panels; /* packed ones, or kept ones */
    ptrdiff_t *runs;     /* where the runs of a window begin, from its first number */
    uint32_t *bits;
    /* for few outputs: a band with its channels apart, the weights, sums, and runs for each tap */
    float *apart, *weights, *sums;
    ptrdiff_t *weight_runs, *apart_runs;
} conv_room;

static ptrdiff_t taps_of(const conv_work *c) {
    return c->window.taps[0] * c->window.taps[1] * c->window.taps[2];
}

/* Floats of the panels of n outputs. */
static size_t panel_floats(const conv_work *c, ptrdiff_t n) {
    return (size_t)(fd_round_up(n, width_of(c)) * depth(c)) + FD_TILE_N_MOST;
}

static size_t carve(conv_room *to, char *from, const conv_work *c) {
    const size_t taps = (size_t)taps_of(c), few = c->few ? 1 : 0, packed = c->kept || few ? 0 : 1;
    const size_t sizes[10] = {
        packed * panel_floats(c, c->columns) * sizeof(float),
        packed * panel_floats(c, width_of(c)) * sizeof(float),
        c->band.floats * sizeof(float),
        (size_t)c->band.runs * sizeof(ptrdiff_t),
        c->drop ? fd_map_dropout_room(c->drop->channels, c->drop->positions, c->drop->by_channel)
                : 0,
        few * (c->band.floats + FD_TILE_N_MOST) * sizeof(float),
        few * (size_t)(depth(c) * c->outputs) * sizeof(float),
        few * (size_t)(c->k->tile_m * c->k->tile_n) * sizeof(float),
        few * taps * sizeof(ptrdiff_t),
        few * taps * sizeof(ptrdiff_t),
    };
    void *at[10];
    size_t used = 0;
    for (int i = 0; i < 10; i++) {
        at[i] = from + used;
        used += (sizes[i] + FD_CACHE_LINE - 1) / FD_CACHE_LINE * FD_CACHE_LINE;
    }
    if (to)
        *to = (conv_room){at[0], at[1], at[2], at[0], at[3], at[4],
                          at[5], at[6], at[7], at[8], at[9]};
    return used;
}

/* Packs the kernels of outputs [o, o + n). */
static void pack(const conv_work *c, float *panels, float *rows, ptrdiff_t o, ptrdiff_t n) {
    const ptrdiff_t width = width_of(c), all = depth(c), channels = c->window.channels,
                    *taps = c->window.taps;
    for (ptrdiff_t j = 0; j < n; j += width) {
        const ptrdiff_t some = fd_min(width, n - j);
        for (ptrdiff_t i = 0; i < some; i++) {
            const float *from = c->w + (o + j + i) * c->w_o;
            float *to = rows + i * all;
            for (ptrdiff_t t0 = 0; t0 < taps[0]; t0++)
                for (ptrdiff_t t1 = 0; t1 < taps[1]; t1++)
                    for (ptrdiff_t t2 = 0; t2 < taps[2]; t2++) {
                        const float *tap = from + t0 * c->w_t[0] + t1 * c->w_t[1] + t2 * c->w_t[2];
                        for (ptrdiff_t k = 0; k < channels; k++) *to++ = tap[k * c->w_c];
                    }
        }
        c->k->pack_panels_t(panels + j * all, width * all, rows, all, all, some);
    }
}

/* A row of output positions from the band; n outputs from o on. */
static void row_of_positions(const conv_work *c, const conv_room *room, float *y, ptrdiff_t row,
                             ptrdiff_t o, ptrdiff_t n) {
    const fd_window *w = &c->window;
    const ptrdiff_t width = width_of(c), count = w->count[2],
                    tiles = fd_ceil_div(count, c->k->tile_m);
    const float *band = room->band + row * fd_band_row(w, &c->band);
    fd_tile t = {.k = c->band.run,
                 .runs = c->band.runs,
                 .a_runs = room->runs,
                 .lda = w->step[2] * w->channels,
                 .a_rows = 1,
                 .ldc = c->y_step[2],
                 .relu = c->relu};
    for (ptrdiff_t tile = 0; tile < tiles; tile++) {
        const ptrdiff_t q = count * tile / tiles;
        t.mr = count * (tile + 1) / tiles - q;
        t.a = band + q * t.lda;
        for (ptrdiff_t j = 0; j < n; j += width) {
            t.n = fd_min(width, n - j);
            t.c = y + q * t.ldc + j;
            t.b = room->panels + j * depth(c);
            t.bias = c->bias ? c->bias + o + j : NULL;
            c->k->gemm_tile(&t);
        }
    }
}

/* ---- few outputs ---- */

/* Whether vectors of positions have more full lanes than vectors of outputs. */
static int are_few(const conv_work *c) {
    const ptrdiff_t lanes = c->k->lanes, positions = c->window.count[2];
    return !c->kept && c->window.step[2] == 1 && c->outputs <= c->k->tile_m &&
           4 * c->outputs * fd_ceil_div(positions, lanes) <
               3 * positions * fd_ceil_div(c->outputs, lanes);
}

/* The weights, the outputs side by side, and where each tap finds them and its positions. */
static void pack_few(const conv_work *c, const conv_room *room) {
    const fd_window *w = &c->window;
    float *to = room->weights;
    ptrdiff_t tap = 0;
    for (ptrdiff_t t0 = 0; t0 < w->taps[0]; t0++)
        for (ptrdiff_t t1 = 0; t1 < w->taps[1]; t1++)
            for (ptrdiff_t t2 = 0; t2 < w->taps[2]; t2++, tap++) {
                const float *from = c->w + t0 * c->w_t[0] + t1 * c->w_t[1] + t2 * c->w_t[2];
                const ptrdiff_t line = t0 * c->band.height + t1 * w->dilation[1];
                room->weight_runs[tap] = to - room->weights;
                room->apart_runs[tap] = line * c->band.width * w->channels + t2 * w->dilation[2];
                for (ptrdiff_t k = 0; k < w->channels; k++)
                    for (ptrdiff_t o = 0; o < c->outputs; o++)
                        *to++ = from[k * c->w_c + o * c->w_o];
            }
}

/* The lines of the band with their channels apart. */
static void set_apart(const conv_work *c, const conv_room *room) {
    const ptrdiff_t channels = c->window.channels, width = c->band.width, line = width * channels,
                    lines = c->window.taps[0] * c->band.height;
    for (ptrdiff_t i = 0; i < lines; i++)
        c->k->transpose(room->apart + i * line, width, room->band + i * line, channels, width,
                        channels);
}

static void few_of_positions(const conv_work *c, const conv_room *room, float *y, ptrdiff_t row) {
    const fd_window *w = &c->window;
    const ptrdiff_t wide = c->k->tile_n;
    fd_tile t = {.mr = c->outputs,
                 .k = w->channels,
                 .lda = c->outputs,
                 .a = room->weights,
                 .a_runs = room->weight_runs,
                 .runs = taps_of(c),
                 .ldb = c->band.width,
                 .b_runs = room->apart_runs,
                 .c = room->sums,
                 .ldc = wide};
    for (ptrdiff_t q = 0; q < w->count[2]; q += wide) {
        t.n = fd_min(wide, w->count[2] - q);
        t.b = room->apart + row * fd_band_row(w, &c->band) + q;
        c->k->gemm_tile(&t);
        c->k->finish_rows(room->sums, wide, c->outputs, t.n, c->bias, c->relu);
        c->k->transpose(y + q * c->y_step[2], c->y_step[2], room->sums, wide, c->outputs, t.n);
    }
}

static void conv_task(const fd_region *region, int thread, void *context) {
    const conv_work *c = context;
    conv_room room;
    carve(&room, region->workspace + (size_t)thread * region->stride, c);
    const ptrdiff_t shares = c->shares, parts = region->threads / shares, part = thread / shares;
    if (part >= parts) return;
    const ptrdiff_t images = c->end - c->begin, first = c->begin + fd_cut(images, parts, part, 1),
                    end = c->begin + fd_cut(images, parts, part + 1, 1),
                    o_first = fd_cut(c->outputs, shares, thread % shares, width_of(c)),
                    o_end = fd_cut(c->outputs, shares, thread % shares + 1, width_of(c));
    if (first >= end) return;
    const fd_window *w = &c->window;
    fd_band_runs(w, &c->band, room.runs);
    for (ptrdiff_t o = o_first; o < o_end; o += c->columns) {
        const ptrdiff_t n = fd_min(c->columns, o_end - o);
        if (c->few) pack_few(c, &room);
        else if (c->kept) room.panels = c->kept + o * depth(c);
        else pack(c, room.packed, room.rows, o, n);
        for (ptrdiff_t image = first; image < end; image++) {
            for (ptrdiff_t q0 = 0; q0 < w->count[0]; q0++)
                for (ptrdiff_t q1 = 0; q1 < w->count[1]; q1 += c->band.rows) {
                    const ptrdiff_t rows = fd_min(c->band.rows, w->count[1] - q1);
                    fd_band_fill(w, &c->band, room.band, image, q0, q1, rows);
                    if (c->few) set_apart(c, &room);
                    for (ptrdiff_t r = 0; r < rows; r++) {
                        float *y = c->y + image * c->y_image + q0 * c->y_step[0] +
                                   (q1 + r) * c->y_step[1] + o;
                        if (c->few) few_of_positions(c, &room, y, r);
                        else row_of_positions(c, &room, y, r, o, n);
                    }
                }
            if (c->drop && shares == 1 && o + n == o_end)
                fd_map_dropout_some(c->drop, c->k, room.bits, image, 0, c->outputs, 0);
        }
    }
}

static int run(conv_work *c) {
    const ptrdiff_t *count = c->window.count, positions = count[0] * count[1] * count[2];
    if (c->images == 0 || positions == 0 || c->outputs == 0) return FD_OK;
    c->k = fd_kernels();
    c->band = fd_band_of(&c->window, c->window.count[1]);
    const ptrdiff_t width = width_of(c), fit = FD_CONV_PANELS / depth(c) / width * width;
    c->columns = fd_max(width, fd_min(fit, fd_round_up(c->outputs, width)));
    c->few = are_few(c);
    const double work = (double)positions * (double)depth(c) * (double)c->outputs;
    ptrdiff_t chunk = (ptrdiff_t)(FD_PRODUCT_CHUNK / work);
    chunk = fd_max(1, fd_min(chunk, c->images));
    for (c->begin = 0; c->begin < c->images; c->begin = c->end) {
        c->end = fd_min(c->images, c->begin + chunk);
        const ptrdiff_t images = c->end - c->begin;
        fd_region region;
        int status = fd_begin(&region, (ptrdiff_t)(work * (double)images / FD_PRODUCT_GRAIN) + 1,
                              carve(NULL, NULL, c));
        if (status != FD_OK) return status;
        c->shares = images >= region.threads
                        ? 1
                        : (int)fd_min(region.threads / images, fd_ceil_div(c->outputs, width));
        fd_run(&region, conv_task, c, 1);
        fd_end(&region);
        if (c->drop && c->shares > 1) { /* no thread had whole images */
            const ptrdiff_t each = c->drop->channels * c->drop->positions;
            const fd_stream stream = fd_rows_from(c->drop->drop.stream, c->begin);
            fd_map_dropout_args some = *c->drop;
            some.drop.stream = &stream;
            some.y += c->begin * each, some.x += c->begin * each, some.images = images;
            status = fd_map_dropout(&some);
            if (status != FD_OK) return status;
        }
        if (c->end < c->images && fd_interrupted()) return FD_INTERRUPTED;
    }
    return FD_OK;
}

/* All channels of a depthwise convolution, of which c describes the first; `taps` of each. */
static int run_depthwise(const conv_work *c, ptrdiff_t channels, ptrdiff_t taps) {
    fd_depthwise_args d = {.window = c->window,
                           .images = c->images,
                           .w = c->w,
                           .w_c = taps,
                           .y = c->y,
                           .y_image = c->y_image,
                           .bias = c->bias,
                           .relu = c->relu};
    d.window.channels = channels;
    memcpy(d.w_t, c->w_t, sizeof d.w_t);
    memcpy(d.y_step, c->y_step, sizeof d.y_step);
    return fd_depthwise_map(&d);
}

/* The convolution of the first group; x, w, y and bias are not set. */
static conv_work forward_work(const fd_conv_shape *s) {
    const ptrdiff_t channels = s->channels / s->groups,
                    taps = s->kernel[0] * s->kernel[1] * s->kernel[2];
    conv_work c = {.images = s->images,
                   .outputs = s->outputs / s->groups,
                   .w_o = channels * taps,
                   .w_c = taps,
                   .w_t = {s->kernel[1] * s->kernel[2], s->kernel[2], 1},
                   .y_image = fd_conv_positions(s) * s->outputs,
                   .y_step = {fd_conv_length(s, 1) * fd_conv_length(s, 2) * s->outputs,
                              fd_conv_length(s, 2) * s->outputs, s->outputs},
                   .window = {.pitch = s->channels, .channels = channels}};
    for (int i = 0; i < 3; i++) {
        c.window.size[i] = s->size[i];
        c.window.count[i] = fd_conv_length(s, i);
        c.window.step[i] = s->stride[i];
        c.window.origin[i] = -s->before[i];
        c.window.taps[i] = s->kernel[i];
        c.window.dilation[i] = s->dilation[i];
    }
    return c;
}

int fd_conv_direct(const fd_conv_args *a, const fd_map_dropout_args *drop) {
    const fd_conv_shape *s = &a->shape;
    conv_work c = forward_work(s);
    const ptrdiff_t channels = c.window.channels, taps = c.w_c;
    c.relu = a->act == FD_RELU, c.drop = drop, c.kept = a->panels;
    const int depthwise = fd_conv_is_depthwise(s);
    for (ptrdiff_t group = 0; group < (depthwise ? 1 : s->groups); group++) {
        c.window.x = a->x + group * channels;
        c.w = a->w + group * c.outputs * c.w_o;
        c.y = a->y + group * c.outputs;
        c.bias = a->bias ? a->bias + group * c.outputs : NULL;
        int status = depthwise ? run_depthwise(&c, s->channels, taps) : run(&c);
        if (status != FD_OK) return status;
    }
    return FD_OK;
}

/* The work whose panels are kept: one group of a convolution that is not depthwise. */
static conv_work kept_work(const fd_conv_shape *s) {
    conv_work c = forward_work(s);
    c.k = fd_kernels();
    c.band = fd_band_of(&c.window, c.window.count[1]);
    return c;
}

ptrdiff_t fd_conv_direct_panels(const fd_conv_shape *s) {
    if (s->groups > 1) return 0;
    const conv_work c = kept_work(s);
    if (are_few(&c)) return 0;
    return (ptrdiff_t)panel_floats(&c, c.outputs);
}

int fd_conv_direct_pack(const fd_conv_pack_args *a) {
    conv_work c = kept_work(&a->shape);
    c.w = a->w;
    fd_region region;
    int status = fd_begin(&region, 1, panel_floats(&c, width_of(&c)) * sizeof(float));
    if (status != FD_OK) return status;
    pack(&c, a->panels, (float *)(void *)region.workspace, 0, c.outputs);
    fd_end(&region);
    return FD_OK;
}

/* The taps that meet the positions p of the input with (p + before) % stride == phase, along one
   axis: tap first + i * every for i < taps, and position (p + before - phase) / stride - shift - i
   * dilation of the output. taps is 0 where there is none. */
typedef struct {
    ptrdiff_t first, every, taps, shift, dilation;
} phase_taps;

static phase_taps taps_of_phase(const fd_conv_shape *s, int axis, ptrdiff_t phase) {
    const ptrdiff_t stride = s->stride[axis], dilation = s->dilation[axis];
    ptrdiff_t a = stride, b = dilation;
    while (b) {
        const ptrdiff_t rest = a % b;
        a = b;
        b = rest;
    }
    phase_taps t = {.every = stride / a, .dilation = dilation / a};
    while (t.first < s->kernel[axis] && t.first * dilation % stride != phase) t.first++;
    if (t.first < s->kernel[axis]) {
        t.taps = (s->kernel[axis] - 1 - t.first) / t.every + 1;
        t.shift = (t.first * dilation - phase) / stride;
    }
    return t;
}

int fd_conv_direct_dx(const fd_conv_dx_args *a) {
    const fd_conv_shape *s = &a->shape;
    const ptrdiff_t channels = s->channels / s->groups, outputs = s->outputs / s->groups,
                    taps = s->kernel[0] * s->kernel[1] * s->kernel[2],
                    w_t[3] = {s->kernel[1] * s->kernel[2], s->kernel[2], 1},
                    x_step[3] = {s->size[1] * s->size[2] * s->channels, s->size[2] * s->channels,
                                 s->channels};
    conv_work c = {.images = s->images,
                   .outputs = channels,
                   .w_o = taps,
                   .w_c = channels * taps,
                   .y_image = s->size[0] * x_step[0],
                   .window = {.pitch = s->outputs, .channels = outputs}};
    for (int i = 0; i < 3; i++) {
        c.window.size[i] = fd_conv_length(s, i);
        c.window.step[i] = 1;
        c.y_step[i] = x_step[i] * s->stride[i];
    }
    const ptrdiff_t phases = s->stride[0] * s->stride[1] * s->stride[2];
    if (phases > 1) /* some may have no taps */
        memset(a->dx, 0, (size_t)(s->images * c.y_image) * sizeof(float));
    const int depthwise = fd_conv_is_depthwise(s);
    for (ptrdiff_t group = 0; group < (depthwise ? 1 : s->groups); group++) {
        for (ptrdiff_t phase = 0; phase < phases; phase++) {
            const ptrdiff_t at[3] = {phase / (s->stride[1] * s->stride[2]),
                                     phase / s->stride[2] % s->stride[1], phase % s->stride[2]};
            c.w = a->w + group * outputs * c.w_c;
            c.y = a->dx + group * channels;
            int empty = 0;
            for (int i = 0; i < 3; i++) {
                const phase_taps t = taps_of_phase(s, i, at[i]);
                /* positions p = q * stride + at - before of the input, q from `first` on */
                const ptrdiff_t first = fd_ceil_div(fd_max(0, s->before[i] - at[i]), s->stride[i]),
                                reach = s->size[i] - 1 + s->before[i] - at[i];
                c.window.count[i] = reach < 0 ? 0 : fd_max(0, reach / s->stride[i] - first + 1);
                c.window.taps[i] = t.taps;
                c.window.dilation[i] = t.dilation;
                c.window.origin[i] = first - t.shift - t.dilation * (t.taps - 1);
                c.w += (t.first + t.every * (t.taps - 1)) * w_t[i]; /* the last tap comes first */
                c.w_t[i] = -t.every * w_t[i];
                c.y += (first * s->stride[i] + at[i] - s->before[i]) * x_step[i];
                empty |= t.taps == 0 || c.window.count[i] == 0;
            }
            if (empty) continue;
            c.window.x = a->dy + group * outputs;
            int status = depthwise ? run_depthwise(&c, s->channels, taps) : run(&c);
            if (status != FD_OK) return status;
        }
    }
    return FD_OK;
}
