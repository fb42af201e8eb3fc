"""Reproductions of the figures of papers.

    python -m benchmarks.papers NAME [--help] ...

The environment variable FASTDROP_DATA names the folder of the data sets.
"""

from __future__ import annotations

import argparse

from benchmarks.papers import (
    calibration,
    cifar_convnet,
    cifar_vit,
    co2,
    concrete,
    features,
    fine_tuning,
    language_model,
    mnist,
    mnist_cnn,
    ood,
    sentence_lstm,
    sentences,
    shakespeare,
    sparse,
    stochastic_depth,
    text_encoder,
    thinned,
    uci_gal,
)

PAPERS = (
    mnist,
    mnist_cnn,
    thinned,
    cifar_convnet,
    stochastic_depth,
    cifar_vit,
    sentences,
    sentence_lstm,
    fine_tuning,
    language_model,
    shakespeare,
    text_encoder,
    concrete,
    sparse,
    features,
    uci_gal,
    ood,
    calibration,
    co2,
)


def main(arguments=None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.papers", description=__doc__.splitlines()[0]
    )
    commands = parser.add_subparsers(dest="paper", required=True)
    for paper in PAPERS:
        about = paper.__doc__.splitlines()[0]
        command = commands.add_parser(
            paper.__name__.rpartition(".")[2], help=about, description=about
        )
        paper.arguments(command)
        command.set_defaults(run=paper.run)
    options = parser.parse_args(arguments)
    options.run(options)


if __name__ == "__main__":
    main()
