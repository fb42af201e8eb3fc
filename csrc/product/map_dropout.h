/* Dropout of channels-last maps, also as the end of a convolution. Internal: not installed. */
#ifndef FD_PRODUCT_MAP_DROPOUT_H
#define FD_PRODUCT_MAP_DROPOUT_H

#include "base/common.h"
#include "fastdrop.h"
#include "kernels/table.h"

/* Bytes that fd_map_dropout_some needs for the bits of these channels. */
size_t fd_map_dropout_room(ptrdiff_t channels, ptrdiff_t positions, int by_channel);

/* Channels [c0, c1) of an image, on the calling thread, with a mask of which something is kept and
   something not (fd_map_dropout_is_plain). */
void fd_map_dropout_some(const fd_map_dropout_args *a, const fd_table *k, uint32_t *bits,
                         ptrdiff_t image, ptrdiff_t c0, ptrdiff_t c1, int uncached);

/* Whether no bit of a mask is needed. */
int fd_map_dropout_is_plain(const fd_drop *drop);

#endif
