/* Epilogues of a dense layer; see epilogue.h.

   Bias, ReLU and dropout happen in the register tile, before the sums are stored. Other activations
   run over a strip of C while it is in the first cache. Both ways give the same bits as the
   operations one after the other. */
#include "product/epilogue.h"

static void start_bias(const fd_nest *nest, fd_tile *t, const fd_scratch *s, ptrdiff_t i,
                       ptrdiff_t jc, ptrdiff_t nc) {
    const fd_layer_end *end = nest->out.context;
    (void)s, (void)i, (void)nc;
    t->bias = end->bias ? end->bias + jc : NULL;
    t->relu = end->act == FD_RELU;
}

static void start_bias_drop(const fd_nest *nest, fd_tile *t, const fd_scratch *s, ptrdiff_t i,
                            ptrdiff_t jc, ptrdiff_t nc) {
    const fd_drop *drop = &((const fd_layer_end *)nest->out.context)->drop;
    const ptrdiff_t group = jc / FD_GROUP, groups = (jc + nc - 1) / FD_GROUP - group + 1;
    start_bias(nest, t, s, i, jc, nc);
    nest->kernels->keep_bits(s->bits, drop->stream, i, t->mr, group, groups, drop->q);
    t->bits = s->bits;
    t->bits_ld = groups * FD_GROUP_WORDS;
    t->bit0 = jc - group * FD_GROUP;
    t->scale = drop->scale;
}

static void finish_act(const fd_nest *nest, const fd_tile *t, const fd_scratch *s, ptrdiff_t i,
                       ptrdiff_t jc, ptrdiff_t nc) {
    const fd_layer_end *end = nest->out.context;
    float *c = nest->c + i * nest->ldc + jc;
    (void)s;
    for (ptrdiff_t r = 0; r < t->mr; r++, c += nest->ldc)
        nest->kernels->act(c, c, nc, end->act, end->alpha);
}

static void finish_act_drop(const fd_nest *nest, const fd_tile *t, const fd_scratch *s, ptrdiff_t i,
                            ptrdiff_t jc, ptrdiff_t nc) {
    const fd_layer_end *end = nest->out.context;
    float *c = nest->c + i * nest->ldc + jc;
    finish_act(nest, t, s, i, jc, nc);
    nest->kernels->dropout(c, nest->ldc, c, nest->ldc, &end->drop, i, t->mr, jc, nc, 0);
}

fd_epilogue fd_epilogue_of(const fd_layer_end *end) {
    fd_epilogue out = {.context = end};
    const int drops = end->drop.stream != NULL;
    if (end->act == FD_NONE || end->act == FD_RELU) {
        if (drops) out.start = start_bias_drop;
        else if (end->bias || end->act == FD_RELU) out.start = start_bias;
    } else {
        if (end->bias) out.start = start_bias;
        out.finish = drops ? finish_act_drop : finish_act;
    }
    return out;
}
