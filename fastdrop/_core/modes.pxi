"""What the library reads of the calling context: `modes`, and the attribute `training`."""

# How often something was changed that a step depends on, as far as modules notice it.
cdef long n_changes = 0
cdef object process_precision = "highest"


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
    matmul_precision : str
        "highest", "high" or "medium". Assigned: the precision of the process, for contexts that
        have none of their own.
    bf16_products : bool
        Whether products round their operands to bf16: "medium", where the kernels exist.
    """

    @property
    def run(self):
        return state_now().run

    @property
    def is_plain(self):
        """Whether nothing but the run differs from the state outside of all blocks."""
        cdef _ContextState state = state_now()
        return (
            state.grad_enabled and state.forward_pass is None and not state.overrides
            and state.batched_passes == 0 and state.mode_scope is None
            and state.matmul_precision is None
        )

    @property
    def changes(self):
        """How often an option or the structure of some module was changed, in all threads."""
        return n_changes

    def options_changed(self):
        """An attribute of a module was set."""
        global n_changes
        n_changes += 1

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

    @property
    def matmul_precision(self):
        own = state_now().matmul_precision
        return process_precision if own is None else own

    @matmul_precision.setter
    def matmul_precision(self, str precision):
        global process_precision, n_changes
        process_precision = precision
        n_changes += 1

    @property
    def bf16_products(self):
        return self.matmul_precision == "medium" and fd_bf16_isa() != NULL

    def structure_changed(self):
        """Modules were added or removed: the scopes of this context ask for their members again."""
        global n_changes
        n_changes += 1
        cdef _ContextState place = state_now()
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
        cdef _ContextState place = state_now()
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
        cdef _ContextState place = state_now()
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
        global n_changes
        if PyObject_GenericGetAttr(module, "_training") is not value:
            n_changes += 1
        PyObject_GenericSetAttr(module, "_training", value)
