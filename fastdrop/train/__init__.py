"""Training: `fit`, `evaluate`, early stopping, the history of a run, and the search for a rate."""

from fastdrop.predictor.predict import predict
from fastdrop.train.callbacks import EarlyStopping, Epoch
from fastdrop.train.evaluate import evaluate
from fastdrop.train.fit import fit
from fastdrop.train.history import History
from fastdrop.train.record import RecordedStep, record
from fastdrop.train.text import TextEpoch, fit_text, perplexity
from fastdrop.train.tune import tune_rates

__all__ = [
    "EarlyStopping",
    "Epoch",
    "History",
    "RecordedStep",
    "TextEpoch",
    "evaluate",
    "fit",
    "fit_text",
    "perplexity",
    "predict",
    "record",
    "tune_rates",
]
