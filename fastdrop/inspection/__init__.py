"""Inspecting a model with dropout: findings, pictures of masks, batch norm statistics."""

from fastdrop.inspection.diagnose import diagnose
from fastdrop.inspection.plot_masks import plot_masks
from fastdrop.inspection.recalibrate_batchnorm import recalibrate_batchnorm

__all__ = ["diagnose", "plot_masks", "recalibrate_batchnorm"]
