"""Ready-made models."""

from fastdrop.models.mlp import ACTIVATIONS, mlp

__all__ = ["ACTIVATIONS", "mlp"]
