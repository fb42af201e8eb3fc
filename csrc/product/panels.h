/* Floor 3: how the second operand of a product is cut and packed. */
#ifndef FD_PANELS_H
#define FD_PANELS_H

#include "base/common.h"
#include "fastdrop.h"

enum {
    FD_KC =
        384, /* longest piece of k: a tile's rows fill half of a first cache of 32 KiB or more */
    FD_PANELS_PAD = 64 /* floats behind the last panel that a vector may touch */
};

/* The length of the pieces that k is cut into, but for the last; a function of k alone, since sums
 * are cut with it. */
FD_INLINE ptrdiff_t fd_piece_of_k(ptrdiff_t k) {
    const ptrdiff_t pieces = fd_max(1, fd_ceil_div(k, FD_KC));
    return fd_max(16, fd_round_up(fd_ceil_div(k, pieces), 16));
}

/* Where the panels of columns [j, ..) of the piece [pc, pc + kc) of k begin in kept panels of
 * `columns` (n rounded up to whole panels). */
FD_INLINE ptrdiff_t fd_panel_at(ptrdiff_t pc, ptrdiff_t kc, ptrdiff_t j, ptrdiff_t columns) {
    return pc * columns + j * kc;
}

/* fd_pack by the calling thread alone; room: cache-line aligned, as many bytes as fd_pack_room
 * says. */
size_t fd_pack_room(const fd_panels *p);
void fd_pack_alone(float *panels, const fd_panels *p, char *room);

#endif
