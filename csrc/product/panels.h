/* Kept panels: the second operand of products x w^T, packed once and read by many products.

   Layout, for n rows of w and k columns: the panels of the first piece of k, then those of the
   second, and so on (fd_piece_of_k). Within a piece of kc columns, panel q holds rows
   [q*tile_n, (q+1)*tile_n) of w, element (row, p) at q*tile_n*kc + p*tile_n + row % tile_n. Rows
   behind the last are zeros, and 64 floats stand behind the last panel. */
#ifndef FD_PRODUCT_PANELS_H
#define FD_PRODUCT_PANELS_H

#include "base/common.h"
#include "fastdrop.h"
#include "runtime/tuning.h"

enum { FD_PANELS_PAD = FD_TILE_N_MOST }; /* floats behind the last panel that a vector may touch */

/* Where the panel of row j of w (a multiple of tile_n) begins for the piece [pc, pc + kc) of k;
   `rows` is n rounded up to whole panels. */
FD_INLINE ptrdiff_t fd_panel_at(ptrdiff_t pc, ptrdiff_t kc, ptrdiff_t j, ptrdiff_t rows) {
    return pc * rows + j * kc;
}

/* fd_pack by the calling thread alone. room: fd_pack_room(args) bytes, at a cache line. */
size_t fd_pack_room(const fd_pack_args *args);
void fd_pack_alone(const fd_pack_args *args, char *room);

#endif
