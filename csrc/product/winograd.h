/* What the passes of the Winograd convolution share. Internal: not installed. */
#ifndef FD_PRODUCT_WINOGRAD_H
#define FD_PRODUCT_WINOGRAD_H

#include "kernels/table.h"
#include "product/conv.h"

enum { FD_WINO_PRODUCTS = 36, FD_WINO_TAPS = 9, FD_WINO_SIDE = 4 /* outputs along a tile */ };

/* Maps that 3 x 3 windows move over, and their output positions in tiles of 4 x 4. Tiles are
   counted through all images. */
typedef struct {
    ptrdiff_t channels, size[2], before[2]; /* of what is read */
    ptrdiff_t count[2];                     /* output positions */
    ptrdiff_t tiles[2], total;
} fd_wino_map;

/* size, count and before are those of axes 1 and 2. */
fd_wino_map fd_wino_map_of(ptrdiff_t images, ptrdiff_t channels, const ptrdiff_t *size,
                           const ptrdiff_t *count, const ptrdiff_t *before);
/* The 6 x 6 positions of x that a tile reads. */
fd_patch fd_wino_read(const fd_wino_map *map, const float *x, ptrdiff_t tile, const float *zeros);
/* The 4 x 4 positions of a tile in maps of `channels` channels: *offset is that of the first. */
fd_patch fd_wino_tile(const fd_wino_map *map, ptrdiff_t channels, ptrdiff_t tile,
                      ptrdiff_t *offset);

/* Floats from one product's operand of n floats to the next one's: an odd number of cache lines, so
   that the 36 do not share cache sets. */
FD_INLINE ptrdiff_t fd_wino_step(ptrdiff_t n) {
    enum { LINE = FD_CACHE_LINE / sizeof(float) };
    return (fd_ceil_div(n, LINE) | 1) * LINE;
}

#endif
