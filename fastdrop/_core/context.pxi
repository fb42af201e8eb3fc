"""Modes of the calling context: recording of gradients, evaluation, the open forward pass, the run.

They stand in one `ContextState` in a context variable (PEP 567), so each thread and each asyncio
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
cdef class Entry:
    """One use of a scope: from its `__enter__` to its `__exit__`."""

    cdef Scope scope
    cdef Entry previous     # the use of the same scope around this one, or None
    cdef object token       # tells at the end whether the context is the one of the beginning
    cdef bint ended         # for all contexts


@cython.final
@cython.freelist(16)
cdef class ContextState:
    """What a context knows. It does not change once the scope that made it is entered."""

    cdef object run                 # own_run object or None
    cdef object forward_pass        # ForwardPass or None
    cdef object overrides           # dict
    cdef Py_ssize_t batched_passes
    cdef Py_ssize_t batched_samples
    cdef bint grad_enabled
    cdef bint reads_passes
    cdef bint skips_init
    cdef ModeScope mode_scope       # the innermost one, or None
    cdef Entry entry                # of the scope that made this state; None for the first state
    cdef ContextState outer
    cdef bint rebuilt               # the entry's token belongs to an earlier version of the state
    cdef long checked


cdef ContextState first_state():
    cdef ContextState state = ContextState()
    state.overrides = NO_OVERRIDES
    state.grad_enabled = True
    return state


cdef object modes_variable = new_context_variable("fastdrop_modes", first_state())


cdef ContextState state_now():
    """The state of the calling context."""
    cdef ContextState state = <ContextState>get_value(modes_variable)
    return state if state.checked == n_ended else without_ended_scopes(state)


cdef ContextState state_inside(ContextState outer, Entry entry):
    """The state inside of a scope that is entered in `outer`."""
    cdef ContextState state = ContextState()
    state.run = outer.run
    state.forward_pass = outer.forward_pass
    state.overrides = outer.overrides
    state.batched_passes = outer.batched_passes
    state.batched_samples = outer.batched_samples
    state.grad_enabled = outer.grad_enabled
    state.reads_passes = outer.reads_passes
    state.skips_init = outer.skips_init
    state.mode_scope = outer.mode_scope
    state.entry = entry
    state.outer = outer
    state.checked = outer.checked
    entry.scope.change(state)
    return state


cdef ContextState without(ContextState state, Entry entry):
    """The state as if the scope of `entry` had not been entered."""
    if state.entry is entry:
        return state.outer
    cdef ContextState rebuilt = state_inside(without(state.outer, entry), state.entry)
    rebuilt.rebuilt = True
    return rebuilt


cdef ContextState without_ended_scopes(ContextState state):
    """The state without scopes that have ended, which becomes the state of the context.

    A context contains such scopes when it is a copy of the one they began in (a task that was
    created inside of the block), or when a generator was closed in another context.
    """
    cdef ContextState now = state
    cdef ContextState place = state
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


cdef int leave_passes(ContextState state) except -1:
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
    cdef Entry latest

    def __init__(self, dict changes=None, bint ends_in_copies=False):
        self.changes, self.ends_in_copies = changes, ends_in_copies

    cdef int change(self, ContextState state) except -1:
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
            elif name == "outside_passes":
                leave_passes(state)
            else:
                raise KeyError(name)
        return 0

    cdef object target(self):
        """The value of the `with` statement."""
        return None

    def __enter__(self):
        cdef Entry entry = Entry()
        entry.scope, entry.previous = self, self.latest
        cdef ContextState state = state_inside(state_now(), entry)
        self.latest = entry
        entry.token = PyContextVar_Set(modes_variable, state)
        return self.target()

    def __exit__(self, *exc):
        global n_ended
        cdef ContextState state = state_now()
        cdef ContextState place = state
        cdef ContextState now
        cdef Entry entry
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

    cdef int forget(self, Entry entry) except -1:
        cdef Entry place = self.latest
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

    cdef int change(self, ContextState state) except -1:
        state.grad_enabled = self.enabled
        return 0


cdef class PassScope(Scope):
    """Scope of an open forward pass, which is the value of the `with` statement."""

    cdef public object opened

    def __cinit__(self):
        self.ends_in_copies = True

    cdef int change(self, ContextState state) except -1:
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

    cdef int change(self, ContextState state) except -1:
        leave_passes(state)
        state.mode_scope = self
        return 0

    cdef bint covers(self, module) except -1:
        if module is self.model:
            return True
        if self.members is None:
            self.members = self.find_members()
        return <Py_ssize_t><void *>module in self.members


@cython.final
cdef class CallingContext:
    """The modes of the calling context; `modes` is the only object.

    Attributes
    ----------
    run : own_run or None
        The block whose run this is. None: the run of the process.
    forward_pass : ForwardPass or None
        The forward pass that is open.
    overrides : dict
        What `mask_state` and `monte_carlo` fix for the forward passes opened inside them.
    batched_passes : int
        How many Monte Carlo passes are computed as one batch; 0: none, or one at a time. Set by
        `monte_carlo` only. `fastdrop.autograd.passes` says what it means for tensors.
    batched_samples : int
        How many samples each of the batched passes has.
    grad_enabled : bool
        Whether operations are recorded for backward.
    reads_passes : bool
        Whether a function that carries batched passes is running.
    skips_init : bool
        Whether new layers draw no random weights.
    """

    @property
    def run(self):
        return state_now().run

    @property
    def forward_pass(self):
        return state_now().forward_pass

    @property
    def overrides(self):
        return state_now().overrides

    @property
    def batched_passes(self):
        return state_now().batched_passes

    @property
    def batched_samples(self):
        return state_now().batched_samples

    @property
    def grad_enabled(self):
        return state_now().grad_enabled

    @property
    def reads_passes(self):
        return state_now().reads_passes

    @property
    def skips_init(self):
        return state_now().skips_init

    def structure_changed(self):
        """Modules were added or removed: the scopes of this context ask for their members again."""
        cdef ContextState place = state_now()
        while place.mode_scope is not None:
            place.mode_scope.members = None
            place = place.outer


modes = CallingContext()


@cython.final
cdef class TrainingMode:
    """The attribute `training` of a module: its mode in the calling context.

    Inside of a ModeScope that covers the module it is the mode of the scope. Otherwise it is the
    attribute `_training`, the mode of the module itself.
    """

    def __get__(self, module, owner):
        if module is None:
            return self
        cdef ContextState place = state_now()
        cdef ModeScope scope
        while place.mode_scope is not None:
            scope = place.mode_scope
            if place.entry.scope is scope:
                if scope.set_inside is not None:
                    found = scope.set_inside.get(<Py_ssize_t><void *>module)
                    if found is not None:
                        return found[1]
                if scope.covers(module):
                    return scope.training
            place = place.outer
        return PyObject_GenericGetAttr(module, "_training")

    def __set__(self, module, mode):
        cdef ContextState place = state_now()
        cdef ModeScope scope
        cdef bint value = mode
        while place.mode_scope is not None:
            scope = place.mode_scope
            if place.entry.scope is scope and scope.covers(module):
                if scope.set_inside is None:
                    scope.set_inside = {}
                scope.set_inside[<Py_ssize_t><void *>module] = (module, value)
                return
            place = place.outer
        PyObject_GenericSetAttr(module, "_training", value)
