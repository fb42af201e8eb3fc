/* Masks as arrays: packed bits, bytes, and the uniform integers behind them. */
#include "runtime/chunks.h"

void fd_stream_key(uint32_t key[2], uint64_t seed, uint32_t site, uint32_t domain, uint32_t call,
                   uint32_t instance) {
    uint32_t c[4] = {site, domain, call, instance << 8 | 1 /* the contract's version */};
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int r = 0; r < 10; r++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
        const uint64_t p0 = (uint64_t)c[0] * 0xD2511F53u, p1 = (uint64_t)c[2] * 0xCD9E8D57u;
        const uint32_t n0 = (uint32_t)(p1 >> 32) ^ c[1] ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c[3] ^ k1;
        c[0] = n0, c[1] = (uint32_t)p1, c[2] = n2, c[3] = (uint32_t)p0;
    }
    key[0] = c[0];
    key[1] = c[1];
}

static void keep_bits_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0,
                            ptrdiff_t units) {
    const ptrdiff_t group = unit0 / FD_GROUP, groups = fd_ceil_div(units, FD_GROUP);
    uint32_t *bits = (uint32_t *)w->y + (row * w->groups + group) * FD_GROUP_WORDS;
    fd_any_keep_bits(w->k, bits, w->s, row, rows, group, groups, w->q);
    const ptrdiff_t tail = units % FD_GROUP;
    if (tail == 0) return;
    for (ptrdiff_t r = 0; r < rows; r++) {
        uint32_t *last = bits + ((r + 1) * groups - 1) * FD_GROUP_WORDS;
        for (ptrdiff_t word = tail / 32; word < FD_GROUP_WORDS; word++)
            last[word] &= word == tail / 32 ? ((uint32_t)1 << tail % 32) - 1 : 0;
    }
}

int fd_keep_bits(const fd_keep_bits_args *args) {
    piece_work w = {.piece = keep_bits_piece,
                    .y = args->bits,
                    .s = args->stream,
                    .units = args->units,
                    .q = args->q};
    return fd_for_pieces(&w, args->rows, 0);
}

static void keep_mask_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0,
                            ptrdiff_t units) {
    enum { AT_ONCE = 32 };
    uint32_t bits[AT_ONCE * FD_GROUP_WORDS];
    for (ptrdiff_t r = row; r < row + rows; r++)
        for (ptrdiff_t u = unit0; u < unit0 + units; u += AT_ONCE * FD_GROUP) {
            const ptrdiff_t n = fd_min(AT_ONCE * FD_GROUP, unit0 + units - u);
            uint8_t *mask = (uint8_t *)w->y + r * w->units + u;
            fd_any_keep_bits(w->k, bits, w->s, r, 1, u / FD_GROUP, fd_ceil_div(n, FD_GROUP), w->q);
            const uint8_t *bytes = (const uint8_t *)bits;
            ptrdiff_t i = 0;
            for (; i + 8 <= n; i += 8) { /* bit j of the byte to byte j, as 0 or 1 */
                uint64_t v = bytes[i / 8] * UINT64_C(0x0101010101010101) &
                             UINT64_C(0x8040201008040201);
                v = (v + UINT64_C(0x7F7F7F7F7F7F7F7F)) >> 7 & UINT64_C(0x0101010101010101);
                memcpy(mask + i, &v, 8);
            }
            for (; i < n; i++) mask[i] = bytes[i / 8] >> i % 8 & 1;
        }
}

int fd_keep_mask(const fd_keep_mask_args *args) {
    piece_work w = {.piece = keep_mask_piece,
                    .y = args->mask,
                    .s = args->stream,
                    .units = args->units,
                    .q = args->q};
    return fd_for_pieces(&w, args->rows, 0);
}

/* Bit u of plane j is bit 31 - j of the uniform integer of unit u. */
static void keep_uniforms_piece(const piece_work *w, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t unit0,
                                ptrdiff_t units) {
    uint32_t planes[FD_PLANES * FD_GROUP_WORDS];
    for (ptrdiff_t r = row; r < row + rows; r++)
        for (ptrdiff_t u = unit0; u < unit0 + units; u++) {
            if (u % FD_GROUP == 0)
                w->k->words(planes, w->s, r, (uint64_t)(u / FD_GROUP) * FD_PLANES, FD_PLANES);
            uint32_t value = 0;
            for (int j = 0; j < FD_PLANES; j++)
                value |= (planes[j * FD_GROUP_WORDS + (u >> 5 & 3)] >> (u & 31) & 1) << (31 - j);
            ((uint32_t *)w->y)[r * w->units + u] = value;
        }
}

int fd_keep_uniforms(const fd_keep_uniforms_args *args) {
    piece_work w = {
        .piece = keep_uniforms_piece, .y = args->out, .s = args->stream, .units = args->units};
    return fd_for_pieces(&w, args->rows, 0);
}
