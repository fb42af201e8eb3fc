"""Training a model (`fit`), evaluating it, and searching for its dropout rates (`tune_rates`)."""

from fastdrop.predictor.predict import predict
from fastdrop.train.callbacks import EarlyStopping, Epoch
from fastdrop.train.evaluate import evaluate
from fastdrop.train.fit import fit
from fastdrop.train.history import History
from fastdrop.train.tune import tune_rates

__all__ = ["EarlyStopping", "Epoch", "History", "evaluate", "fit", "predict", "tune_rates"]
