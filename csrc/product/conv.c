/* fd_conv and its gradients. */
#include "product/conv.h"
#include "runtime/cpu.h"

/* Calls term(a, y_at, x_at, w_at) for every product of the convolution of one image: offsets of an
   element of y, of x and of w. */
#define FOR_EACH_TERM(s, body)                                                                     \
    for (ptrdiff_t q0 = 0; q0 < fd_conv_length(s, 0); q0++)                                        \
        for (ptrdiff_t q1 = 0; q1 < fd_conv_length(s, 1); q1++)                                    \
            for (ptrdiff_t q2 = 0; q2 < fd_conv_length(s, 2); q2++)                                \
                for (ptrdiff_t o = 0; o < (s)->outputs; o++)                                       \
                    for (ptrdiff_t c = 0; c < (s)->channels / (s)->groups; c++)                    \
                        for (ptrdiff_t j0 = 0; j0 < (s)->kernel[0]; j0++)                          \
                            for (ptrdiff_t j1 = 0; j1 < (s)->kernel[1]; j1++)                      \
                                for (ptrdiff_t j2 = 0; j2 < (s)->kernel[2]; j2++) {                \
                                    const ptrdiff_t p0 = q0 * (s)->stride[0] - (s)->before[0] +    \
                                                         (s)->dilation[0] * j0,                    \
                                                    p1 = q1 * (s)->stride[1] - (s)->before[1] +    \
                                                         (s)->dilation[1] * j1,                    \
                                                    p2 = q2 * (s)->stride[2] - (s)->before[2] +    \
                                                         (s)->dilation[2] * j2;                    \
                                    if (p0 < 0 || p0 >= (s)->size[0] || p1 < 0 ||                  \
                                        p1 >= (s)->size[1] || p2 < 0 || p2 >= (s)->size[2])        \
                                        continue;                                                  \
                                    const ptrdiff_t per = (s)->channels / (s)->groups,             \
                                                    group = o / ((s)->outputs / (s)->groups),      \
                                                    y_at = ((q0 * fd_conv_length(s, 1) + q1) *     \
                                                                fd_conv_length(s, 2) +             \
                                                            q2) *                                  \
                                                               (s)->outputs +                      \
                                                           o,                                      \
                                                    x_at = ((p0 * (s)->size[1] + p1) *             \
                                                                (s)->size[2] +                     \
                                                            p2) *                                  \
                                                               (s)->channels +                     \
                                                           group * per + c,                        \
                                                    w_at = (((o * per + c) * (s)->kernel[0] +      \
                                                             j0) *                                 \
                                                                (s)->kernel[1] +                   \
                                                            j1) *                                  \
                                                               (s)->kernel[2] +                    \
                                                           j2;                                     \
                                    body;                                                          \
                                }

static ptrdiff_t pixels(const fd_conv_shape *s) { return s->size[0] * s->size[1] * s->size[2]; }

int fd_conv(const fd_conv_args *a) {
    const fd_conv_shape *s = &a->shape;
    const ptrdiff_t y_step = fd_conv_positions(s) * s->outputs, x_step = pixels(s) * s->channels;
    for (ptrdiff_t i = 0; i < s->images * y_step; i++)
        a->y[i] = a->bias ? a->bias[i % s->outputs] : 0.0f;
    for (ptrdiff_t n = 0; n < s->images; n++) {
        float *y = a->y + n * y_step;
        const float *x = a->x + n * x_step;
        FOR_EACH_TERM(s, y[y_at] += x[x_at] * a->w[w_at])
    }
    fd_act_args act = {
        .y = a->y, .z = a->y, .n = s->images * y_step, .kind = a->act, .alpha = a->alpha};
    return fd_act(&act);
}

int fd_conv_dx(const fd_conv_dx_args *a) {
    const fd_conv_shape *s = &a->shape;
    const ptrdiff_t y_step = fd_conv_positions(s) * s->outputs, x_step = pixels(s) * s->channels;
    memset(a->dx, 0, (size_t)(s->images * x_step) * sizeof(float));
    for (ptrdiff_t n = 0; n < s->images; n++) {
        const float *dy = a->dy + n * y_step;
        float *dx = a->dx + n * x_step;
        FOR_EACH_TERM(s, dx[x_at] += dy[y_at] * a->w[w_at])
    }
    return FD_OK;
}

int fd_conv_dw(const fd_conv_dw_args *a) {
    const fd_conv_shape *s = &a->shape;
    const ptrdiff_t y_step = fd_conv_positions(s) * s->outputs, x_step = pixels(s) * s->channels,
                    taps = s->kernel[0] * s->kernel[1] * s->kernel[2];
    if (!a->accumulate)
        memset(a->dw, 0, (size_t)(s->outputs * (s->channels / s->groups) * taps) * sizeof(float));
    for (ptrdiff_t n = 0; n < s->images; n++) {
        const float *dy = a->dy + n * y_step, *x = a->x + n * x_step;
        FOR_EACH_TERM(s, a->dw[w_at] += dy[y_at] * x[x_at])
    }
    return FD_OK;
}
