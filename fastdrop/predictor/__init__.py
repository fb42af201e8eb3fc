"""Predictions of a trained model, and prepared models that answer raw rows."""

from typing import TYPE_CHECKING

from fastdrop.predictor.load import load
from fastdrop.predictor.predict import predict

if TYPE_CHECKING:
    from fastdrop.predictor.predictor import Predictor
    from fastdrop.predictor.streaming import StreamingPredictor

__all__ = ["Predictor", "StreamingPredictor", "load", "predict"]


def __getattr__(name: str) -> object:
    """Imports a class on first use: plain networks need neither readers, tables nor models."""
    if name == "Predictor":
        from fastdrop.predictor.predictor import Predictor

        return Predictor
    if name == "StreamingPredictor":
        from fastdrop.predictor.streaming import StreamingPredictor

        return StreamingPredictor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
