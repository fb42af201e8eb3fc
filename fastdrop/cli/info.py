"""The command ``fastdrop info``: build, instruction sets, threads and optional packages."""

from __future__ import annotations

import argparse

_OPTIONAL = (
    ("scikit-learn", "the handwritten digits of 'fastdrop train'"),
    ("matplotlib", "pictures of training curves"),
    ("tqdm", "progress bars"),
    ("pandas", "fast reading of training tables"),
    ("pillow", "pictures"),
    ("tokenizers", "pretrained models of texts"),
    ("optuna", "fastdrop tune --sampler optuna"),
)
_EXTRAS = {"pillow": "images", "tokenizers": "text", "optuna": "tune"}  # of the others: train


def run(options: argparse.Namespace) -> int:
    """Run the command; its exit status."""
    from importlib import metadata

    from fastdrop._utils.optional import install_hint
    from fastdrop.runtime import available_isas, show_config

    show_config()
    print("instruction sets that can be forced with FASTDROP_ISA:", ", ".join(available_isas()))
    for package, purpose in _OPTIONAL:
        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            hint = install_hint(package, _EXTRAS.get(package, "train"))
            version = f"not installed ({hint})"
        print(f"{package} ({purpose}): {version}")
    return 0
