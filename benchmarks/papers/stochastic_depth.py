"""A ResNet on CIFAR-10 with stochastic depth: test error, and the training time that it saves.

Also DropBlock against dropout of elements and of channels in the same network.
"""

from __future__ import annotations

import fastdrop as fd
from benchmarks.papers.image_training import cifar10_arrays, compare, training_arguments

PUBLISHED = (
    "Huang et al. (2016), ResNet-110 on CIFAR-10: 6.41 % with constant depth, 5.25 % with "
    "stochastic depth, p_L = 0.5, which saves about a quarter of the training time"
)


def arguments(parser) -> None:
    """Add the options to a parser."""
    training_arguments(parser, epochs=30, lr=0.1, weight_decay=1e-4)
    parser.add_argument(
        "--network", default="resnet32", help="a function of fastdrop.models (default resnet32)"
    )
    parser.add_argument(
        "--only", default="", help="only the variants whose name contains this text"
    )


def run(options) -> None:
    """Measure and print."""
    data = cifar10_arrays(options.images)
    build = getattr(fd.models, options.network)
    ramp = fd.schedules.Linear(0.0, 0.1, options.epochs * (len(data[0]) // options.batch_size))
    variants = {
        "plain": {},
        "stochastic depth 0.5": {"drop_path_rate": 0.5},
        "DropBlock 0.1": {"drop_block": ramp, "block_size": 5},
        "channel dropout 0.1": {"channel_dropout": 0.1},
        "dropout 0.1 before the dense layer": {"dropout": 0.1},
    }
    print(f"published: {PUBLISHED}")
    compare(
        {
            name: lambda arguments=arguments: build(**arguments)
            for name, arguments in variants.items()
            if options.only in name
        },
        data,
        options,
        augment=True,
    )
