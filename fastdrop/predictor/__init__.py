"""Predictions of a trained model."""

from fastdrop.predictor.predict import predict

__all__ = ["predict"]
