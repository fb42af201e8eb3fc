"""A network together with the preparation of its inputs and the meaning of its outputs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import io, nn
from fastdrop._utils import validation as check
from fastdrop._utils.html import fragment, table
from fastdrop.data.preprocessing import Preparation
from fastdrop.data.text_preprocessing import TextPreparation
from fastdrop.functional.element_loss import sigmoid_of
from fastdrop.functional.softmax import softmax_of
from fastdrop.nn.module import checked_module
from fastdrop.predictor.predict import predict
from fastdrop.predictor.rows import samples_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import Float32Array, PathLike
    from fastdrop.uncertainty.prediction import MCPrediction

__all__ = ["Predictor"]

# Tokens computed at a time: the hidden layers of BERT-Base take 0.8 GB for them.
_TOKENS = 1 << 16
_PIXELS = 1 << 18  # of images computed at a time: 256 of 32 x 32, 5 of 224 x 224


class Predictor:
    """A trained network that takes raw rows and answers in the units and labels of the target.

    `fastdrop.load` returns one for a file that ``fastdrop train`` or an estimator saved. It
    prepares the rows as the training data were prepared (categories, standardisation), computes
    the outputs of the network, and turns them into labels, probabilities, or numbers in the
    units of the target.

    Rows may be given as

    - an array or nested lists (N, columns): the inputs in the order of the training table, with
      or without the column of the target,
    - a DataFrame, or a dict of columns: found by name, in any order, and others are ignored,
    - a dict of single values, or a list of dicts: one row for each dict,
    - a `Dataset`: its samples are encoded already.

    A model of images takes images instead: arrays (N, C, H, W), (N, H, W, C) or (N, H, W) of uint8,
    or of floats from 0 to 1; or the path of a picture, or a list of paths. A model of texts takes a
    text, a list of texts, or a table with the column of the texts.

    Parameters
    ----------
    model : Module
        The network, from prepared samples (N, features) to outputs.
    preparation : Preparation
        How samples and targets of the training data were prepared.

    Attributes
    ----------
    model : Module
        The network alone: for `fit`, `diagnose` and other functions of fastdrop. It takes prepared
        samples: ``predictor.samples(rows)``.
    preparation : Preparation
        See the parameter.

    Raises
    ------
    TypeError
        `model` is not a Module, or `preparation` not a Preparation.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> x = np.array([[50.0, 2.0], [80.0, 3.0], [120.0, 5.0]])
    >>> data = fd.data.Dataset(x, np.array([200_000.0, 310_000.0, 450_000.0]))
    >>> preparation = fd.data.preprocessing.Preparation.fit(data)
    >>> predictor = fd.predictor.Predictor(fd.models.mlp(2, [8], 1), preparation)
    >>> predictor.predict([[100.0, 4.0]]).shape
    (1,)
    """

    def __init__(self, model: nn.Module, preparation: Preparation) -> None:
        self.model = checked_module(model, "model")
        if not isinstance(preparation, Preparation):
            raise TypeError(f"preparation must be a Preparation, got {check.describe(preparation)}")
        self.preparation = preparation

    @property
    def classes(self) -> list[Any] | None:
        """The label of each class number; None for a regression."""
        return self.preparation.classes

    @property
    def feature_names(self) -> list[str] | None:
        """Names of the inputs' columns; None if the training data had none."""
        columns = self.preparation.origin or {}
        if columns.get("kind") != "csv" or columns["names"] is None:
            return None
        named = (columns["names"][feature["place"]] for feature in columns["features"])
        return list(dict.fromkeys(named))

    def samples(self, rows: Any) -> Float32Array:
        """Raw rows as the network takes them.

        Parameters
        ----------
        rows : array (N, columns), DataFrame, dict, list of dicts, or Dataset
            See the class.

        Returns
        -------
        float32 array (N, features)

        Raises
        ------
        TypeError, ValueError
            The rows do not fit the training data. The message names row and column.
        """
        return samples_of(rows, self.preparation)

    def predict(self, rows: Any, batch_size: int = 1024) -> npt.NDArray[Any]:
        """Predict labels, or numbers in the units of the target, without dropout.

        Parameters
        ----------
        rows : array (N, columns), DataFrame, dict, list of dicts, or Dataset
            See the class.
        batch_size : int, default 1024
            Rows computed at a time.

        Returns
        -------
        array (N,)
            Labels of the classes with the highest probability; or float64 numbers, (N, targets)
            for several targets. Raw outputs (N, outputs) if the file does not say what they mean.
            Where a sample may have several classes: 0 or 1 for each, (N, classes).

        Raises
        ------
        TypeError, ValueError
            The rows do not fit the training data, or an output is not finite.
        """
        outputs = self._outputs(self.samples(rows), batch_size)
        if self.classes is None:
            return self._in_units(outputs)
        if self._has_labels:
            return (outputs > 0).astype(np.int64)
        return np.array(self.classes)[outputs.argmax(axis=1)]

    def predict_proba(self, rows: Any, batch_size: int = 1024) -> npt.NDArray[np.float32]:
        """Predict the probability of each class, without dropout.

        Parameters
        ----------
        rows : array (N, columns), DataFrame, dict, list of dicts, or Dataset
            See the class.
        batch_size : int, default 1024
            Rows computed at a time.

        Returns
        -------
        array (N, classes)
            In the order of `classes`. Where a sample may have several classes, they do not add up
            to 1.

        Raises
        ------
        TypeError, ValueError
            As for `predict`; or the model is no classifier.
        """
        if self.classes is None:
            raise ValueError("predict_proba is for classes; this model predicts numbers")
        return self._probabilities(self._outputs(self.samples(rows), batch_size))

    def mc_predict(
        self,
        rows: Any,
        samples: int = 50,
        seed: int = 0,
        *,
        tolerance: float | None = None,
        tau: float | None = None,
        **options: Any,
    ) -> MCPrediction:
        """Predict with dropout on: the mean of T passes and their spread.

        Parameters
        ----------
        rows : array (N, columns), DataFrame, dict, list of dicts, or Dataset
            See the class.
        samples : int, default 50
            T, the number of passes.
        seed : int, default 0
            The seed of the masks.
        tolerance, tau : float, optional
            As for `fastdrop.mc_predict`, in the units of the target.
        **options
            Other options of `fastdrop.mc_predict`: masks, batch_size, keep, row0, ...

        Returns
        -------
        MCPrediction
            Of probabilities (N, classes), or of numbers (N, targets) in the units of the target.

        Raises
        ------
        TypeError, ValueError
            As for `predict` and `fastdrop.mc_predict`.
        """
        return self._passes(self.samples(rows), samples, seed, tolerance, tau, options)

    def answers(
        self,
        x: Float32Array,
        row0: int = 0,
        passes: int | None = None,
        seed: int = 0,
        masks: str = "per_sample",
    ) -> dict[str, npt.NDArray[Any]]:
        """All that is known about prepared samples, by name: what ``fastdrop predict`` writes.

        Parameters
        ----------
        x : float32 array (N, features)
            From `samples`, or from the preparation's ``read_blocks``.
        row0 : int, default 0
            Number of the first sample, for its masks and for messages.
        passes : int, optional
            Number of Monte Carlo passes; without it there is one pass without dropout.
        seed, masks
            As for `fastdrop.mc_predict`.

        Returns
        -------
        dict of str to array
            "prediction" (N,) or (N, outputs); of classes also "probability" (N, classes); with
            passes also "std", or "entropy" and "mutual_information". Where a sample may have
            several classes, the prediction joins them with ";", and entropies are sums over them.

        Raises
        ------
        ValueError
            An output is not finite.
        """
        if passes is None:
            outputs = self._outputs(x, 1024, row0)
            if self.classes is None:
                return {"prediction": self._in_units(outputs)}
            return self._labelled(self._probabilities(outputs))
        mc = self._passes(x, passes, seed, None, None, {"masks": masks, "row0": row0}, quiet=True)
        mean = _finite(_flat(mc.mean[..., 1] if self._has_labels else mc.mean), row0)
        if self.classes is not None:
            told = {"entropy": mc.entropy, "mutual_information": mc.mutual_information}
            if self._has_labels:
                told = {name: figures.sum(axis=1) for name, figures in told.items()}
            return self._labelled(mean) | told
        std = _flat(mc.std)
        if self._has_one_target or (self.preparation.link and mean.shape[1] == 1):
            mean, std = mean[:, 0], std[:, 0]
        return {"prediction": mean, "std": std}

    def save(self, path: PathLike) -> None:
        """Save network and preparation in one file, for `fastdrop.load`.

        Parameters
        ----------
        path : str or os.PathLike
            The file is replaced in one step.

        Raises
        ------
        TypeError, ValueError, OSError
            As for `fastdrop.save`.
        """
        io.save(self, path)

    def __fastdrop_model__(self) -> tuple[nn.Module, dict[str, Any]]:
        """The network and the description that `fastdrop.save` writes."""
        return self.model, self.preparation.to_dict()

    def __repr__(self) -> str:
        takes, gives = self._described()
        inner = repr(self.model).replace("\n", "\n  ")
        return f"Predictor(\n  takes: {takes}\n  answers: {gives}\n  model: {inner}\n)"

    def _repr_html_(self) -> str:
        """What it takes and answers, and the network, folded, for notebooks."""
        lines = zip(("takes", "answers"), self._described(), strict=True)
        return fragment(table(("Predictor", ""), list(lines))) + self.model._repr_html_()

    def _described(self) -> tuple[str, str]:
        """What the model takes, and what it answers, in words."""
        names = self.feature_names
        takes = f"{self.preparation.features} numbers" if names is None else ", ".join(names)
        shape = self.preparation.example_shape
        if len(shape) == 3:
            kind = "gray" if shape[0] == 1 else "colour"
            takes = f"{kind} images of {shape[1]} x {shape[2]} pixels"
        elif (self.preparation.origin or {}).get("kind") == "texts":
            takes = "texts"
        gives = "raw outputs"
        if self.classes is not None:
            many = "any" if self._has_labels else "one"
            gives = f"{many} of the classes {', '.join(map(str, self.classes))}"
        elif self.preparation.link == "exp":
            gives = "means of counts"
        elif self.preparation.target is not None:
            gives = "numbers in the units of the target"
        return takes, gives

    @property
    def _has_labels(self) -> bool:
        """Whether a sample may have several classes."""
        return self.preparation.link == "sigmoid"

    def _probabilities(self, outputs: Float32Array) -> npt.NDArray[Any]:
        """The probability of each class."""
        if self._has_labels:
            return np.asarray(sigmoid_of(outputs), np.float32)
        return softmax_of(outputs)

    @property
    def _has_one_target(self) -> bool:
        target = self.preparation.target
        return target is not None and target.mean.shape == ()

    def _outputs(self, x: Float32Array, batch_size: int, row0: int = 0) -> Float32Array:
        """The outputs (N, outputs) of prepared samples."""
        if isinstance(self.preparation, TextPreparation):
            lengths = self.preparation.lengths(x)
            return _finite(self._outputs_of_texts(x, lengths, batch_size), row0)
        return _finite(_flat(predict(self.model, x, self._at_once(x, batch_size))), row0)

    def _outputs_of_texts(
        self, x: Float32Array, lengths: npt.NDArray[np.int64], most: int
    ) -> Float32Array:
        """Outputs of texts: the longest together, each batch as wide as its longest text."""
        order, begin = np.argsort(-lengths, kind="stable"), 0
        found = np.empty((0, 0), np.float32)
        while begin < max(len(x), 1):
            width = int(lengths[order[begin]]) if len(x) else 1
            rows = order[begin : begin + max(1, min(most, _TOKENS // width))]
            outputs = _flat(predict(self.model, x[rows, :width], max(len(rows), 1)))
            if begin == 0:
                found = np.empty((len(x), outputs.shape[1]), np.float32)
            found[rows] = outputs
            begin += max(len(rows), 1)
        return found

    def _at_once(self, x: Float32Array, most: int) -> int:
        """Rows computed at a time: fewer of long texts and large images.

        The results do not depend on it.
        """
        if isinstance(self.preparation, TextPreparation):
            return max(1, min(most, _TOKENS // x.shape[1]))
        return max(1, min(most, _PIXELS // math.prod(x.shape[2:]))) if x.ndim == 4 else most

    def _in_units(self, outputs: Float32Array) -> npt.NDArray[Any]:
        """Outputs in the units of the target, in float64, which its units may need."""
        target = self.preparation.target
        if self.preparation.link == "exp":
            means = np.exp(outputs.astype(np.float64))
            return means[:, 0] if means.shape[1] == 1 else means
        if target is None:
            return outputs
        if self._has_one_target:
            return np.asarray(outputs[:, 0] * target.scale + target.mean)
        return np.asarray(outputs * target.scale + target.mean)

    def _labelled(self, probabilities: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
        labels = np.array(self.classes)
        if labels.dtype.kind not in "iU":  # files hold integers or text
            labels = np.array([str(label) for label in self.classes or []])
        if self._has_labels:
            chosen = [";".join(map(str, labels[row > 0.5])) for row in probabilities]
            return {"prediction": np.array(chosen, "U"), "probability": probabilities}
        return {
            "prediction": labels[probabilities.argmax(axis=1)],
            "probability": probabilities,
        }

    def _passes(
        self,
        x: Float32Array,
        samples: int,
        seed: int,
        tolerance: float | None,
        tau: float | None,
        options: dict[str, Any],
        quiet: bool = False,
    ) -> MCPrediction:
        """Monte Carlo passes of prepared samples, in the units of the target."""
        # Imported here: predictions without passes do not need it.
        from fastdrop.uncertainty.linked_passes import exponential, linked_passes, logistic
        from fastdrop.uncertainty.monte_carlo import mc_predict

        options = {"output": "raw" if self.classes is None else "softmax"} | options
        options["batch_size"] = self._at_once(x, options.get("batch_size", 4096))
        if quiet:
            options["progress"] = False
        target, link = self.preparation.target, self.preparation.link
        if link is not None:
            options |= {"samples": samples, "seed": seed, "tolerance": tolerance, "tau": tau}
            function = logistic if link == "sigmoid" else exponential
            return linked_passes(self.model, x, options, function, labels=link == "sigmoid")
        if target is None:
            return mc_predict(self.model, x, samples, seed, tolerance=tolerance, tau=tau, **options)
        if tolerance is not None:
            tolerance = check.real(tolerance, "tolerance", low=0, open_low=True)
            tolerance /= float(target.scale.max())
        if tau is not None:
            tau = check.real(tau, "tau", low=0, open_low=True)
        found = mc_predict(self.model, x, samples, seed, tolerance=tolerance, **options)
        found = found.rescale(target.scale, target.mean)
        found.tau = tau
        return found


def _flat(outputs: Any) -> Any:
    """Outputs (N, ...) as (N, outputs), also where N is 0."""
    return outputs.reshape(len(outputs), math.prod(outputs.shape[1:]))


def _finite(outputs: Any, row0: int) -> Any:
    """The outputs, after a check that all of them are finite."""
    finite = np.isfinite(outputs).all(axis=1)
    if not finite.all():
        raise ValueError(
            f"the model's output for sample {row0 + int(finite.argmin())} (from 0) is not finite"
        )
    return outputs
