/* Where the tiles of a Winograd convolution stand, and when the algorithm is used. */
#include "product/winograd.h"

fd_wino_map fd_wino_map_of(ptrdiff_t images, ptrdiff_t channels, const ptrdiff_t *size,
                           const ptrdiff_t *count, const ptrdiff_t *before) {
    fd_wino_map m = {.channels = channels};
    for (int i = 0; i < 2; i++) {
        m.size[i] = size[i];
        m.count[i] = count[i];
        m.before[i] = before[i];
        m.tiles[i] = fd_ceil_div(count[i], FD_WINO_SIDE);
    }
    m.total = images * m.tiles[0] * m.tiles[1];
    return m;
}

fd_patch fd_wino_read(const fd_wino_map *m, const float *x, ptrdiff_t tile, const float *zeros) {
    const ptrdiff_t image = tile / (m->tiles[0] * m->tiles[1]),
                    row = tile / m->tiles[1] % m->tiles[0] * FD_WINO_SIDE - m->before[0],
                    column = tile % m->tiles[1] * FD_WINO_SIDE - m->before[1];
    return (fd_patch){
        .at = x + ((image * m->size[0] + row) * m->size[1] + column) * m->channels,
        .zeros = zeros,
        .row = m->size[1] * m->channels,
        .column = m->channels,
        .r0 = fd_max(0, -row),
        .r1 = m->size[0] - row,
        .c0 = fd_max(0, -column),
        .c1 = m->size[1] - column,
        .n = m->channels,
    };
}

fd_patch fd_wino_tile(const fd_wino_map *m, ptrdiff_t channels, ptrdiff_t tile, ptrdiff_t *offset) {
    const ptrdiff_t image = tile / (m->tiles[0] * m->tiles[1]),
                    row = tile / m->tiles[1] % m->tiles[0] * FD_WINO_SIDE,
                    column = tile % m->tiles[1] * FD_WINO_SIDE;
    *offset = ((image * m->count[0] + row) * m->count[1] + column) * channels;
    return (fd_patch){
        .row = m->count[1] * channels,
        .column = channels,
        .r1 = m->count[0] - row,
        .c1 = m->count[1] - column,
        .n = channels,
    };
}

static int is_possible(const fd_conv_shape *s) {
    if (s->groups != 1 || s->size[0] != 1 || s->kernel[0] != 1 || s->before[0] || s->after[0])
        return 0;
    for (int i = 1; i < 3; i++)
        if (s->kernel[i] != 3 || s->stride[i] != 1 || s->dilation[i] != 1 || s->before[i] > 2 ||
            s->after[i] > 2)
            return 0;
    return 1;
}

/* Whether Winograd is faster: a map must fill enough of its tiles, and have at least `fewest`
   positions, or transforming the weights takes longer than what one image saves. */
static int pays(const ptrdiff_t *count, ptrdiff_t channels, ptrdiff_t fewest) {
    const ptrdiff_t positions = count[0] * count[1],
                    in_tiles = fd_round_up(count[0], FD_WINO_SIDE) *
                               fd_round_up(count[1], FD_WINO_SIDE);
    return positions >= fewest && positions * 4 >= in_tiles * (channels < 24 ? 3 : 2);
}

int fd_conv_is_winograd(const fd_conv_shape *s, enum fd_conv_pass pass) {
    if (s->algorithm == FD_CONV_DIRECT || !is_possible(s)) return 0;
    if (s->algorithm == FD_CONV_WINOGRAD) return 1;
    enum { LEAST = 16, POSITIONS = 49, WEIGHT_POSITIONS = 16 };
    const ptrdiff_t out[2] = {fd_conv_length(s, 1), fd_conv_length(s, 2)};
    switch (pass) {
    case FD_CONV_FORWARD: return s->channels >= LEAST && pays(out, s->channels, POSITIONS);
    case FD_CONV_DATA: return s->outputs >= LEAST && pays(s->size + 1, s->outputs, POSITIONS);
    default:
        return fd_min(s->channels, s->outputs) >= LEAST &&
               pays(out, fd_min(s->channels, s->outputs), WEIGHT_POSITIONS);
    }
}
