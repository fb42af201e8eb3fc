"""Recurrent networks. The rows of packed sequences stand step after step."""

CELL_TANH, CELL_RELU, CELL_GRU, CELL_LSTM = FD_RNN_TANH, FD_RNN_RELU, FD_GRU, FD_LSTM


cdef class RecurrentLayer:
    """One direction of a recurrent layer over packed sequences, for one forward pass.

    Parameters
    ----------
    cell : int
        CELL_TANH, CELL_RELU, CELL_GRU or CELL_LSTM.
    rows : int64 array (steps,)
        The sequences of each step, not increasing.
    w_ih, w_hh : array (gates * units, inputs), (gates * units, outs)
    w_hr : array (outs, units) or None
        The projection of an LSTM; None: outs = units.
    reverse : bool
        From the last step of each sequence to its first.
    input, hidden, update, zone_c, zone_h, weights : tuple (stream, q, scale) or None
        As fd_recurrent_masks.
    per_gate, update_per_step : bool
    fresh_c, fresh_h : float
    first_step : int
    """

    cdef fd_recurrent_layer c
    cdef readonly tuple kept  # what the pointers point into

    def __init__(self, int cell, cnp.ndarray rows, cnp.ndarray w_ih, cnp.ndarray w_hh,
                 cnp.ndarray w_hr=None, bint reverse=False, tuple input=None,
                 tuple hidden=None, tuple update=None,
                 tuple zone_c=None, tuple zone_h=None, tuple weights=None, bint per_gate=False,
                 bint update_per_step=True, float fresh_c=1.0, float fresh_h=1.0,
                 Py_ssize_t first_step=0):
        self.kept = (rows, w_ih, w_hh, w_hr, input, hidden, update, zone_c, zone_h, weights)
        self.c.cell, self.c.reverse, self.c.steps = cell, reverse, rows_of(rows)
        self.c.inputs, self.c.outs = cnp.PyArray_DIM(w_ih, 1), cnp.PyArray_DIM(w_hh, 1)
        self.c.units = self.c.outs if w_hr is None else cnp.PyArray_DIM(w_hr, 1)
        self.c.rows, self.c.w_ih, self.c.w_hh = longs(rows), data(w_ih), data(w_hh)
        self.c.w_hr = data_or_null(w_hr)
        self.c.masks.input, self.c.masks.hidden = drop_tuple(input), drop_tuple(hidden)
        self.c.masks.update, self.c.masks.weights = drop_tuple(update), drop_tuple(weights)
        self.c.masks.zone_c, self.c.masks.zone_h = drop_tuple(zone_c), drop_tuple(zone_h)
        self.c.masks.per_gate, self.c.masks.update_per_step = per_gate, update_per_step
        self.c.masks.fresh_c, self.c.masks.fresh_h = fresh_c, fresh_h
        self.c.masks.first_step = first_step

    def workspace(self, bint keep):
        """The floats of the workspace of `recurrent`, which keeps what the backward pass needs."""
        return fd_recurrent_workspace(&self.c, keep)

    def backward_workspace(self):
        """The floats of the workspace of `recurrent_backward`."""
        return fd_recurrent_backward_workspace(&self.c)


def recurrent(RecurrentLayer layer, cnp.ndarray y, cnp.ndarray h, cnp.ndarray c,
              cnp.ndarray gates, cnp.ndarray states, cnp.ndarray cells,
              cnp.ndarray workspace, cnp.ndarray x, cnp.ndarray b_ih, cnp.ndarray b_hh):
    """All steps; the arrays as in fd_recurrent_args."""
    cdef int status
    cdef fd_recurrent_args args
    args.y, args.h, args.c, args.gates = data(y), data(h), data_or_null(c), data_or_null(gates)
    args.states, args.workspace, args.x = data_or_null(states), data(workspace), data(x)
    args.b_ih, args.b_hh, args.layer = data_or_null(b_ih), data_or_null(b_hh), layer.c
    args.cells = data_or_null(cells)
    with nogil:
        status = fd_recurrent(&args)
    done(status)


def recurrent_backward(RecurrentLayer layer, cnp.ndarray gates, cnp.ndarray dh, cnp.ndarray dc,
                       cnp.ndarray previous, cnp.ndarray projected, cnp.ndarray workspace,
                       cnp.ndarray dy, cnp.ndarray y, cnp.ndarray states, cnp.ndarray h0,
                       cnp.ndarray c0):
    """The gradients of the gates' sums and the first state; as in fd_recurrent_backward_args."""
    cdef int status
    cdef fd_recurrent_backward_args args
    args.gates, args.dh, args.dc = data(gates), data(dh), data_or_null(dc)
    args.previous, args.workspace = data(previous), data(workspace)
    args.dy, args.y = data(dy), data(y)
    args.states, args.h0, args.c0 = data_or_null(states), data(h0), data_or_null(c0)
    args.layer, args.projected = layer.c, data_or_null(projected)
    with nogil:
        status = fd_recurrent_backward(&args)
    done(status)
