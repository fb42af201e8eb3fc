"""The options of ``fastdrop train``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any


def number_list(kind: Callable[[str], Any]) -> Callable[[str], list[Any]]:
    """A converter of comma separated numbers for argparse."""

    def convert(text: str) -> list[Any]:
        try:
            return [kind(part) for part in text.split(",")] if text.strip() else []
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"must be numbers separated by commas, got {text!r}"
            ) from None

    return convert


def column_of(text: str) -> int | str:
    """A column's number if the text is one, otherwise its name."""
    try:
        return int(text)
    except ValueError:
        return text


def add_arguments(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command to its parser."""
    _add_data_options(sub)
    _add_network_options(sub)
    _add_series_options(sub)
    _add_training_options(sub)
    _add_output_options(sub)


# Those of ``fastdrop train`` that ``fastdrop tune`` has, too.
TUNING_FLAGS = (
    *("--data", "--target", "--header", "--ignore", "--columns", "--task", "--test"),
    *("--test-fraction", "--validation", "--group", "--standardize", "--hidden", "--activation"),
    *("--epochs", "--batch-size", "--optimizer", "--lr", "--momentum", "--nesterov"),
    *("--weight-decay", "--schedule", "--warmup", "--max-norm", "--clip-norm", "--mixup"),
    *("--label-smoothing", "--early-stopping", "--class-weight", "--metric", "--seed", "--out"),
    *("--report", "--quiet"),
)


def add_tuning_arguments(sub: argparse.ArgumentParser) -> None:
    """Add the options of ``fastdrop tune`` that are those of ``fastdrop train``."""
    chosen: Any = _Chosen(sub)
    for add in (_add_data_options, _add_network_options, _add_series_options):
        add(chosen)
    _add_training_options(chosen)
    _add_output_options(chosen)


class _Chosen:
    """A parser that gets the options of `TUNING_FLAGS`; all others have their defaults there."""

    def __init__(self, sub: argparse.ArgumentParser, group: Any = None) -> None:
        self._sub, self._group = sub, group

    def add_argument_group(self, title: str) -> _Chosen:
        """A group, which the parser gets with its first option."""
        return _Chosen(self._sub, title)

    def add_argument(self, flag: str, **keywords: Any) -> None:
        """Add an option, or its default."""
        if flag not in TUNING_FLAGS:
            default = keywords.get("default", False if "action" in keywords else None)
            self._sub.set_defaults(**{flag.removeprefix("--").replace("-", "_"): default})
            return
        if isinstance(self._group, str):
            self._group = self._sub.add_argument_group(self._group)
        self._group.add_argument(flag, **keywords)


def _option(group: Any, flag: str, about: str, **keywords: Any) -> None:
    """Add an option whose help text ends with its default."""
    default = keywords.get("default")
    shown = "" if default in (None, False, []) else " (default: %(default)s)"
    group.add_argument(flag, help=about + shown, **keywords)


def _add_data_options(sub: argparse.ArgumentParser) -> None:
    data = sub.add_argument_group("data")
    _option(
        data,
        "--data",
        "table, archive or folder of images to train on (default: scikit-learn's digits)",
        metavar="FILE",
    )
    _option(
        data,
        "--size",
        "bring pictures of a folder to N x N pixels (default: they must have one size)",
        type=int,
        metavar="N",
    )
    _option(
        data,
        "--target",
        "column of the target in a table: its name, or its number from 0; negative numbers count "
        "from the end",
        default="-1",
    )
    _option(
        data,
        "--header",
        "whether the first line of a table holds names; auto: if it does not look like the lines "
        "below",
        choices=["auto", "yes", "no"],
        default="auto",
    )
    _option(
        data,
        "--ignore",
        "columns of a table that are no inputs (names of people, line numbers), given as for "
        "--target",
        type=lambda text: text.split(","),
        default=[],
        metavar="C,C",
    )
    _option(
        data,
        "--columns",
        "kind of a column of a table: number (other cells are missing values), category, flag, "
        "date, time or ignore (default: found out from the cells)",
        nargs="+",
        action="extend",
        default=[],
        metavar="NAME=KIND",
    )
    _option(
        data,
        "--task",
        "what to predict (default: follows from the target)",
        choices=["classification", "regression"],
    )
    _option(
        data,
        "--test",
        "file or folder for the test, of the kind and the columns of --data",
        metavar="FILE",
    )
    _option(
        data,
        "--test-fraction",
        "share of the data set aside for the test if the file has no test data",
        type=float,
        default=0.2,
        metavar="F",
    )
    _option(
        data,
        "--validation",
        "share of the training data set aside for early stopping",
        type=float,
        metavar="F",
    )
    _option(
        data,
        "--group",
        "column of a table whose rows of equal value stay together in test, validation and folds; "
        "it is no input",
        metavar="COLUMN",
    )
    _option(
        data,
        "--level",
        "tokens of a text (default: char for a language model, word with --text)",
        choices=["char", "word"],
    )
    _option(
        data,
        "--text",
        "column of texts in a table, name or number: learn to tell the classes of --target from it "
        "(defaults then: --model lstm, --hidden 128, --epochs 20, --dropout 0.5; of transformer "
        "--hidden 128,128, --epochs 10, --dropout 0.3)",
        metavar="COLUMN",
    )
    _option(
        data,
        "--pretrained",
        "with --text: fine-tune the BERT or DistilBERT in this folder of Hugging Face's form "
        "(defaults then: --epochs 3, --dropout 0.1, --batch-size 32, --lr 0.0001)",
        metavar="FOLDER",
    )
    _option(
        data,
        "--max-length",
        "tokens that are read of each text of --text (default: 400; with --pretrained the model's "
        "positions)",
        type=int,
        metavar="N",
    )
    _option(
        data,
        "--steps",
        "tokens of a text through which the gradient goes back",
        type=int,
        default=64,
        metavar="N",
    )
    _option(
        data,
        "--standardize",
        "give each input zero mean and unit variance; auto: yes, except for pixels",
        choices=["auto", "yes", "no"],
        default="auto",
    )


def _add_network_options(sub: argparse.ArgumentParser) -> None:
    net = sub.add_argument_group("network")
    _option(
        net,
        "--model",
        "mlp, or a network for images: lenet5, convnet, all_cnn, resnet20 (32, 44, 56, 110; 18, "
        "34, 50 for large images), wide_resnet, convnext_cifar (tiny, small), vit "
        "(_tiny, _small), deit_tiny; gpt for a text; "
        "lstm, gru, rnn for a text or a time series; transformer for texts of --text (default: "
        "resnet20 for a folder, else mlp)",
        metavar="NAME",
    )
    _option(
        net,
        "--hidden",
        "widths of the hidden layers (default: 512,512; for a text 256,256, with gpt four times "
        "128, for a time series 64)",
        type=number_list(int),
        metavar="N,N",
    )
    _option(
        net,
        "--dropout",
        "one rate for all hidden layers, or the rates of the input and of each hidden layer "
        "(default: 0.5, or that of the network for images)",
        type=number_list(float),
        metavar="P or P,P,P",
    )
    for flag, about in (
        ("--drop-path", "stochastic depth of a network for images with residual blocks"),
        ("--channel-dropout", "rate of the dropout of whole channels in residual blocks"),
        ("--drop-block", "rate of DropBlock in the last residual blocks"),
        ("--patch-dropout", "share of the patches that a step of vit or deit leaves out"),
        ("--attention-dropout", "rate of the dropout of the softmax in vit or deit"),
    ):
        _option(net, flag, about, type=float, metavar="P")
    _option(
        net,
        "--activation",
        "activation after each hidden layer of mlp (default: relu)",
        choices=["relu", "leaky_relu", "sigmoid", "tanh", "selu", "silu", "gelu"],
    )


def _add_series_options(sub: argparse.ArgumentParser) -> None:
    series = sub.add_argument_group("time series")
    _option(
        series,
        "--window",
        "take a table as a time series; the network reads N of its lines",
        type=int,
        metavar="N",
    )
    _option(series, "--horizon", "lines that are forecast (default: 1)", type=int, metavar="N")
    _option(
        series,
        "--time",
        "column of the time (default: the first with ISO dates, or a first column named date, "
        "time, year, ...)",
        metavar="C",
    )
    _option(
        series,
        "--relative",
        "take windows relative to their last line, so that changes are forecast: for series with a "
        "trend",
        action="store_true",
    )
    _option(
        series,
        "--period",
        "lines of a season, for comparison with the values of the season before",
        type=int,
        metavar="N",
    )
    _option(
        series,
        "--recurrent-dropout",
        "rate of the state of the recurrent layers (default: that of --dropout)",
        type=float,
        metavar="P",
    )
    _option(series, "--zoneout", "probability that a unit keeps its state", type=float, metavar="P")


def _add_training_options(sub: argparse.ArgumentParser) -> None:
    learn = sub.add_argument_group("training")
    _option(
        learn,
        "--epochs",
        "passes over the training data (default: 60; for a text 10, for a time series 100)",
        type=int,
        metavar="N",
    )
    _option(learn, "--batch-size", "samples in a step (default: 64)", type=int, metavar="N")
    _option(
        learn,
        "--optimizer",
        "optimiser (default: adam, adamw for transformers of --text)",
        choices=["adam", "adamw", "rmsprop", "sgd"],
    )
    _option(
        learn,
        "--lr",
        "learning rate (default: 0.1 for sgd, 0.001 for the others, 0.003 for a time series)",
        type=float,
        metavar="R",
    )
    _option(
        learn,
        "--momentum",
        "momentum of sgd and rmsprop (default: 0.9 for sgd, 0 for rmsprop)",
        type=float,
        metavar="M",
    )
    _option(learn, "--nesterov", "use Nesterov momentum with sgd", action="store_true")
    _option(
        learn,
        "--weight-decay",
        "L2 penalty (default: 0, 0.01 for transformers of --text)",
        type=float,
        metavar="L",
    )
    _option(
        learn,
        "--schedule",
        "schedule of the learning rate. cosine: to 0; step: times 0.1 after 1/2 and 3/4 of the "
        "run; exponential: to 1/100; none: constant",
        choices=["cosine", "step", "exponential", "none"],
        default="cosine",
    )
    _option(
        learn,
        "--warmup",
        "epochs during which the learning rate rises from 0 (default: 0, a tenth of the run for "
        "transformers of --text)",
        type=float,
        metavar="E",
    )
    _option(
        learn,
        "--max-norm",
        "upper limit of the norm of each unit's incoming weights",
        type=float,
        metavar="C",
    )
    _option(
        learn, "--clip-norm", "upper limit of the norm of the gradient", type=float, metavar="C"
    )
    _option(
        learn,
        "--thinned",
        "share the masks of dense layers in each step: one thinned network for the batch, or a "
        "complementary pair (rates of 0.5); faster, and it needs a lower learning rate",
        choices=["batch", "pair"],
    )
    _option(
        learn,
        "--augment",
        "change training images at random: crop, flip, resized_crop, color, cutout, erase, mixup, "
        "cutmix, with commas between them; a number may follow, such as crop=4 (pixels)",
        type=lambda text: text.split(","),
        default=[],
        metavar="A,A",
    )
    _option(learn, "--mixup", "alpha of mixup; 0 for none", type=float, default=0.0, metavar="A")
    _option(
        learn,
        "--label-smoothing",
        "share of each label that is spread over all classes",
        type=float,
        default=0.0,
        metavar="S",
    )
    _option(
        learn,
        "--early-stopping",
        "stop after N epochs without improvement, and keep the best network (for a time series "
        "always; default: 15)",
        type=int,
        metavar="N",
    )
    _option(
        learn,
        "--class-weight",
        "balanced: each class of a table has the same weight in the loss, however rare it is; or "
        "the weights: NAME=WEIGHT,..., or a JSON object (default of a class: 1)",
        metavar="W",
    )
    _option(
        learn,
        "--metric",
        "score by which early stopping chooses, first in the report: error, balanced_accuracy, auc "
        "or log_loss for classes, r2, rmse or mae for numbers (default: the loss)",
        choices=["error", "balanced_accuracy", "auc", "log_loss", "r2", "rmse", "mae"],
    )
    _option(
        learn,
        "--folds",
        "cross-validation of a table in K parts: the scores are those of networks that were "
        "trained without the part; the model is trained on all rows",
        type=int,
        metavar="K",
    )
    _option(learn, "--seed", "seed of everything random", type=int, default=0, metavar="N")


def _add_output_options(sub: argparse.ArgumentParser) -> None:
    out = sub.add_argument_group("output")
    _option(
        out,
        "--out",
        "model file (default: the data's name with .safetensors, in this folder)",
        metavar="FILE",
    )
    _option(
        out,
        "--plot",
        "picture of the training curves (default: the model's name with .png; for images none)",
        metavar="FILE",
    )
    _option(
        out,
        "--plot-uncertain",
        "picture of the test images of which the network is least certain",
        metavar="FILE",
    )
    _option(
        out,
        "--report",
        "HTML file about the network of a table, of images or of texts: curves, confusion matrix, "
        "calibration, uncertainty, the least certain samples, importance of a table's columns",
        metavar="FILE.html",
    )
    _option(out, "--compare", "also train without dropout", action="store_true")
    _option(
        out, "--checkpoint", "file for the state of the run, written while it runs", metavar="FILE"
    )
    _option(
        out,
        "--checkpoint-every",
        "steps between checkpoints (default: one checkpoint after each epoch)",
        type=int,
        metavar="N",
    )
    _option(out, "--resume", "continue from the checkpoint", action="store_true")
    _option(out, "--quiet", "show no progress", action="store_true")
