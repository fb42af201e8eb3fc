"""Vision transformers: images as sequences of patches."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastdrop import functional as F
from fastdrop import nn
from fastdrop._utils import validation as check
from fastdrop.autograd.parameter import Parameter
from fastdrop.autograd.passes import carries
from fastdrop.autograd.tensor import Tensor, as_tensor
from fastdrop.functional.positional import with_first_tokens

if TYPE_CHECKING:
    from fastdrop._utils.typing import ArrayLike
    from fastdrop.schedules import Schedule

    Rate = float | Schedule

__all__ = ["VisionTransformer", "deit", "deit_tiny", "vit", "vit_small", "vit_tiny"]


class VisionTransformer(nn.Module):
    """ViT: the patches of an image as tokens of a transformer's encoder.

    The image is cut into L patches; each is multiplied by one matrix. Before the patches stand the
    learned class token and, with `distilled`, the distillation token of DeiT:
    ``z = patch_dropout(dropout([class; E x_1; ...; E x_L] + positions))``. Then depth layers
    ``z = z + d(attention(norm1(z)))``, ``z = z + d(W_2 dropout(gelu(W_1 norm2(z))))`` with
    d = drop_path(dropout(.)), and the scores ``head(norm(z)[0])``. With `distilled` the scores are
    the mean of ``head(norm(z)[0])`` and ``head_dist(norm(z)[1])``, as in timm.

    Input (N, in_channels, H, W), output (N, num_classes): scores. ``model(x, both_heads=True)``
    gives the scores of the two heads apart, for distillation: the loss of DeiT is the mean of
    cross_entropy(head, labels) and cross_entropy(head_dist, the teacher's classes).

    `patch_dropout` removes patches in training, so that a step computes fewer tokens; the class
    token always stays. Rates: drop_path_rate 0.1 and the others 0 in DeiT; dropout 0.1 for small
    data; patch_dropout 0.5 about halves the time of a step.

    Parameters
    ----------
    num_classes : int
        Number of classes.
    image_size, patch_size : int or (int, int)
        Height and width in pixels; the patch's divide the image's.
    embed_dim : int
        Size of the tokens.
    depth, num_heads : int
        Layers, and heads of each; num_heads divides embed_dim.
    mlp_ratio : float
        The hidden layers have round(mlp_ratio * embed_dim) units.
    in_channels : int
        Channels of an image.
    dropout : float in [0, 1], or Schedule
        The rate of the sum of embeddings, of the hidden layers and of both branches.
    attention_dropout : float in [0, 1], or Schedule
        The rate of the softmax.
    drop_path_rate : float in [0, 1]
        Stochastic depth of the last layer's branches; it grows linearly from 0.
    patch_dropout : float in [0, 1], or Schedule
        The share of the patches that a training step leaves out.
    head_dropout : float in [0, 1], or Schedule
        The probability that a sample drops a head of the attention.
    class_token : bool
        False: no class token; the head gets the mean of the tokens behind the last norm.
    distilled : bool
        Whether there are a distillation token and a second head; it needs the class token.
    qkv_bias : bool
        Whether queries, keys and values have biases.

    Attributes
    ----------
    class_token_weight, distillation_token_weight : Parameter (1, embed_dim), or None
        The first tokens. These and `positions` are truncated normal with deviation 0.02 at first.
    positions : Parameter (tokens, embed_dim)
        Added to the tokens.
    patches, layers, norm, head, head_dist
        The layers; head_dist is None without `distilled`.

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range, or patches do not fit the image. When
        called: the images have another shape.

    References
    ----------
    - Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at
      Scale", ICLR 2021, arXiv:2010.11929.
    - Touvron, Cord, Douze, Massa, Sablayrolles, Jegou, "Training data-efficient image
      transformers & distillation through attention", ICML 2021, arXiv:2012.12877.
    - Liu, Matsoukas, Strand, Azizpour, Smith, "PatchDropout: Economizing Vision Transformers Using
      Patch Dropout", WACV 2023, arXiv:2208.07220.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> model = fd.models.VisionTransformer(10, 32, 8, embed_dim=16, depth=2, num_heads=2)
    >>> model(np.zeros((2, 3, 32, 32))).shape
    (2, 10)
    >>> model.positions.shape
    (17, 16)
    """

    class_token_weight: Parameter | None
    distillation_token_weight: Parameter | None

    def __init__(
        self,
        num_classes: int = 10,
        image_size: int | tuple[int, int] = 32,
        patch_size: int | tuple[int, int] = 4,
        embed_dim: int = 96,
        depth: int = 6,
        num_heads: int = 3,
        mlp_ratio: float = 4.0,
        in_channels: int = 3,
        *,
        dropout: Rate = 0.0,
        attention_dropout: Rate = 0.0,
        drop_path_rate: float = 0.0,
        patch_dropout: Rate = 0.0,
        head_dropout: Rate = 0.0,
        class_token: bool = True,
        distilled: bool = False,
        qkv_bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_classes = check.integer(num_classes, "num_classes", 1)
        self.image_size = high, wide = _pair(image_size, "image_size")
        self.patch_size = rows, columns = _pair(patch_size, "patch_size")
        if high % rows or wide % columns:
            raise ValueError(
                "patch_size must divide image_size, so that whole patches cover the image, got "
                f"patches of {rows} x {columns} for images of {high} x {wide}"
            )
        self.embed_dim = check.integer(embed_dim, "embed_dim", 1)
        self.depth = check.integer(depth, "depth", 1)
        self.num_heads = num_heads
        self.mlp_ratio = check.real(mlp_ratio, "mlp_ratio", low=0.0, open_low=True)
        self.in_channels = check.integer(in_channels, "in_channels", 1)
        self.dropout, self.attention_dropout = dropout, attention_dropout
        self.drop_path_rate = check.rate(drop_path_rate, "drop_path_rate")
        self.patch_dropout, self.head_dropout = patch_dropout, head_dropout
        self.class_token = check.flag(class_token, "class_token")
        self.distilled = check.flag(distilled, "distilled")
        self.qkv_bias = check.flag(qkv_bias, "qkv_bias")
        if distilled and not class_token:
            raise ValueError("distilled must be False without a class token, got True")
        first, count = int(class_token) + int(distilled), (high // rows) * (wide // columns)
        self.patches = _Patches(in_channels, embed_dim, self.patch_size, self.patch_size)
        self.class_token_weight = _tokens(1, embed_dim) if class_token else None
        self.distillation_token_weight = _tokens(1, embed_dim) if distilled else None
        self.positions = _tokens(first + count, embed_dim)
        self.drop = nn.Dropout(dropout)
        self.patch_drop = nn.PatchDropout(patch_dropout, prefix_tokens=first)
        layer = nn.TransformerEncoderLayer(
            *(embed_dim, num_heads, max(1, round(mlp_ratio * embed_dim)), dropout, "gelu", 1e-6),
            batch_first=True,
            norm_first=True,
            attention_dropout=attention_dropout,
            head_dropout=head_dropout,
        )
        if not qkv_bias:
            layer.self_attn.in_proj_bias = None
        self.layers = nn.TransformerEncoder(layer, depth, drop_path=drop_path_rate)
        self.norm = nn.LayerNorm(embed_dim, 1e-6)
        self.head = nn.Linear(embed_dim, num_classes)
        self.head_dist = nn.Linear(embed_dim, num_classes) if distilled else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial weights again, from the generator "init" of the run.

        Truncated normal: the patches' matrix with variance 1 / inputs, everything else with
        deviation 0.02. Biases are 0.
        """
        for name, parameter in self.named_parameters():
            if parameter.ndim > 1:
                fan_in = int(np.prod(parameter.shape[1:])) if name == "patches.weight" else 0
                nn.init.trunc_normal_(parameter, std=fan_in**-0.5 if fan_in else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    if TYPE_CHECKING:

        def __call__(self, input: Tensor | ArrayLike, *, both_heads: bool = False) -> Any: ...

    @carries
    def forward(self, input: Tensor | ArrayLike, *, both_heads: bool = False) -> Any:
        """The scores of images.

        Parameters
        ----------
        input : Tensor or array (N, in_channels, H, W)
        both_heads : bool, default False
            The scores of a distilled network's two heads, not their mean.

        Returns
        -------
        Tensor (N, num_classes), or a pair of them with `both_heads`: (head, head_dist)

        Raises
        ------
        ValueError
            The images have another shape, or `both_heads` is set without a second head.
        """
        images = as_tensor(input, "input")
        if images.ndim != 4 or images.shape[1:] != (self.in_channels, *self.image_size):
            raise ValueError(
                f"input must have shape (N, {self.in_channels}, {self.image_size[0]}, "
                f"{self.image_size[1]}), got {images.shape}"
            )
        if both_heads and self.head_dist is None:
            raise ValueError("both_heads needs a network that is distilled")
        first = self.class_token_weight
        if first is not None and self.distillation_token_weight is not None:
            first = F.cat([first, self.distillation_token_weight])  # type: ignore[assignment]
        x = self.drop(with_first_tokens(self.patches(images), first, self.positions))
        x = self.layers(self.patch_drop(x))
        if first is None:
            return self.head(F.mean(self.norm(x), 1))
        x = self.norm(x[:, : first.shape[0]])
        scores = self.head(x[:, 0])
        if self.head_dist is None:
            return scores
        others = self.head_dist(x[:, 1])
        return (scores, others) if both_heads else (scores + others) * 0.5


class _Patches(nn.Conv2d):
    """(N, C, H, W) -> (N, L, E): the product of each patch and the weights (E, C, rows, columns).

    Patches do not overlap: the convolution is one product of the copied patches.
    """

    def forward(self, input: Tensor | ArrayLike) -> Tensor:
        x = as_tensor(input, "input")
        high, wide = x.shape[2:]
        rows, columns = self.kernel_size
        down, right = high // rows, wide // columns
        x = F.unflatten(F.unflatten(x, 3, (right, columns)), 2, (down, rows))
        x = F.permute(x, (0, 2, 4, 1, 3, 5))  # (N, down, right, C, rows, columns)
        x = F.flatten(F.flatten(x, 3), 1, 2)
        return F.linear(x, F.flatten(self.weight, 1), self.bias)


def _tokens(count: int, width: int) -> Parameter:
    return Parameter(np.empty((count, width), np.float32))


def _pair(value: Any, name: str) -> tuple[int, int]:
    """(height, width) of a number or of a pair."""
    pair = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(pair) != 2:
        raise ValueError(f"{name} must be a number or (height, width), got {value}")
    return check.integer(pair[0], name, 1), check.integer(pair[1], name, 1)


def vit(num_classes: int = 10, *args: Any, **kwargs: Any) -> VisionTransformer:
    """Build a `VisionTransformer`; by default one of 0.7 million weights for 32 x 32 pixels.

    Parameters
    ----------
    num_classes : int
        Number of classes.
    *args, **kwargs
        The other arguments of `VisionTransformer`, in its order: image_size, patch_size,
        embed_dim, depth, num_heads, mlp_ratio, in_channels; and its keywords.

    Returns
    -------
    VisionTransformer

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    References
    ----------
    Dosovitskiy et al., "An Image is Worth 16x16 Words: Transformers for Image Recognition at
    Scale", ICLR 2021, arXiv:2010.11929.

    Examples
    --------
    >>> import fastdrop as fd
    >>> fd.models.vit(10, image_size=32, patch_size=4, drop_path_rate=0.1).depth
    6
    """
    return VisionTransformer(num_classes, *args, **kwargs)


def deit(num_classes: int = 10, *args: Any, **kwargs: Any) -> VisionTransformer:
    """Build a `VisionTransformer` with a distillation token and two heads, as in DeiT.

    Parameters
    ----------
    num_classes : int
        Number of classes.
    *args, **kwargs
        The other arguments of `VisionTransformer`, in its order: image_size, patch_size,
        embed_dim, depth, num_heads, mlp_ratio, in_channels; and its keywords.

    Returns
    -------
    VisionTransformer

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    References
    ----------
    Touvron, Cord, Douze, Massa, Sablayrolles, Jegou, "Training data-efficient image transformers &
    distillation through attention", ICML 2021, arXiv:2012.12877.

    Examples
    --------
    >>> import numpy as np
    >>> import fastdrop as fd
    >>> model = fd.models.deit(5, image_size=16, patch_size=8, embed_dim=8, depth=1, num_heads=2)
    >>> labels, teacher = model(np.zeros((2, 3, 16, 16)), both_heads=True)
    >>> labels.shape, teacher.shape
    ((2, 5), (2, 5))
    """
    return VisionTransformer(num_classes, *args, **{"distilled": True, **kwargs})


_DOC = """Build the {what}.

    {depth} layers of {num_heads} heads, {embed_dim} units, patches of 16 x 16: timm's
    ``{timm}``. Its weights can be loaded: see `fastdrop.io.from_timm_names`.

    Parameters
    ----------
    num_classes : int
        Number of classes.
    image_size : int or (int, int)
        Height and width in pixels, multiples of `patch_size`.
    in_channels : int
        Channels of an image.
    **arguments
        Other arguments of `VisionTransformer`: its rates, `patch_size` and others.

    Returns
    -------
    VisionTransformer

    Raises
    ------
    TypeError, ValueError
        An argument has the wrong type or is out of range.

    References
    ----------
    Touvron, Cord, Douze, Massa, Sablayrolles, Jegou, "Training data-efficient image transformers &
    distillation through attention", ICML 2021, arXiv:2012.12877.

    Examples
    --------
    >>> import fastdrop as fd
    >>> model = fd.models.{name}(10, 32, patch_size=8, drop_path_rate=0.1)
    >>> model.embed_dim, model.num_heads
    ({embed_dim}, {num_heads})
    """


def _builder(
    name: str, what: str, timm: str, embed_dim: int, num_heads: int, distilled: bool = False
) -> Callable[..., VisionTransformer]:
    """The function that builds a network of a common size."""
    sizes = {"embed_dim": embed_dim, "depth": 12, "num_heads": num_heads}

    def build(
        num_classes: int = 1000,
        image_size: int | tuple[int, int] = 224,
        in_channels: int = 3,
        **arguments: Any,
    ) -> VisionTransformer:
        arguments = {"patch_size": 16, "distilled": distilled, **sizes, **arguments}
        return VisionTransformer(num_classes, image_size, in_channels=in_channels, **arguments)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = _DOC.format(name=name, what=what, timm=timm, **sizes)
    return build


vit_tiny = _builder("vit_tiny", "ViT-Tiny", "vit_tiny_patch16_224", 192, 3)
vit_small = _builder("vit_small", "ViT-Small", "vit_small_patch16_224", 384, 6)
deit_tiny = _builder(
    *("deit_tiny", "distilled DeiT-Tiny", "deit_tiny_distilled_patch16_224", 192, 3), distilled=True
)
