/* The calls on sequences: recurrent networks, and attention at the end. Part of fastdrop.h, whose
   rules hold.

   The steps of a batch of sequences are packed: step t has the rows [at, at + rows[t]), where `at`
   is the number of rows of the steps before it, and its row b belongs to sequence b. rows[] never
   increases: the longest sequence comes first. */
#ifndef FASTDROP_SEQUENCES_H
#define FASTDROP_SEQUENCES_H

#include "base/types.h"

/* The cells (enum fd_cell). With a = W_ih x_t + b_ih and r = W_hh h_{t-1} + b_hh, cut into
   the gates of a cell (sigma is the logistic function):
     FD_RNN_TANH, FD_RNN_RELU   h = tanh(a + r), h = max(a + r, 0)
     FD_GRU     r, z = sigma(a + r), n = tanh(a_n + r * r_n), h = (1 - z) * n + z * h_{t-1}
     FD_LSTM    i, f, o = sigma(a + r), g = tanh(a + r), c = f * c_{t-1} + i * g, h = o * tanh(c)
   The rows of the weights are the gates in this order: r z n, and i f g o.
   An LSTM may have a projection, h = W_hr (o * tanh(c)): then h has fewer numbers than the layer
   has units, and so has what W_hh multiplies. Below, `outs` is the count of the numbers of h.

   The masks of a layer, each a dropout without shift and fill, or without a stream (then none). The
   sequences are the rows of their streams, but for `input`. "Each step": the second coordinate is
   the number of the step in the data. */
typedef struct {
    fd_drop input;  /* of x, of whose rows its stream has the numbers; with per_gate the second
                       coordinate is the gate */
    fd_drop hidden; /* of what W_hh multiplies, the same in all steps; per_gate as above */
    fd_drop update; /* of the LSTM's g, or the GRU's n, in the new state */
    fd_drop zone_c, zone_h; /* each step: where dropped, the state stays as it was; no scale */
    fd_drop weights;        /* of w_hh, by_sub: row i has the second coordinate sub + i */
    int per_gate;
    int update_per_step; /* else `update` is the same in all steps */
    /* Without a stream the new state is fresh * new + (1 - fresh) * old: the expectation. 1: new.
     */
    float fresh_c, fresh_h;
    ptrdiff_t first_step; /* number of the first step of the data, for the masks of each step */
} fd_recurrent_masks;

typedef struct {
    int cell;    /* enum fd_cell */
    int reverse; /* from the last step of each sequence to its first */
    ptrdiff_t steps, inputs, units;
    ptrdiff_t outs;           /* with a projection; else `units`, whatever it is */
    const int64_t *rows;      /* steps */
    const float *w_ih, *w_hh; /* gates * units x inputs, gates * units x outs */
    const float *w_hr;        /* outs x units, or NULL: no projection */
    fd_recurrent_masks masks;
} fd_recurrent_layer;

/* All steps. `gates`, `states` and `cells` are what the backward pass needs; NULL where there is
   none. `gates` holds four rows of `units` for an LSTM and a GRU, and one for the others, for each
   row of x. */
typedef struct {
    float *y;              /* rows of x x outs */
    float *h, *c;          /* rows[0] x outs, units: in the first state, out the last; c: LSTM */
    float *gates, *states; /* states: c after each step, rows of x x units; LSTM */
    float *cells;          /* what w_hr multiplies, rows of x x units; with a projection */
    float *workspace;      /* fd_recurrent_workspace floats */
    const float *x;
    const float *b_ih, *b_hh; /* gates * units, or NULL both */
    fd_recurrent_layer layer;
} fd_recurrent_args;
int fd_recurrent(const fd_recurrent_args *args);
/* Floats of its workspace; keep: whether `gates` is not NULL. */
ptrdiff_t fd_recurrent_workspace(const fd_recurrent_layer *layer, int keep);

/* The gradients of the gates' sums, in the order of the weights' rows, and of the first state. */
typedef struct {
    float *gates;     /* in: of the forward call; out: the gradients of W_ih x + b_ih; with
                         a GRU the first `units` numbers of a row are those of the part
                         n of W_hh h + b_hh */
    float *dh, *dc;   /* in: of the last state, out: of the first */
    float *previous;  /* what the products with w_hh read in each step, rows of x x outs:
                         h before the step, dropped out by masks.hidden; with that mask
                         and per_gate one such array for each gate */
    float *projected; /* out: the gradients of what w_hr gives, rows of x x outs; with a
                         projection */
    float *workspace; /* fd_recurrent_backward_workspace floats */
    const float *dy, *y, *states;
    const float *h0, *c0; /* the first state */
    fd_recurrent_layer layer;
} fd_recurrent_backward_args;
int fd_recurrent_backward(const fd_recurrent_backward_args *args);

ptrdiff_t fd_recurrent_backward_workspace(const fd_recurrent_layer *layer);

/* Attention of `heads` heads of queries to `kv_heads` heads of keys and values, of which each
   serves heads / kv_heads in order. With i, j for a query and a key of a sample and a head, w_ij =
   exp(scale * q_i k_j + bias_ij) / sum over j,   o_i = sum over j of dropout(w)_ij v_j where j goes
   over the keys that i sees: those that are `allowed`, and with `causal` those with j <= i +
   query_offset. A query that sees none has o = 0. Dropout: rows are the samples, the second
   coordinate is head * 2^22 + query_offset + i, units are keys. */

/* Floats, or bytes, from a sample, a head and a query (or key) to the next. The last axis is dense.
 */
typedef struct {
    ptrdiff_t sample, head, row;
} fd_heads;

typedef struct {
    ptrdiff_t samples, heads, kv_heads, queries, keys;
    ptrdiff_t size, v_size; /* of q and k; of v and o */
    const float *q, *k, *v;
    fd_heads q_at, k_at, v_at;
    const uint8_t *allowed; /* 0 or 1; or NULL: all */
    const float *bias;      /* or NULL */
    fd_heads allowed_at, bias_at;
    float scale;
    int causal;
    ptrdiff_t query_offset;
    fd_drop drop; /* without shift and fill */
} fd_attention_layer;

typedef struct {
    float *o;
    fd_heads o_at;
    float *log_sums; /* samples x heads x queries, base 2; infinite where nothing is seen */
    fd_attention_layer layer;
} fd_attention_args;
int fd_attention(const fd_attention_args *args);

typedef struct {
    float *dq, *dk, *dv;
    float *d_scores; /* the gradient of bias, samples x heads x queries x keys; or NULL */
    fd_heads dq_at, dk_at, dv_at;
    const float *o, *d_o;
    fd_heads o_at, d_o_at;
    const float *log_sums;
    fd_attention_layer layer;
} fd_attention_backward_args;
int fd_attention_backward(const fd_attention_backward_args *args);

/* The weights after dropout, samples x heads x queries x keys. */
typedef struct {
    float *weights;
    const float *log_sums;
    fd_attention_layer layer;
} fd_attention_weights_args;
int fd_attention_weights(const fd_attention_weights_args *args);

#endif
