"""Uncertainty: Monte Carlo dropout, prediction intervals, calibration, temperature scaling."""

from fastdrop.uncertainty.calibration import Calibration, calibration
from fastdrop.uncertainty.conformal import Conformal, conformal
from fastdrop.uncertainty.intervals import IntervalCalibration
from fastdrop.uncertainty.monte_carlo import MCWarning, mc_predict
from fastdrop.uncertainty.prediction import MCPrediction
from fastdrop.uncertainty.temperature import Temperature, temperature_scaling

__all__ = [
    "Calibration",
    "Conformal",
    "IntervalCalibration",
    "MCPrediction",
    "MCWarning",
    "Temperature",
    "calibration",
    "conformal",
    "mc_predict",
    "temperature_scaling",
]
