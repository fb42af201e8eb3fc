"""Predictions of a trained model, and prepared models that answer raw rows."""

from typing import TYPE_CHECKING

from fastdrop.predictor.load import load
from fastdrop.predictor.predict import predict

if TYPE_CHECKING:
    from fastdrop.predictor.predictor import Predictor

__all__ = ["Predictor", "load", "predict"]


def __getattr__(name: str) -> object:
    """Imports `Predictor` on first use: plain networks need neither readers nor tables."""
    if name == "Predictor":
        from fastdrop.predictor.predictor import Predictor

        return Predictor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
