"""Modes of the calling context: recording of gradients, evaluation, the open forward pass, the run.

They stand in one `_ContextState` in a context variable (PEP 567), so each thread and each asyncio
task has its own. A `Scope` changes them for a `with` block. Scopes are written in Cython because a
KeyboardInterrupt can arrive inside of a Python `__enter__` or `__exit__`, but not inside of these;
it would leave the mode of the block behind.

Blocks in generators may end in another order than they began. So a scope that ends removes its own
change and keeps those of the others. It does not restore what was there when it began.
"""

cimport cython
from cpython.object cimport PyObject_GenericGetAttr, PyObject_GenericSetAttr
from cpython.contextvars cimport (
    PyContextVar_New_with_default as new_context_variable,
    PyContextVar_Reset,
    PyContextVar_Set,
    get_value,
)

cdef object NO_OVERRIDES = {}
# How many scopes ended that other contexts may still contain. A state that was checked at another
# number is checked again (`without_ended_scopes`).
cdef long n_ended = 0


@cython.final
@cython.freelist(16)
cdef class _Entry:
    """One use of a scope: from its `__enter__` to its `__exit__`."""

    cdef Scope scope
    cdef _Entry previous     # the use of the same scope around this one, or None
    cdef object token       # tells at the end whether the context is the one of the beginning
    cdef bint ended         # for all contexts


@cython.final
@cython.freelist(16)
cdef class _ContextState:
    """What a context knows. It does not change once the scope that made it is entered."""

    cdef object run                 # own_run object or None
    cdef object forward_pass        # ForwardPass or None
    cdef object overrides           # dict
    cdef Py_ssize_t batched_passes
    cdef Py_ssize_t batched_samples
    cdef bint grad_enabled
    cdef bint reads_passes
    cdef bint skips_init
    cdef object matmul_precision    # str, or None: that of the process
    cdef ModeScope mode_scope       # the innermost one, or None
    cdef _Entry entry                # of the scope that made this state; None for the first state
    cdef _ContextState outer
    cdef bint rebuilt               # the entry's token belongs to an earlier version of the state
    cdef long checked


cdef _ContextState first_state():
    cdef _ContextState state = _ContextState()
    state.overrides = NO_OVERRIDES
    state.grad_enabled = True
    return state


cdef object modes_variable = new_context_variable("fastdrop_modes", first_state())


cdef _ContextState state_now():
    """The state of the calling context."""
    cdef _ContextState state = <_ContextState>get_value(modes_variable)
    return state if state.checked == n_ended else without_ended_scopes(state)


cdef _ContextState state_inside(_ContextState outer, _Entry entry):
    """The state inside of a scope that is entered in `outer`."""
    cdef _ContextState state = _ContextState()
    state.run = outer.run
    state.forward_pass = outer.forward_pass
    state.overrides = outer.overrides
    state.batched_passes = outer.batched_passes
    state.batched_samples = outer.batched_samples
    state.grad_enabled = outer.grad_enabled
    state.reads_passes = outer.reads_passes
    state.skips_init = outer.skips_init
    state.matmul_precision = outer.matmul_precision
    state.mode_scope = outer.mode_scope
    state.entry = entry
    state.outer = outer
    state.checked = outer.checked
    entry.scope.change(state)
    return state


cdef _ContextState without(_ContextState state, _Entry entry):
    """The state as if the scope of `entry` had not been entered."""
    if state.entry is entry:
        return state.outer
    cdef _ContextState rebuilt = state_inside(without(state.outer, entry), state.entry)
    rebuilt.rebuilt = True
    return rebuilt


cdef _ContextState without_ended_scopes(_ContextState state):
    """The state without scopes that have ended, which becomes the state of the context.

    A context contains such scopes when it is a copy of the one they began in (a task that was
    created inside of the block), or when a generator was closed in another context.
    """
    cdef _ContextState now = state
    cdef _ContextState place = state
    while place.entry is not None:
        if place.entry.ended:
            now = without(now, place.entry)
        place = place.outer
    if now is not state:
        PyContextVar_Set(modes_variable, now)
    place = now
    while place is not None and place.checked != n_ended:
        place.checked = n_ended
        place = place.outer
    return now


cdef int leave_passes(_ContextState state) except -1:
    """What surrounds the block concerns another forward pass: begin outside of all passes."""
    if state.forward_pass is not None or "masks" in state.overrides:
        state.overrides = NO_OVERRIDES
    state.forward_pass = None
    state.batched_passes = state.batched_samples = 0
    state.reads_passes = False
    return 0


