"""Optimisers with the names and arguments of torch.optim.

One call of the C core updates a parameter with SGD, Adam, AdamW, RMSprop and ASGD, in one pass over
the parameter, its gradient and its state. The others compute with NumPy, piece by piece.
"""

from fastdrop.optim import lr_scheduler, swa_utils
from fastdrop.optim.adadelta import Adadelta
from fastdrop.optim.adafactor import Adafactor
from fastdrop.optim.adagrad import Adagrad
from fastdrop.optim.adam import Adam, AdamW
from fastdrop.optim.adamax import Adamax
from fastdrop.optim.asgd import ASGD, NTASGD
from fastdrop.optim.layerwise import layerwise_groups
from fastdrop.optim.lbfgs import LBFGS
from fastdrop.optim.lion import Lion
from fastdrop.optim.muon import Muon
from fastdrop.optim.nadam import NAdam
from fastdrop.optim.optimizer import Optimizer
from fastdrop.optim.radam import RAdam
from fastdrop.optim.rmsprop import RMSprop
from fastdrop.optim.rprop import Rprop
from fastdrop.optim.sgd import SGD

__all__ = [
    "ASGD",
    "LBFGS",
    "NTASGD",
    "SGD",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "layerwise_groups",
    "lr_scheduler",
    "swa_utils",
]
