"""Optimisers with the names and arguments of torch.optim.

One call of the C core updates a parameter, in one pass over the parameter, its gradient and its
state.
"""

from fastdrop.optim import lr_scheduler
from fastdrop.optim.adam import Adam, AdamW
from fastdrop.optim.asgd import ASGD, NTASGD
from fastdrop.optim.layerwise import layerwise_groups
from fastdrop.optim.optimizer import Optimizer
from fastdrop.optim.rmsprop import RMSprop
from fastdrop.optim.sgd import SGD

__all__ = [
    "ASGD",
    "NTASGD",
    "SGD",
    "Adam",
    "AdamW",
    "Optimizer",
    "RMSprop",
    "layerwise_groups",
    "lr_scheduler",
]
