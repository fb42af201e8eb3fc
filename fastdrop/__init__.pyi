"""Types of the package's public names, also of those that `__init__.py` imports on first use.

An import `name as name` re-exports the name. A name that is added to `__init__.py` needs a line
here too; tests/system/test_types.py compares the two files. Functions are imported from the module
that defines them: `fastdrop.train.fit` is a module and, in `fastdrop.train`, a function, and mypy
confuses the two in a cycle of imports.
"""

from fastdrop import autograd as autograd
from fastdrop import bench as bench
from fastdrop import cli as cli
from fastdrop import data as data
from fastdrop import functional as functional
from fastdrop import inspection as inspection
from fastdrop import io as io
from fastdrop import kernels as kernels
from fastdrop import models as models
from fastdrop import nn as nn
from fastdrop import optim as optim
from fastdrop import predictor as predictor
from fastdrop import random as random
from fastdrop import runtime as runtime
from fastdrop import schedules as schedules
from fastdrop import sklearn as sklearn
from fastdrop import train as train
from fastdrop import uncertainty as uncertainty
from fastdrop.autograd.grad_mode import enable_grad as enable_grad
from fastdrop.autograd.grad_mode import inference_mode as inference_mode
from fastdrop.autograd.grad_mode import is_grad_enabled as is_grad_enabled
from fastdrop.autograd.grad_mode import is_inference_mode_enabled as is_inference_mode_enabled
from fastdrop.autograd.grad_mode import no_grad as no_grad
from fastdrop.autograd.grad_mode import set_grad_enabled as set_grad_enabled
from fastdrop.autograd.integer_tensor import tensor as tensor
from fastdrop.autograd.parameter import Parameter as Parameter
from fastdrop.autograd.tensor import Tensor as Tensor
from fastdrop.functional.activation import relu as relu
from fastdrop.functional.activation import selu as selu
from fastdrop.functional.activation import sigmoid as sigmoid
from fastdrop.functional.activation import tanh as tanh
from fastdrop.functional.dropout import dropout as dropout
from fastdrop.functional.matmul import matmul as matmul
from fastdrop.functional.pointwise import abs as abs
from fastdrop.functional.pointwise import add as add
from fastdrop.functional.pointwise import clamp as clamp
from fastdrop.functional.pointwise import div as div
from fastdrop.functional.pointwise import exp as exp
from fastdrop.functional.pointwise import log as log
from fastdrop.functional.pointwise import maximum as maximum
from fastdrop.functional.pointwise import mul as mul
from fastdrop.functional.pointwise import neg as neg
from fastdrop.functional.pointwise import pow as pow
from fastdrop.functional.pointwise import sqrt as sqrt
from fastdrop.functional.pointwise import sub as sub
from fastdrop.functional.reduction import amax as amax
from fastdrop.functional.reduction import amin as amin
from fastdrop.functional.reduction import argmax as argmax
from fastdrop.functional.reduction import max as max
from fastdrop.functional.reduction import mean as mean
from fastdrop.functional.reduction import min as min
from fastdrop.functional.reduction import std as std
from fastdrop.functional.reduction import sum as sum
from fastdrop.functional.reduction import var as var
from fastdrop.functional.shape import cat as cat
from fastdrop.functional.shape import flatten as flatten
from fastdrop.functional.shape import permute as permute
from fastdrop.functional.shape import reshape as reshape
from fastdrop.functional.shape import squeeze as squeeze
from fastdrop.functional.shape import stack as stack
from fastdrop.functional.shape import transpose as transpose
from fastdrop.functional.shape import unflatten as unflatten
from fastdrop.functional.shape import unsqueeze as unsqueeze
from fastdrop.functional.softmax import log_softmax as log_softmax
from fastdrop.functional.softmax import softmax as softmax
from fastdrop.inspection.diagnose import diagnose as diagnose
from fastdrop.inspection.plot_masks import plot_masks as plot_masks
from fastdrop.inspection.recalibrate_batchnorm import recalibrate_batchnorm as recalibrate_batchnorm
from fastdrop.io.checkpoint import load_checkpoint as load_checkpoint
from fastdrop.io.checkpoint import save_checkpoint as save_checkpoint
from fastdrop.io.model_file import save as save
from fastdrop.predictor.load import load as load
from fastdrop.predictor.predict import predict as predict
from fastdrop.random import initial_seed as initial_seed
from fastdrop.random import manual_seed as manual_seed
from fastdrop.random import mask_state as mask_state
from fastdrop.runtime import available_isas as available_isas
from fastdrop.runtime import bf16_isa as bf16_isa
from fastdrop.runtime import float32_matmul_precision as float32_matmul_precision
from fastdrop.runtime import get_conv_algorithm as get_conv_algorithm
from fastdrop.runtime import get_float32_matmul_precision as get_float32_matmul_precision
from fastdrop.runtime import get_include as get_include
from fastdrop.runtime import get_num_threads as get_num_threads
from fastdrop.runtime import isa as isa
from fastdrop.runtime import set_conv_algorithm as set_conv_algorithm
from fastdrop.runtime import set_float32_matmul_precision as set_float32_matmul_precision
from fastdrop.runtime import set_num_threads as set_num_threads
from fastdrop.runtime import show_config as show_config
from fastdrop.train.evaluate import evaluate as evaluate
from fastdrop.train.fit import fit as fit
from fastdrop.train.record import record as record
from fastdrop.train.tune import tune_rates as tune_rates
from fastdrop.uncertainty.calibration import calibration as calibration
from fastdrop.uncertainty.conformal import conformal as conformal
from fastdrop.uncertainty.monte_carlo import mc_predict as mc_predict
from fastdrop.uncertainty.temperature import temperature_scaling as temperature_scaling

__version__: str
