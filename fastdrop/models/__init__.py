"""Ready-made models."""

from fastdrop.models.bert import Bert, bert
from fastdrop.models.convnet import all_cnn, convnet, lenet5
from fastdrop.models.convnext import ConvNeXt, convnext_cifar, convnext_small, convnext_tiny
from fastdrop.models.gpt import GPT, gpt
from fastdrop.models.language_model import LanguageModel, language_model
from fastdrop.models.mlp import ACTIVATIONS, mlp
from fastdrop.models.realmlp import realmlp
from fastdrop.models.resnet import (
    ResNet,
    resnet18,
    resnet20,
    resnet32,
    resnet34,
    resnet44,
    resnet50,
    resnet56,
    resnet110,
)
from fastdrop.models.sequence_models import SequenceModel, sequence_regressor, text_classifier
from fastdrop.models.vit import VisionTransformer, deit, deit_tiny, vit, vit_small, vit_tiny
from fastdrop.models.wide_resnet import WideResNet, wide_resnet

__all__ = [
    "ACTIVATIONS",
    "GPT",
    "Bert",
    "ConvNeXt",
    "LanguageModel",
    "ResNet",
    "SequenceModel",
    "VisionTransformer",
    "WideResNet",
    "all_cnn",
    "bert",
    "convnet",
    "convnext_cifar",
    "convnext_small",
    "convnext_tiny",
    "deit",
    "deit_tiny",
    "gpt",
    "language_model",
    "lenet5",
    "mlp",
    "realmlp",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet44",
    "resnet50",
    "resnet56",
    "resnet110",
    "sequence_regressor",
    "text_classifier",
    "vit",
    "vit_small",
    "vit_tiny",
    "wide_resnet",
]
