"""GPT on the characters of tinyshakespeare, with the settings of nanoGPT for CPUs.

4 layers, 4 heads, 128 units, windows of 64 characters, batches of 12, 2,000 steps of AdamW with
warm-up and a cosine. nanoGPT's README tells a validation loss of about 1.88, estimated on a part of
the split; here the loss is that of the whole split.
"""

from __future__ import annotations

import math
import statistics
import time

import numpy as np

import fastdrop as fd
from benchmarks.papers.common import data_folder, groups, mean_text, several
from benchmarks.torch_transformers import torch_gpt
from fastdrop import nn, optim
from fastdrop.bench import cases

BLOCK, BATCH, LAYERS, HEADS, WIDTH = 64, 12, 4, 4, 128
RATE, LEAST, WARM_UP, DECAY = 1e-3, 1e-4, 100, 0.1


def arguments(parser) -> None:
    """Add the options to a parser."""
    parser.add_argument("--library", choices=("fastdrop", "torch"), default="fastdrop")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument(
        "--dropout", type=several(float), default="0", help="rates to compare, such as 0,0.2"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--every", type=int, help="also print a table of the losses after so many steps"
    )
    parser.add_argument("--characters", type=int, help="read only the beginning of the text")


def rate_at(step: int, steps: int) -> float:
    """The learning rate of a step: linear warm-up, then half a cosine down to a tenth."""
    if step < WARM_UP:
        return RATE * (step + 1) / (WARM_UP + 1)
    part = (step - WARM_UP) / max(1, steps - WARM_UP)
    return LEAST + 0.5 * (1 + math.cos(math.pi * min(1.0, part))) * (RATE - LEAST)


class Ours:
    """The model and its steps in fastdrop."""

    def __init__(self, vocabulary: int, dropout: float, seed: int) -> None:
        fd.manual_seed(seed)
        self.model = fd.models.gpt(
            vocabulary, BLOCK, LAYERS, HEADS, WIDTH, dropout=dropout, bias=False
        )
        self.optimizer = optim.AdamW(
            groups(self.model.parameters(), DECAY), lr=RATE, betas=(0.9, 0.99)
        )

    def step(self, tokens, targets) -> None:
        """One step of training."""
        self.model.train()
        loss = self.model(tokens, targets)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()

    def loss(self, tokens, targets) -> float:
        """The mean loss, without dropout."""
        self.model.eval()
        with fd.no_grad():
            return self.model(tokens, targets).item()


class Theirs(Ours):
    """The same in PyTorch."""

    def __init__(self, vocabulary: int, dropout: float, seed: int) -> None:
        torch = cases.torch()
        if torch is None:
            raise SystemExit("--library torch needs PyTorch")
        self.torch = torch
        torch.manual_seed(seed)
        torch.set_num_threads(fd.get_num_threads())
        self.model = torch_gpt(vocabulary, BLOCK, LAYERS, HEADS, WIDTH, dropout, bias=False)
        self.optimizer = torch.optim.AdamW(
            groups(self.model.parameters(), DECAY), lr=RATE, betas=(0.9, 0.99)
        )

    def step(self, tokens, targets) -> None:
        self.model.train()
        loss = self.model(self.torch.from_numpy(tokens), self.torch.from_numpy(targets))
        self.optimizer.zero_grad()
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()

    def loss(self, tokens, targets) -> float:
        self.model.eval()
        with self.torch.no_grad():
            return self.model(self.torch.from_numpy(tokens), self.torch.from_numpy(targets)).item()


def whole_loss(model: Ours, numbers) -> float:
    """The mean loss of a text in windows one after the other."""
    count = (len(numbers) - 1) // BLOCK
    tokens = numbers[: count * BLOCK].reshape(count, BLOCK)
    targets = numbers[1 : count * BLOCK + 1].reshape(count, BLOCK)
    total = 0.0
    for at in range(0, count, 128):
        part = slice(at, min(count, at + 128))
        total += model.loss(tokens[part], targets[part]) * (part.stop - at)
    return total / count


def train(options, texts, vocabulary: int, dropout: float, seed: int):
    """(validation loss at the end, seconds of the steps, losses after each `every` steps)."""
    train, held = texts
    kind = Ours if options.library == "fastdrop" else Theirs
    model = kind(vocabulary, dropout, seed)
    windows = fd.data.RandomWindows(train, BATCH, BLOCK, batches=options.steps, seed=seed)
    seconds, curve = 0.0, []
    for step, (tokens, targets) in enumerate(windows):
        rows, wanted = np.ascontiguousarray(tokens.T), np.ascontiguousarray(targets.T)
        start = time.perf_counter()
        for group in model.optimizer.param_groups:
            group["lr"] = rate_at(step, options.steps)
        model.step(rows, wanted)
        seconds += time.perf_counter() - start
        if options.every and (step + 1) % options.every == 0:
            curve.append(whole_loss(model, held))
    return whole_loss(model, held), seconds, curve


def run(options) -> None:
    """Measure and print."""
    numbers, words = fd.data.read_text(data_folder() / "tinyshakespeare" / "input.txt", "char")
    numbers = numbers[: options.characters]
    cut = int(0.9 * len(numbers))
    curves = {}
    for dropout in options.dropout:
        print(
            f"{options.library}, {options.steps} steps, dropout {dropout:g}; {fd.isa()}, "
            f"{fd.get_num_threads()} threads",
            flush=True,
        )
        found, curves[dropout] = [], []
        for seed in range(options.seeds):
            loss, seconds, curve = train(
                options, (numbers[:cut], numbers[cut:]), len(words), dropout, seed
            )
            found.append(loss)
            curves[dropout].append(curve)
            print(f"  seed {seed}: validation loss {loss:.4f}, {seconds:.0f} s", flush=True)
        spread = statistics.stdev(found) if len(found) > 1 else 0.0
        print(f"  mean {statistics.mean(found):.4f}, standard deviation {spread:.4f}", flush=True)
    if options.every:
        print_curves(curves, options.every)


def print_curves(curves: dict[float, list[list[float]]], every: int) -> None:
    """A table: the validation loss after so many steps, for each rate the mean of the seeds."""
    print("\n| steps | " + " | ".join(f"dropout {rate:g}" for rate in curves) + " |")
    print("|---" * (1 + len(curves)) + "|")
    for at, losses in enumerate(zip(*(zip(*runs, strict=True) for runs in curves.values()))):
        figures = " | ".join(mean_text(of_seeds, 3) for of_seeds in losses)
        print(f"| {(at + 1) * every} | {figures} |", flush=True)
