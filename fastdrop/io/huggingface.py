"""Models of Hugging Face's folders: a configuration, and weights in a safetensors file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import nn
from fastdrop._utils import validation as check
from fastdrop._utils.strict_json import strict_json
from fastdrop.io.huggingface_families import FAMILIES
from fastdrop.io.safetensors import load_file

if TYPE_CHECKING:
    import numpy.typing as npt

    from fastdrop._utils.typing import PathLike
    from fastdrop.io.huggingface_families import Family

    State = dict[str, npt.NDArray[Any]]

__all__ = ["from_huggingface"]

_RATES_OF_DROPOUT = tuple(f"{w}_dropout" for w in ("attention", "residual", "embedding"))


def from_huggingface(
    folder: PathLike,
    num_classes: int | None = None,
    *,
    pooling: str | None = None,
    **arguments: Any,
) -> Any:
    """A pretrained BERT, DistilBERT or GPT-2 from a folder of Hugging Face's form.

    Reads ``config.json`` and ``model.safetensors``. Nothing is downloaded, nothing in the folder is
    executed, and the package transformers is not needed. BERT includes MiniLM and other models
    whose ``model_type`` is "bert". The outputs are those of transformers, up to rounding.

    A head of the checkpoint is loaded where it has `num_classes` classes; otherwise the new head's
    weights are drawn, from the generator "init" of the run, as for fine-tuning. Heads of other
    tasks and of the pretraining are left out. Of a GPT-2 that has its own ``lm_head`` it must be
    equal to the embeddings.

    In DistilBERT's training there is no dropout between attention and sum; here there is, as in
    BERT: `residual_dropout` is the rate of both branches.

    Parameters
    ----------
    folder : str or os.PathLike
        Where the two files are.
    num_classes : int, optional
        Classes of the head. None: hidden states; None for GPT-2.
    pooling : {"cls", "mean", "pooler", "none"}, optional
        See `fastdrop.models.Bert`. By default "none" without classes and in checkpoints for
        classes of tokens; else "pooler" where the checkpoint has one, and "cls" where not. For
        sentence embeddings as all-MiniLM-L6-v2 "mean".
    **arguments
        Other arguments of `fastdrop.models.Bert` or `fastdrop.models.GPT`, in place of those from
        the configuration: dropout, attention_dropout, drop_path, padding_idx and others. `dropout`
        replaces the configuration's rates of all places.

    Returns
    -------
    Bert or GPT
        In evaluation mode.

    Raises
    ------
    TypeError
        The model has no such argument.
    ValueError
        The architecture is another one, a file is not what it should be, or a weight is missing,
        unknown or of another shape. The message says which.
    OSError
        A file cannot be read.

    References
    ----------
    - Wolf et al., "Transformers: State-of-the-Art Natural Language Processing", EMNLP 2020,
      arXiv:1910.03771.
    - Wang, Wei, Dong, Bao, Yang, Zhou, "MiniLM: Deep Self-Attention Distillation for Task-Agnostic
      Compression of Pre-Trained Transformers", NeurIPS 2020, arXiv:2002.10957.

    Examples
    --------
    A folder as transformers writes it, here of a model with one layer of random weights:

    >>> import json
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> sizes = {"n_embd": 4, "n_layer": 1, "n_head": 2, "n_positions": 8, "vocab_size": 10}
    >>> shapes = {"wte.weight": (10, 4), "wpe.weight": (8, 4)}
    >>> for norm in ("h.0.ln_1", "h.0.ln_2", "ln_f"):
    ...     shapes |= {f"{norm}.weight": (4,), f"{norm}.bias": (4,)}
    >>> products = {"attn.c_attn": (4, 12), "attn.c_proj": (4, 4)}
    >>> for name, shape in {**products, "mlp.c_fc": (4, 16), "mlp.c_proj": (16, 4)}.items():
    ...     shapes |= {f"h.0.{name}.weight": shape, f"h.0.{name}.bias": shape[1:]}
    >>> with open("config.json", "w") as file:
    ...     json.dump({"model_type": "gpt2", "activation_function": "gelu", **sizes}, file)
    >>> weights = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    >>> fd.io.save_file(weights, "model.safetensors")
    >>> model = fd.io.from_huggingface(".", dropout=0.2)
    >>> model([[1, 2, 3]]).shape
    (1, 3, 10)
    """
    path = os.fsdecode(folder)
    config = _config(os.path.join(path, "config.json"))
    family = FAMILIES[config["model_type"]]
    state = _state(path, family)
    given = {**family.arguments(config, state, num_classes, pooling), **arguments}
    if "dropout" in arguments:
        for name in (*_RATES_OF_DROPOUT, "classifier_dropout"):
            if name not in arguments:
                given.pop(name, None)
    with nn.init.skipped():
        model = family.model(**given)
    _load(model, state, family)
    return model.eval()


def _config(path: str) -> dict[str, Any]:
    """The configuration of a family that can be read."""
    with open(path, "rb") as file:
        text = file.read()
    try:
        config = strict_json(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path!r} is no configuration: {error}") from None
    kind = config.get("model_type") if isinstance(config, dict) else None
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise ValueError(
            f"the model_type in {path!r} must be one of {', '.join(map(repr, FAMILIES))}, "
            f"got {check.describe(kind)}"
        )
    return config


def _state(folder: str, family: Family) -> State:
    """The weights, under names without the family's prefix and with today's names of norms."""
    path = os.path.join(folder, "model.safetensors")
    if not os.path.exists(path):
        others = ("model.safetensors.index.json", "pytorch_model.bin", "tf_model.h5")
        found = [name for name in others if os.path.exists(os.path.join(folder, name))]
        if found:
            raise ValueError(
                f"the folder must hold model.safetensors, got {found[0]} in {folder!r}: save the "
                "model with transformers' save_pretrained() as one safetensors file"
            )
    state: State = {}
    for name, array in load_file(path).items():
        own = name.removeprefix(family.prefix)
        for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
            if own.endswith(old):
                own = own.removesuffix(old) + new
        if own in state:
            raise ValueError(f"{path!r} must hold {own!r} once, got it with and without a prefix")
        state[own] = array
    return state


def _load(model: nn.Module, state: State, family: Family) -> None:
    """Write the weights into the model, whose head may be a new one."""
    own = model.state_dict()
    found: State = {}
    used: set[str] = set()
    for name, wanted in own.items():
        sources = family.sources(name)
        used.update(sources)
        if sources[0].startswith("classifier.") and not _has_head(state, own):
            found[name] = _new_head(wanted.shape)
            continue
        found[name] = _joined(sources, state, wanted.shape, family)
    tied = state.get("lm_head.weight")
    if tied is not None and family.model.__name__ == "GPT":
        used.add("lm_head.weight")
        if not np.array_equal(tied, state["wte.weight"]):
            raise ValueError(
                "'lm_head.weight' must be equal to 'wte.weight', because the model has one matrix "
                "for both, got other numbers"
            )
    left = sorted(name for name in set(state) - used if not family.left_out.fullmatch(name))
    if left:
        raise ValueError(
            f"the checkpoint must hold the weights of such a model, got {left[0]!r}"
            f"{f' and {len(left) - 1} more' if len(left) > 1 else ''}, which the model lacks"
        )
    model.load_state_dict(found)


def _joined(
    sources: tuple[str, ...], state: State, shape: tuple[int, ...], family: Family
) -> npt.NDArray[Any]:
    """One of our weights, from one or several of theirs."""
    parts = []
    for name in sources:
        if name not in state:
            of_pooler = name.startswith(("pooler.", "pre_classifier."))
            raise ValueError(
                f"the checkpoint must hold {name!r}, which it lacks"
                f"{': give another pooling' if of_pooler else ''}"
            )
        array = state[name]
        turned = family.transposed.fullmatch(name) is not None
        part = (shape[0] // len(sources), *shape[1:])
        if array.shape != (part[::-1] if turned else part):
            raise ValueError(
                f"{name!r} must have shape {part[::-1] if turned else part} for this "
                f"configuration, got {array.shape}"
            )
        if array.dtype.kind != "f":
            raise ValueError(f"{name!r} must hold floats, got {array.dtype}")
        parts.append((array.T if turned else array).astype(np.float32))
    return np.concatenate(parts) if len(parts) > 1 else np.ascontiguousarray(parts[0])


def _has_head(state: State, own: State) -> bool:
    """Whether the checkpoint's head has the model's number of classes."""
    head = state.get("classifier.weight")
    return head is not None and head.shape == own["classifier.weight"].shape


def _new_head(shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Initial weights of a head: normal with deviation 0.02, biases 0."""
    values = nn.Parameter(np.zeros(shape, np.float32))
    if len(shape) > 1:
        nn.init.normal_(values, 0.0, 0.02)
    return values.data
