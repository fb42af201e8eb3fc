"""Counting the calls of the C core."""

from fastdrop import _core


class Calls:
    """Counts the calls of the core that lazy products make."""

    def __init__(self, monkeypatch):
        self.names = []
        for name in ("gemm", "dropout", "act", "act_dropout", "act_backward", "col_sum", "scale"):
            monkeypatch.setattr(_core, name, self.counted(name, getattr(_core, name)))

    def counted(self, name, function):
        def call(*args, **kwargs):
            self.names.append(name)
            return function(*args, **kwargs)

        return call

    def taken(self):
        names, self.names = self.names, []
        return names
