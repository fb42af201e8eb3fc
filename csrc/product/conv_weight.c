/* Direct convolution, the gradient for the weights: dw = dy^T X, where a row of X is the window of
   an output position. Windows are read in their padded bands, where those of neighbouring positions
   overlap; dy is packed. The sum over a block of positions is one chain, and blocks are added in
   order. Which positions make a block depends on the shape alone.

   The rows of a register tile are outputs and its columns numbers of a window, or the other way
   round where a window's runs are short. Both add the same chains. */
#include "product/conv.h"
#include "kernels/table.h"
#include "runtime/cpu.h"
#include "runtime/parallel.h"
#include "runtime/tuning.h"

typedef struct {
    const fd_table *k;
    fd_window window;
    fd_band band;
    ptrdiff_t images, outputs, taps;
    const float *dy; /* first output of the group */
    ptrdiff_t dy_pitch;
    float *dw; /* of the group: outputs x channels x taps */
    int accumulate;
    int numbers_are_rows;      /* of the tile; else the outputs are */
    int unpacked;              /* dy is read where it lies */
    ptrdiff_t some, pieces;    /* numbers of a window in a tile; pieces of all runs */
    ptrdiff_t height, tiles;   /* outputs in a tile; tiles of outputs */
    ptrdiff_t strips, a_block; /* a strip: the rows of positions of a band; strips of a block */
    ptrdiff_t rows, pixels;    /* rows of positions and positions of a block, at most */
    int grid;                  /* threads along the pieces */
} weight_work;

typedef struct {
    float *bands, *dy, *sums;
    ptrdiff_t *runs, *dy_runs, *band_runs; /* of a window; of the rows of the block */
} weight_room;

static ptrdiff_t pieces_a_run(const weight_work *c) { return fd_ceil_div(c->band.run, c->some); }

/* Floats between the positions of dy, as the tile reads it. */
static ptrdiff_t dy_step(const weight_work *c) { return c->unpacked ? c->dy_pitch : c->height; }

static size_t carve(weight_room *to, char *from, const weight_work *c) {
    const size_t outputs = (size_t)(c->tiles * c->height), numbers = (size_t)(c->pieces * c->some),
                 sizes[6] = {
                     c->band.floats * (size_t)c->a_block * sizeof(float),
                     c->unpacked ? 0
                                 : (outputs * (size_t)c->pixels + FD_TILE_N_MOST) * sizeof(float),
                     outputs * numbers * sizeof(float),
                     (size_t)c->band.runs * sizeof(ptrdiff_t),
                     (size_t)c->rows * sizeof(ptrdiff_t),
                     (size_t)c->rows * sizeof(ptrdiff_t),
                 };
    void *at[6];
    size_t used = 0;
    for (int i = 0; i < 6; i++) {
        at[i] = from + used;
        used += (sizes[i] + FD_CACHE_LINE - 1) / FD_CACHE_LINE * FD_CACHE_LINE;
    }
    if (to) *to = (weight_room){at[0], at[1], at[2], at[3], at[4], at[5]};
    return used;
}

/* Strips [begin, end): their bands, and dy of tiles [t0, t1). Returns the rows of positions. */
static ptrdiff_t pack_block(const weight_work *c, const weight_room *room, ptrdiff_t begin,
                            ptrdiff_t end, ptrdiff_t t0, ptrdiff_t t1) {
    const fd_window *w = &c->window;
    const ptrdiff_t bands = fd_ceil_div(w->count[1], c->band.rows),
                    positions = w->count[0] * w->count[1] * w->count[2],
                    floats = (ptrdiff_t)c->band.floats;
    ptrdiff_t row = 0;
    for (ptrdiff_t strip = begin; strip < end; strip++) {
        const ptrdiff_t image = strip / (w->count[0] * bands), q0 = strip / bands % w->count[0],
                        q1 = strip % bands * c->band.rows, at = (strip - begin) * floats,
                        rows = fd_min(c->band.rows, w->count[1] - q1);
        fd_band_fill(w, &c->band, room->bands + at, image, q0, q1, rows);
        const float *dy = c->dy +
                          (image * positions + (q0 * w->count[1] + q1) * w->count[2]) * c->dy_pitch;
        for (ptrdiff_t t = t0; t < t1 && !c->unpacked; t++) {
            const ptrdiff_t o = t * c->height;
            c->k->pack_panels(room->dy + (t * c->pixels + row * w->count[2]) * c->height, c->height,
                              0, dy + o, c->dy_pitch, rows * w->count[2],
                              fd_min(c->height, c->outputs - o));
        }
        for (ptrdiff_t r = 0; r < rows; r++, row++) {
            room->band_runs[row] = at + r * fd_band_row(w, &c->band);
            room->dy_runs[row] = row * w->count[2] * dy_step(c);
        }
    }
    return row;
}

