"""More libraries to compare with: compiled PyTorch, and JAX. Used with ``--peers all``.

Compiling a model takes half a minute and needs g++. JAX always has as many threads as the process
has cores, so it takes part only if that is the number of threads of the others (`taskset -c 0` for
one thread).
"""

from __future__ import annotations

import itertools
import os

import numpy as np

import fastdrop as fd
from fastdrop.bench import cases

torch = cases.torch()
all_peers = False  # set by --peers all, before the cases are built


def compiled() -> bool:
    """Whether compiled PyTorch takes part."""
    return all_peers and torch is not None


def jax_has_our_threads() -> bool:
    """Whether JAX takes part: it is installed and has as many threads as the others."""
    if not all_peers or fd.get_num_threads() != len(os.sched_getaffinity(0)):
        return False
    try:
        import jax
    except ImportError:
        return False
    return jax.default_backend() == "cpu"


def dropout(x, p) -> dict:
    """Dropout of x into a new array."""
    candidates = {}
    if compiled():
        tx = torch.from_numpy(x)
        function = torch.compile(lambda array: torch.nn.functional.dropout(array, p))
        candidates["PyTorch compiled"] = lambda: function(tx)
    if jax_has_our_threads():
        import jax
        from jax import numpy as jnp

        jx, key = jnp.asarray(x), jax.random.key(1)
        jitted = jax.jit(
            lambda key, array: jnp.where(
                jax.random.bernoulli(key, 1 - p, array.shape), array / (1 - p), 0.0
            )
        )
        candidates["JAX"] = lambda: jitted(key, jx).block_until_ready()
    return candidates


def matmul(a, b) -> dict:
    """The product of a and b in a new array."""
    if not jax_has_our_threads():
        return {}
    import jax
    from jax import numpy as jnp

    stored = [
        jnp.asarray(array if array.flags.c_contiguous else np.ascontiguousarray(array.T))
        for array in (a, b)
    ]
    # As in training, an operand is transposed inside the jitted function.
    turned = [not array.flags.c_contiguous for array in (a, b)]
    function = jax.jit(
        lambda left, right: (left.T if turned[0] else left) @ (right.T if turned[1] else right)
    )
    return {"JAX": lambda: function(*stored).block_until_ready()}


def mlp_steps(x, y, hidden) -> dict:
    """Training steps of 784-h-h-10 with and without dropout."""
    candidates = {}
    for suffix, rates in (("", cases.RATES), (", no dropout", (0, 0, 0))):
        if compiled():
            model = cases.mlp(torch.nn, hidden, rates)
            candidates["PyTorch compiled" + suffix] = cases.training_step(
                model, x, y, compiled=torch.compile
            )
        if jax_has_our_threads():
            candidates["JAX" + suffix] = jax_training_step((784, hidden, hidden, 10), rates, x, y)
    return candidates


def jax_training_step(sizes, rates, x, y, lr=0.01):
    """A jitted training step of an MLP: ReLU, cross-entropy, SGD with momentum 0.9.

    `rates` are the dropout rates before the layers; 0 for none.
    """
    import jax
    from jax import numpy as jnp

    rng = np.random.default_rng(0)
    shapes = list(itertools.pairwise(sizes))
    weights = [
        (
            jnp.asarray(rng.uniform(-1, 1, (i, o)).astype(np.float32) / i**0.5),
            jnp.zeros(o, jnp.float32),
        )
        for i, o in shapes
    ]
    x, y = jnp.asarray(x), jnp.asarray(y)

    def loss_of(weights, key):
        h = x
        for i, ((w, b), p) in enumerate(zip(weights, rates, strict=True)):
            if p:
                key, own = jax.random.split(key)
                h = jnp.where(jax.random.bernoulli(own, 1 - p, h.shape), h / (1 - p), 0.0)
            h = h @ w + b
            if i + 1 < len(weights):
                h = jax.nn.relu(h)
        return -jax.nn.log_softmax(h)[jnp.arange(len(y)), y].mean()

    @jax.jit
    def update(weights, momentum, key):
        key, own = jax.random.split(key)
        loss, grads = jax.value_and_grad(loss_of)(weights, own)
        momentum = jax.tree.map(lambda m, g: 0.9 * m + g, momentum, grads)
        return loss, jax.tree.map(lambda w, m: w - lr * m, weights, momentum), momentum, key

    state = [weights, jax.tree.map(jnp.zeros_like, weights), jax.random.key(0)]

    def step():
        loss, *state[:] = update(*state)
        return float(loss)

    return step
