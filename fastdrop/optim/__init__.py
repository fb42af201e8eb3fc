"""Optimisers, under the names and with the arguments of torch.optim; each update is one pass in the core."""

from fastdrop.optim import lr_scheduler
from fastdrop.optim.adam import Adam, AdamW
from fastdrop.optim.optimizer import Optimizer
from fastdrop.optim.rmsprop import RMSprop
from fastdrop.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler"]
