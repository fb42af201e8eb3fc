"""Steps of the optimisers, in place, and the limit on the norm of rows."""


def max_norm_rows(cnp.ndarray w, float c):
    """Rows of w (O, I) whose Euclidean norm is above c are scaled to norm c."""
    cdef int status
    cdef fd_max_norm_rows_args args
    args.w, args.rows, args.cols, args.c = data(w), rows_of(w), units_of(w), c
    with nogil:
        status = fd_max_norm_rows(&args)
    done(status)


def is_one_piece(Py_ssize_t k):
    """Whether a gradient that is a product of length k may be given to an optimiser as such."""
    return bool(fd_is_one_piece(k))


cdef int sgd_step(cnp.ndarray p, object g, cnp.ndarray buf, float lr, float momentum,
                  float dampening, float weight_decay, bint nesterov, bint first) except -1:
    cdef int status
    cdef fd_product product
    cdef fd_sgd_args args
    cdef fd_thin_part[FD_THIN_PARTS] parts
    cdef fd_thin_put_args thinned
    cdef cnp.ndarray a, b
    args.g, args.product = NULL, NULL
    cdef bint is_sum = isinstance(g, list)
    if is_sum:
        thinned.m, thinned.units = rows_of(p), cnp.PyArray_DIM(p, 1)
        sum_of(&thinned, parts, g)
    elif isinstance(g, tuple):
        a, b, drop, product_bf16 = g
        memset(&product, 0, sizeof(product))
        product.a, product.ta, product.b = data(a), 1, data(b)
        product.m = product.lda = cnp.PyArray_DIM(a, 1)
        product.n = product.ldb = cnp.PyArray_DIM(b, 1)
        product.k, product.repeat = rows_of(a), 1
        product.drop = product.a_drop = drop_of(None, FD_KEEP_ALL, 1.0)
        product.b_drop, product.bf16 = drop_tuple(drop), product_bf16
        args.product = &product
    else:
        args.g = data(g)
    args.p, args.buf, args.n = data(p), data_or_null(buf), cnp.PyArray_SIZE(p)
    args.lr, args.momentum, args.dampening = lr, momentum, dampening
    args.weight_decay, args.nesterov, args.first = weight_decay, nesterov, first
    with nogil:
        status = fd_thin_sgd(&args, &thinned) if is_sum else fd_sgd(&args)
    return done(status)


def sgd(cnp.ndarray p, object g, cnp.ndarray buf, float lr, float momentum, float dampening,
        float weight_decay, bint nesterov, bint first):
    """A step of SGD; buf None: no momentum.

    g: an array; or a gradient that is not stored: a tuple (a, b, b_drop, bf16), the product a^T b,
    or a list of parts, their sum (see `thin_put`).
    """
    sgd_step(p, g, buf, lr, momentum, dampening, weight_decay, nesterov, first)


def sgd_all(list updates):
    """A step of SGD for each (tensor, p, g, state, group).

    Returns False, and has changed nothing, where a state lacks its "momentum_buffer".
    """
    cdef tuple update
    cdef dict state, group
    for update in updates:
        state, group = update[3], update[4]
        if group["momentum"] and state.get("momentum_buffer") is None:
            return False
    for update in updates:
        state, group = update[3], update[4]
        sgd_step(update[1], update[2], state["momentum_buffer"] if group["momentum"] else None,
                 group["lr"], group["momentum"], group["dampening"], group["weight_decay"],
                 group["nesterov"], False)
    return True


cdef int adam_step(cnp.ndarray p, cnp.ndarray g, cnp.ndarray m, cnp.ndarray v, double lr,
                   double beta1, double beta2, float eps, double weight_decay, bint decoupled,
                   long long step) except -1:
    cdef int status
    cdef fd_adam_args args
    args.p, args.m, args.v, args.g, args.n = data(p), data(m), data(v), data(g), cnp.PyArray_SIZE(p)
    args.beta1, args.beta2, args.eps = beta1, beta2, eps
    args.step_size = lr / (1.0 - beta1 ** <double>step)
    args.v_scale = 1.0 / sqrt(1.0 - beta2 ** <double>step)
    args.l2 = 0.0 if decoupled else weight_decay
    args.shrink = lr * weight_decay if decoupled else 0.0
    with nogil:
        status = fd_adam(&args)
    return done(status)


def adam(cnp.ndarray p, cnp.ndarray g, cnp.ndarray m, cnp.ndarray v, double lr, double beta1,
         double beta2, float eps, double weight_decay, bint decoupled, long long step):
    """A step of Adam, or of AdamW if decoupled; step counts from 1.

    Bias correction: lr / (1 - beta1^step) and sqrt(v) / sqrt(1 - beta2^step).
    """
    adam_step(p, g, m, v, lr, beta1, beta2, eps, weight_decay, decoupled, step)


def adam_all(list updates, bint decoupled):
    """A step of Adam for each (tensor, p, g, state, group).

    Returns False, and has changed nothing, where a state is empty.
    """
    cdef tuple update
    cdef dict state, group
    for update in updates:
        if not update[3]:
            return False
    for update in updates:
        state, group = update[3], update[4]
        step = state["step"] = state["step"] + 1
        beta1, beta2 = group["betas"]
        adam_step(update[1], update[2], state["exp_avg"], state["exp_avg_sq"], group["lr"], beta1,
                  beta2, group["eps"], group["weight_decay"], decoupled, step)
    return True


def rmsprop(cnp.ndarray p, cnp.ndarray g, cnp.ndarray v, cnp.ndarray buf, float lr, double alpha,
            float eps, float weight_decay, float momentum):
    """A step of RMSprop; buf None: no momentum."""
    cdef int status
    cdef fd_rmsprop_args args
    args.p, args.v, args.buf, args.g = data(p), data(v), data_or_null(buf), data(g)
    args.n, args.alpha, args.lr, args.eps = cnp.PyArray_SIZE(p), alpha, lr, eps
    args.weight_decay, args.momentum = weight_decay, momentum
    with nogil:
        status = fd_rmsprop(&args)
    done(status)
