"""Weights of vision transformers under the names of timm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop.autograd.tensor import Tensor
from fastdrop.models.vit import VisionTransformer

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from fastdrop._utils.typing import ArrayLike

__all__ = ["from_timm_names", "timm_names"]

_OUTSIDE = {
    "class_token_weight": "cls_token",
    "distillation_token_weight": "dist_token",
    "positions": "pos_embed",
    "patches": "patch_embed.proj",
    "norm": "norm",
    "head": "head",
    "head_dist": "head_dist",
}
_IN_LAYER = {
    "self_attn.in_proj_weight": "attn.qkv.weight",
    "self_attn.in_proj_bias": "attn.qkv.bias",
    "self_attn.out_proj": "attn.proj",
    "linear1": "mlp.fc1",
    "linear2": "mlp.fc2",
    "norm1": "norm1",
    "norm2": "norm2",
}
# timm's tokens and positions have an axis of length 1 for the samples.
_BATCHED = ("class_token_weight", "distillation_token_weight", "positions")


def timm_names(model: VisionTransformer) -> dict[str, str]:
    """timm's name of each parameter of a vision transformer.

    timm's ``blocks.N.attn.qkv`` holds the weights of queries, keys and values one after the other,
    as ``layers.layers.N.self_attn.in_proj_weight`` does.

    Parameters
    ----------
    model : VisionTransformer

    Returns
    -------
    dict of str to str
        timm's name to the name in ``model.state_dict()``.

    Raises
    ------
    TypeError
        The model is another one.

    Examples
    --------
    >>> import fastdrop as fd
    >>> names = fd.io.timm_names(fd.models.vit())
    >>> names["blocks.0.attn.qkv.weight"]
    'layers.layers.0.self_attn.in_proj_weight'
    """
    if type(model) is not VisionTransformer:
        raise TypeError(f"model must be a VisionTransformer, got {type(model).__name__}")
    return {_timm_name(name): name for name in model.state_dict()}


def _timm_name(name: str) -> str:
    if name.startswith("layers.layers."):
        number, _, rest = name.removeprefix("layers.layers.").partition(".")
        return f"blocks.{number}.{_translated(rest, _IN_LAYER)}"
    return _translated(name, _OUTSIDE)


def _translated(name: str, table: dict[str, str]) -> str:
    if name in table:
        return table[name]
    layer, _, kind = name.rpartition(".")
    return f"{table[layer]}.{kind}"


def from_timm_names(
    model: VisionTransformer, state: Mapping[str, Tensor | ArrayLike]
) -> dict[str, npt.NDArray[Any]]:
    """Weights under timm's names as a state of a vision transformer: for ``load_state_dict``.

    Where the number of classes differs, leave ``head.weight`` and ``head.bias`` out of the state:
    they keep the model's values. The order of the tokens is timm's: class, distillation, patches.

    Parameters
    ----------
    model : VisionTransformer
        The network, which is not changed: `vit_tiny`, `vit_small` or `deit_tiny` for timm's
        weights with these names.
    state : mapping of str to Tensor or array
        timm's names and weights, as `fastdrop.io.load_file` reads them.

    Returns
    -------
    dict of str to array
        All entries of ``model.state_dict()``.

    Raises
    ------
    TypeError
        The model is another one.
    ValueError
        The state has a name that the model does not know, lacks a weight other than a head's, or
        has a weight of another shape. The message says which.

    References
    ----------
    Wightman, "PyTorch Image Models", https://github.com/huggingface/pytorch-image-models.

    Examples
    --------
    >>> import fastdrop as fd
    >>> model = fd.models.vit()
    >>> arrays = model.state_dict()
    >>> state = {theirs: arrays[ours] for theirs, ours in fd.io.timm_names(model).items()}
    >>> result = model.load_state_dict(fd.io.from_timm_names(model, state))
    """
    names, own = timm_names(model), model.state_dict()
    unknown = sorted(set(state) - set(names))
    if unknown:
        raise ValueError(
            f"state must hold the weights of such a model, got {unknown[0]!r}, which it lacks"
        )
    found: dict[str, npt.NDArray[Any]] = {}
    for theirs, ours in names.items():
        wanted = np.asarray(own[ours])
        if theirs not in state:
            if theirs.startswith("head"):
                found[ours] = wanted
                continue
            raise ValueError(f"state must hold {theirs!r}, which it lacks")
        given = state[theirs]
        array = given.data if isinstance(given, Tensor) else np.asarray(given)
        if ours in _BATCHED and array.ndim == 3 and len(array) == 1:
            array = array[0]
        if array.shape != wanted.shape:
            raise ValueError(
                f"{theirs!r} must have shape {wanted.shape} for this model, got {array.shape}"
            )
        found[ours] = array.astype(np.float32)
    return found