/* The sums of pieces [p0, p1) and tiles [t0, t1) over the block from position `first` on, whose
   rows of positions are packed. sums is outputs x numbers, or numbers x outputs. */
static void add_block(const weight_work *c, const weight_room *room, ptrdiff_t first,
                      ptrdiff_t rows, ptrdiff_t p0, ptrdiff_t p1, ptrdiff_t t0, ptrdiff_t t1) {
    const fd_window *w = &c->window;
    const ptrdiff_t a_run = pieces_a_run(c), step = w->step[2] * w->channels;
    fd_tile t = {.k = w->count[2], .runs = rows, .add = first > 0};
    for (ptrdiff_t tile = t0; tile < t1; tile++) {
        const ptrdiff_t o = tile * c->height, n = fd_min(c->height, c->outputs - o);
        const float *dy = c->unpacked ? c->dy + first * c->dy_pitch + o : room->dy + o * c->pixels;
        for (ptrdiff_t piece = p0; piece < p1; piece++) {
            const ptrdiff_t number = piece % a_run * c->some,
                            some = fd_min(c->some, c->band.run - number);
            const float *windows = room->bands + room->runs[piece / a_run] + number;
            if (c->numbers_are_rows) {
                t.mr = some, t.a = windows, t.lda = step, t.a_runs = room->band_runs;
                t.n = n, t.b = dy, t.ldb = dy_step(c), t.b_runs = room->dy_runs;
                t.ldc = c->tiles * c->height, t.c = room->sums + piece * c->some * t.ldc + o;
            } else {
                t.mr = n, t.a = dy, t.lda = c->height, t.a_runs = room->dy_runs;
                t.n = some, t.b = windows, t.ldb = step, t.b_runs = room->band_runs;
                t.ldc = c->pieces * c->some, t.c = room->sums + o * t.ldc + piece * c->some;
            }
            c->k->gemm_tile(&t);
        }
    }
}

/* The sums to their place in dw, whose last axes are channel and tap. */
static void store(const weight_work *c, const float *sums, ptrdiff_t p0, ptrdiff_t p1, ptrdiff_t t0,
                  ptrdiff_t t1) {
    const ptrdiff_t channels = c->window.channels, a_run = pieces_a_run(c),
                    of_output = c->numbers_are_rows ? 1 : c->pieces * c->some,
                    of_number = c->numbers_are_rows ? c->tiles * c->height : 1;
    for (ptrdiff_t o = t0 * c->height; o < fd_min(c->outputs, t1 * c->height); o++) {
        float *dw = c->dw + o * channels * c->taps;
        for (ptrdiff_t piece = p0; piece < p1; piece++) {
            const ptrdiff_t at = piece % a_run * c->some, n = fd_min(c->some, c->band.run - at),
                            first = piece / a_run * c->band.run + at;
            const float *from = sums + o * of_output + piece * c->some * of_number;
            ptrdiff_t channel = first % channels, tap = first / channels;
            for (ptrdiff_t j = 0; j < n; j++) {
                float *to = dw + channel * c->taps + tap;
                *to = c->accumulate ? *to + from[j * of_number] : from[j * of_number];
                if (++channel == channels) channel = 0, tap++;
            }
        }
    }
}

static void weight_task(const fd_region *region, int thread, void *context) {
    const weight_work *c = context;
    weight_room room;
    carve(&room, region->workspace + (size_t)thread * region->stride, c);
    const int along = region->threads / c->grid;
    if (thread / c->grid >= along) return;
    const ptrdiff_t p0 = fd_cut(c->pieces, c->grid, thread % c->grid, 1),
                    p1 = fd_cut(c->pieces, c->grid, thread % c->grid + 1, 1),
                    t0 = fd_cut(c->tiles, along, thread / c->grid, 1),
                    t1 = fd_cut(c->tiles, along, thread / c->grid + 1, 1);
    if (t0 >= t1) return;
    fd_band_runs(&c->window, &c->band, room.runs);
    ptrdiff_t position = 0;
    for (ptrdiff_t strip = 0; strip < c->strips; strip += c->a_block) {
        const ptrdiff_t end = fd_min(c->strips, strip + c->a_block),
                        rows = pack_block(c, &room, strip, end, t0, t1);
        add_block(c, &room, position, rows, p0, p1, t0, t1);
        position += rows * c->window.count[2];
    }
    store(c, room.sums, p0, p1, t0, t1);
}

