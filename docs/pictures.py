"""Makes docs/masks.png: what each member drops, its output for ones (dark is dropped)."""

import pathlib

from fastdrop import nn
from fastdrop._utils.plotting import figure, save
from fastdrop.inspection.plot_masks import as_image, drawn_mask

MEMBERS = [
    ("Dropout", nn.Dropout(0.3), (24, 32)),
    ("Dropout(share=(1,))", nn.Dropout(0.3, share=(1,)), (1, 24, 32)),
    ("SpatialDropout2d", nn.SpatialDropout2d(0.3), (1, 12, 8, 8)),
    ("DropBlock2d", nn.DropBlock2d(0.3, 6), (1, 4, 24, 24)),
    ("AlphaDropout", nn.AlphaDropout(0.3), (24, 32)),
    ("GaussianDropout", nn.GaussianDropout(0.2), (24, 32)),
    ("GaussianNoise", nn.GaussianNoise(0.3), (24, 32)),
    ("DropPath", nn.DropPath(0.3), (24, 32)),
    ("TokenDropout", nn.TokenDropout(0.3), (1, 24, 32)),
    ("Embedding(dropout=)", nn.Embedding(24, 32, dropout=0.3), ()),
    ("DropConnectLinear", nn.DropConnectLinear(32, 24, p=0.3), ()),
    ("TargetedLinear", nn.TargetedLinear(32, 24, targeted=0.6, p=0.7), ()),
    (
        "TargetedLinear(kind='unit')",
        nn.TargetedLinear(32, 24, targeted=0.6, p=0.7, kind="unit"),
        (),
    ),
    ("ConcreteDropout", nn.ConcreteDropout(0.3), (24, 32)),
]

picture = figure(11, 4.6)
for i, (name, layer, shape) in enumerate(MEMBERS):
    axes = picture.add_subplot(2, 7, i + 1)
    image = as_image(drawn_mask(layer, shape, seed=1))
    axes.imshow(
        image,
        cmap="gray",
        vmin=0,
        vmax=max(float(image.max()), 1e-6),
        interpolation="nearest",
        aspect="auto",
    )
    axes.set_title(name, fontsize="x-small")
    axes.set_xticks([])
    axes.set_yticks([])
save(picture, pathlib.Path(__file__).with_name("masks.png"))
