"""Continue a text with a language model that 'fastdrop train --model gpt' or lstm made.

The tokens are drawn one by one with their probabilities. The text goes to standard output.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse


def add_arguments(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command to its parser."""
    sub.add_argument("model", help="a file written by 'fastdrop train --model gpt' or lstm")
    sub.add_argument("--prompt", default="", metavar="TEXT", help="how the text begins")
    sub.add_argument(
        "--length", type=int, default=500, metavar="N", help="tokens to add (default: 500)"
    )
    sub.add_argument(
        "--temperature",
        type=float,
        default=1.0,
        metavar="T",
        help="below 1: more probable tokens; 0: always the most probable one (default: 1)",
    )
    sub.add_argument("--top-k", type=int, metavar="K", help="draw from the K most probable tokens")
    sub.add_argument("--seed", type=int, default=0, metavar="N", help="seed (default: 0)")


def run(options: argparse.Namespace) -> int:
    """Run the command; its exit status."""
    from fastdrop import io
    from fastdrop.cli.text_task import KIND
    from fastdrop.data import Vocabulary
    from fastdrop.models import GPT, LanguageModel

    model, info = io.load_with_info(options.model)
    if (
        not isinstance(model, (GPT, LanguageModel))
        or not isinstance(info, dict)
        or (info.get("kind") != KIND)
    ):
        raise ValueError(
            f"{options.model!r} is no language model: 'fastdrop train --model gpt' makes one"
        )
    words, by_char = Vocabulary.from_dict(info["vocabulary"]), info["level"] == "char"
    begin = list(options.prompt) if by_char else options.prompt.split()
    # Without a prompt a text begins after the end of a line.
    given = words.encode(begin or ["\n" if by_char else "<eos>"])
    numbers = model.generate(
        given, options.length, options.temperature, options.top_k, options.seed
    )
    tokens = words.decode(numbers if begin else numbers[1:])
    if by_char:
        print("".join(tokens))
    else:
        print(" ".join(tokens).replace(" <eos> ", "\n").replace("<eos>", "\n").strip())
    return 0