/* Multiply-adds of vectors for a position and a run of its window: rows in tiles, columns in
   vectors. */
static int numbers_are_better_rows(const weight_work *c) {
    enum { LINE = FD_CACHE_LINE / sizeof(float) };
    const ptrdiff_t as_rows = c->band.run * fd_ceil_div(c->outputs, LINE),
                    as_columns = c->outputs * fd_ceil_div(c->band.run, LINE);
    return as_rows <= as_columns;
}

/* Cuts n into equal pieces of at most `most`. */
static ptrdiff_t piece_of(ptrdiff_t n, ptrdiff_t most) {
    return fd_ceil_div(n, fd_ceil_div(n, most));
}

static int run(weight_work *c) {
    const fd_window *w = &c->window;
    const ptrdiff_t tall = c->k->tile_m, wide = c->k->tile_n,
                    bands = fd_ceil_div(w->count[1], c->band.rows),
                    strip = c->band.rows * w->count[2];
    c->numbers_are_rows = numbers_are_better_rows(c);
    /* whole vectors of dy are read, and long steps would share cache sets */
    c->unpacked = c->numbers_are_rows && c->outputs % FD_UNPACKED_UNIT == 0 &&
                  c->dy_pitch <= FD_UNPACKED_PITCH;
    c->some = c->numbers_are_rows ? piece_of(c->band.run, tall) : wide;
    c->height = c->numbers_are_rows ? wide : piece_of(c->outputs, tall);
    c->tiles = fd_ceil_div(c->outputs, c->height);
    c->pieces = c->band.runs * pieces_a_run(c);
    c->strips = c->images * w->count[0] * bands;
    c->a_block = fd_max(1, FD_WEIGHT_PIXELS / strip);
    c->rows = c->a_block * c->band.rows;
    c->pixels = c->a_block * strip;
    const double work = (double)c->strips * (double)strip * (double)(c->band.run * c->band.runs) *
                        (double)c->outputs;
    fd_region region;
    int status = fd_begin(&region, (ptrdiff_t)(work / FD_PRODUCT_GRAIN) + 1, carve(NULL, NULL, c));
    if (status != FD_OK) return status;
    c->grid = (int)fd_min(region.threads, c->pieces);
    fd_run(&region, weight_task, c, 1);
    fd_end(&region);
    return FD_OK;
}

int fd_conv_direct_dw(const fd_conv_dw_args *a) {
    const fd_conv_shape *s = &a->shape;
    const ptrdiff_t channels = s->channels / s->groups, outputs = s->outputs / s->groups;
    weight_work c = {.k = fd_kernels(),
                     .images = s->images,
                     .outputs = outputs,
                     .taps = s->kernel[0] * s->kernel[1] * s->kernel[2],
                     .dy_pitch = s->outputs,
                     .accumulate = a->accumulate,
                     .window = {.pitch = s->channels, .channels = channels}};
    for (int i = 0; i < 3; i++) {
        c.window.size[i] = s->size[i];
        c.window.count[i] = fd_conv_length(s, i);
        c.window.step[i] = s->stride[i];
        c.window.origin[i] = -s->before[i];
        c.window.taps[i] = s->kernel[i];
        c.window.dilation[i] = s->dilation[i];
    }
    if (fd_conv_is_depthwise(s)) {
        c.window.channels = s->channels, c.window.x = a->x;
        return fd_depthwise_dw(&c.window, a);
    }
    c.band = fd_band_of(&c.window, fd_max(1, FD_WEIGHT_PIXELS / c.window.count[2]));
    for (ptrdiff_t group = 0; group < s->groups; group++) {
        c.window.x = a->x + group * channels;
        c.dy = a->dy + group * outputs;
        c.dw = a->dw + group * outputs * channels * c.taps;
        int status = run(&c);
        if (status != FD_OK) return status;
    }
    return FD_OK;
}
