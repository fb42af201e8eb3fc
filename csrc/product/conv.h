/* What the algorithms of convolution share. Internal: not installed. */
#ifndef FD_PRODUCT_CONV_H
#define FD_PRODUCT_CONV_H

#include "base/common.h"
#include "fastdrop.h"

/* Output positions along an axis. */
FD_INLINE ptrdiff_t fd_conv_length(const fd_conv_shape *s, int axis) {
    const ptrdiff_t room = s->size[axis] + s->before[axis] + s->after[axis] -
                           s->dilation[axis] * (s->kernel[axis] - 1) - 1;
    return room < 0 ? 0 : room / s->stride[axis] + 1;
}

/* Output positions of an image. */
FD_INLINE ptrdiff_t fd_conv_positions(const fd_conv_shape *s) {
    return fd_conv_length(s, 0) * fd_conv_length(s, 1) * fd_conv_length(s, 2);
}

#endif
