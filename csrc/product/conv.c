/* fd_conv and its gradients: chooses the algorithm. A kernel of one position at every position is a
   plain product. */
#include "product/conv.h"
#include "product/map_dropout.h"

static int is_product(const fd_conv_shape *s) {
    for (int i = 0; i < 3; i++)
        if (s->kernel[i] != 1 || s->stride[i] != 1 || s->before[i] || s->after[i]) return 0;
    return s->groups == 1;
}

/* c = op(a) b, a (rows x k) or its transpose. */
static fd_product product(const fd_conv_shape *s) {
    return (fd_product){.m = s->images * fd_conv_positions(s), .repeat = 1};
}

/* Whether an array of the call has no elements. */
static int is_empty(const fd_conv_shape *s) {
    return s->images == 0 || fd_conv_positions(s) == 0 || s->outputs == 0;
}

/* conv(x, w) + bias; with the activation where it is ReLU or the convolution a product. */
static int plain_conv(const fd_conv_args *a, const fd_map_dropout_args *drop) {
    const fd_conv_shape *s = &a->shape;
    if (fd_conv_is_winograd(s, FD_CONV_FORWARD)) return fd_conv_winograd(a, drop);
    if (!is_product(s)) return fd_conv_direct(a, drop);
    fd_product p = product(s);
    p.c = a->y, p.a = a->x, p.b = a->w, p.tb = 1, p.bias = a->bias;
    p.n = p.ldc = s->outputs, p.k = p.lda = p.ldb = s->channels;
    p.act = a->act, p.alpha = a->alpha, p.panels = a->panels;
    return fd_gemm(&p);
}

ptrdiff_t fd_conv_panels_length(const fd_conv_shape *s) {
    if (fd_conv_is_winograd(s, FD_CONV_FORWARD)) return fd_conv_winograd_panels(s);
    return is_product(s) ? fd_panels_length(s->outputs, s->channels) : fd_conv_direct_panels(s);
}

int fd_conv_pack(const fd_conv_pack_args *a) {
    const fd_conv_shape *s = &a->shape;
    if (fd_conv_is_winograd(s, FD_CONV_FORWARD)) return fd_conv_winograd_pack(a);
    if (!is_product(s)) return fd_conv_direct_pack(a);
    const fd_pack_args pack = {.panels = a->panels,
                               .w = a->w,
                               .n = s->outputs,
                               .k = s->channels,
                               .units = s->channels,
                               .scale = 1.0f};
    return fd_pack(&pack);
}

int fd_conv(const fd_conv_args *a) {
    const fd_conv_shape *s = &a->shape;
    if (is_empty(s)) return FD_OK;
    const fd_map_dropout_args drop = {.y = a->y,
                                      .x = a->y,
                                      .images = s->images,
                                      .channels = s->outputs,
                                      .positions = fd_conv_positions(s),
                                      .drop = a->drop,
                                      .by_channel = a->by_channel};
    const int has_act = is_product(s) || a->act == FD_NONE || a->act == FD_RELU,
              inside = a->drop.stream && !fd_map_dropout_is_plain(&a->drop) && has_act &&
                       !is_product(s) && s->groups == 1;
    int status = plain_conv(a, inside ? &drop : NULL);
    if (status == FD_OK && !has_act) {
        fd_act_args act = {.y = a->y,
                           .z = a->y,
                           .n = s->images * fd_conv_positions(s) * s->outputs,
                           .kind = a->act,
                           .alpha = a->alpha};
        status = fd_act(&act);
    }
    if (status == FD_OK && a->drop.stream && !inside) status = fd_map_dropout(&drop);
    return status;
}

int fd_conv_dx(const fd_conv_dx_args *a) {
    const fd_conv_shape *s = &a->shape;
    if (is_empty(s)) {
        const ptrdiff_t n = s->images * s->size[0] * s->size[1] * s->size[2] * s->channels;
        if (n > 0) memset(a->dx, 0, (size_t)n * sizeof(float));
        return FD_OK;
    }
    if (fd_conv_is_winograd(s, FD_CONV_DATA)) return fd_conv_winograd_dx(a);
    if (!is_product(s)) return fd_conv_direct_dx(a);
    fd_product p = product(s);
    p.c = a->dx, p.a = a->dy, p.b = a->w;
    p.n = p.ldc = p.ldb = s->channels, p.k = p.lda = s->outputs;
    return fd_gemm(&p);
}

int fd_conv_dw(const fd_conv_dw_args *a) {
    const fd_conv_shape *s = &a->shape;
    if (is_empty(s)) {
        const ptrdiff_t taps = s->kernel[0] * s->kernel[1] * s->kernel[2],
                        n = s->outputs * (s->channels / s->groups) * taps;
        if (n > 0 && !a->accumulate) memset(a->dw, 0, (size_t)n * sizeof(float));
        return FD_OK;
    }
    if (fd_conv_is_winograd(s, FD_CONV_WEIGHT)) return fd_conv_winograd_dw(a);
    if (!is_product(s)) return fd_conv_direct_dw(a);
    fd_product p = product(s);
    p.c = a->dw, p.a = a->dy, p.ta = 1, p.b = a->x, p.k = p.m, p.accumulate = a->accumulate;
    p.m = p.lda = s->outputs, p.n = p.ldc = p.ldb = s->channels;
    return fd_gemm(&p);
}