cdef class Scope:
    """Context manager: inside, these modes of the calling context have other values.

    The same object may be entered several times, also in several threads.

    Parameters
    ----------
    changes : dict
        Values by the names of `CallingContext`; "added": a dict that is merged into the overrides;
        "outside_passes": whether to begin outside of all forward passes.
    ends_in_copies : bool
        Copies of the context that were made inside (by tasks, for one) leave the scope when the
        block ends. Otherwise they stay in it, as they do for other context variables.
    """

    cdef dict changes
    cdef bint ends_in_copies
    cdef _Entry latest

    def __init__(self, dict changes=None, bint ends_in_copies=False):
        self.changes, self.ends_in_copies = changes, ends_in_copies

    cdef int change(self, _ContextState state) except -1:
        """Make the changes in a new state."""
        for name, value in self.changes.items():
            if name == "added":
                state.overrides = {**state.overrides, **value}
            elif name == "overrides":
                state.overrides = value
            elif name == "run":
                state.run = value
            elif name == "forward_pass":
                state.forward_pass = value
            elif name == "batched_passes":
                state.batched_passes = value
            elif name == "batched_samples":
                state.batched_samples = value
            elif name == "grad_enabled":
                state.grad_enabled = value
            elif name == "reads_passes":
                state.reads_passes = value
            elif name == "skips_init":
                state.skips_init = value
            elif name == "matmul_precision":
                state.matmul_precision = value
            elif name == "outside_passes":
                leave_passes(state)
            else:
                raise KeyError(name)
        return 0

    cdef object target(self):
        """The value of the `with` statement."""
        return None

    def __enter__(self):
        cdef _Entry entry = _Entry()
        entry.scope, entry.previous = self, self.latest
        cdef _ContextState state = state_inside(state_now(), entry)
        self.latest = entry
        entry.token = PyContextVar_Set(modes_variable, state)
        return self.target()

    def __exit__(self, *exc):
        global n_ended
        cdef _ContextState state = state_now()
        cdef _ContextState place = state
        cdef _ContextState now
        cdef _Entry entry
        cdef bint same_context = True
        while place.entry is not None and place.entry.scope is not self:
            place = place.outer
        entry = place.entry
        if entry is None:  # the block began in another context
            entry, same_context = self.latest, False
            if entry is None:
                raise RuntimeError(f"{type(self).__name__} ended without having been entered")
        else:
            now = without(state, entry)
            if entry.token is not None:
                try:
                    PyContextVar_Reset(modes_variable, entry.token)
                except ValueError:
                    same_context = False
            # The token restores what was there at the beginning. Other scopes may have changed it.
            if place is not state or state.rebuilt or entry.token is None or not same_context:
                PyContextVar_Set(modes_variable, now)
        entry.token = None
        if self.ends_in_copies or not same_context:
            entry.ended = True
            n_ended += 1
        self.forget(entry)

    cdef int forget(self, _Entry entry) except -1:
        cdef _Entry place = self.latest
        if place is entry:
            self.latest = entry.previous
        while place is not None:
            if place.previous is entry:
                place.previous = entry.previous
            place = place.previous
        return 0


cdef class GradScope(Scope):
    """Scope in which operations are recorded for backward, or not."""

    cdef public bint enabled

    cdef int change(self, _ContextState state) except -1:
        state.grad_enabled = self.enabled
        return 0


cdef class PassScope(Scope):
    """Scope of an open forward pass, which is the value of the `with` statement."""

    cdef public object opened

    def __cinit__(self):
        self.ends_in_copies = True

    cdef int change(self, _ContextState state) except -1:
        state.forward_pass = self.opened
        return 0

    cdef object target(self):
        return self.opened


cdef class ModeScope(Scope):
    """Scope in which a model is in evaluation or training mode, for the calling context only.

    The scope begins outside of all forward passes. Modes that are set inside of it hold until it
    ends. A subclass defines `find_members()`, which returns the id() of the modules below `model`.

    Parameters
    ----------
    model : Module
    training : bool
    """

    cdef readonly object model
    cdef bint training
    cdef object members     # set of id(), or None: not known, or the structure has changed
    cdef dict set_inside    # by id(): (module, mode)

    def __init__(self, model, bint training):
        self.ends_in_copies = True
        self.model, self.training = model, training

    cdef int change(self, _ContextState state) except -1:
        leave_passes(state)
        state.mode_scope = self
        return 0

    cdef bint covers(self, module) except -1:
        if module is self.model:
            return True
        if self.members is None:
            self.members = self.find_members()
        return <Py_ssize_t><void *>module in self.members
