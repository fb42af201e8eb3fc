"""An earlier path of the names in `fastdrop.train.callbacks`."""

from fastdrop.train.callbacks import EarlyStopping, Epoch

__all__ = ["EarlyStopping", "Epoch"]
