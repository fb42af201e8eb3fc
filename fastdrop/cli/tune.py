"""Search the dropout rates and the learning rate of a network for a table.

Each trial trains a network on a part of the training rows and judges it on the rest of them
(--validation, default 0.2). All trials have the same seed: they differ in what is searched alone.
The test rows choose nothing: they judge the best network at the end, which is saved.

--sampler rule (default) follows the rule of thumb of 'fastdrop.tune_rates': start at 0.2, raise the
rate of the hidden layers by 0.1 while the network overfits and lower it while it underfits; the
input has two fifths of it. Then it changes the learning rate by factors of 3, and goes on with
smaller steps until --trials are used up or nothing improves.

--sampler optuna (pip install optuna) samples a rate for the input and for each hidden layer, the
learning rate and the weight decay with Optuna's TPE sampler.

After Ctrl-C the best of the trials that ended is reported and saved, and the exit status is 130.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from typing import TYPE_CHECKING, Any

from fastdrop.cli.train_options import TUNING_FLAGS, add_tuning_arguments
from fastdrop.nn.module import passes_differ
from fastdrop.random import manual_seed

if TYPE_CHECKING:
    from fastdrop.cli.tuning_search import Found

__all__ = ["add_arguments", "run"]


def add_arguments(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command to its parser."""
    search = sub.add_argument_group("search")
    search.add_argument(
        "--trials",
        type=int,
        default=20,
        metavar="N",
        help="the largest number of networks that are trained (default: %(default)s)",
    )
    search.add_argument(
        "--sampler",
        choices=["rule", "optuna"],
        default="rule",
        help="how the trials are chosen (default: %(default)s)",
    )
    add_tuning_arguments(sub)


def run(options: argparse.Namespace) -> int:
    """Run the command; its exit status."""
    from fastdrop import io
    from fastdrop.cli import train_output as output
    from fastdrop.cli.main import INTERRUPTED
    from fastdrop.cli.table_data import table_data
    from fastdrop.cli.train import check_class_weight, check_paths
    from fastdrop.cli.training_task import fill_defaults
    from fastdrop.cli.tuning_search import Search, search_by_optuna, search_by_rule

    if options.data is None:
        raise ValueError("fastdrop tune needs --data FILE")
    if options.trials < 1:
        raise ValueError(f"--trials must be at least 1, got {options.trials}")
    if options.validation is not None and not 0 < options.validation < 1:
        raise ValueError(f"--validation must be between 0 and 1, got {options.validation}")
    given = dict(vars(options))
    fill_defaults(options)
    options.epochs = 60 if options.epochs is None else options.epochs
    options.hidden = [512, 512] if options.hidden is None else options.hidden
    if not options.hidden:
        raise ValueError("--hidden must hold at least one width, whose dropout is searched")
    manual_seed(options.seed)
    data = table_data(options)
    task = data.split(options.test_fraction)
    task.check_metric(options.metric)
    check_class_weight(options, task)
    out = options.out or f"{task.name}.safetensors"
    check_paths(options, out, None)
    if task.report is not None:
        print(f"{task.report}\n", flush=True)
    search = Search(task, options)
    task.network(0.2, options)  # a wrong option is reported before the first trial
    assert task.test is not None
    print(
        f"{task.name}: {len(search.train)} training, {len(search.held_out)} validation and "
        f"{len(task.test)} test samples, {task.describe(options)}",
        flush=True,
    )
    interrupted = False
    try:
        (search_by_optuna if options.sampler == "optuna" else search_by_rule)(search)
    except KeyboardInterrupt:
        if search.best is None:
            raise
        interrupted = True
        done = f"after {len(search.trials)} trials, the best of which follows"
        print(f"fastdrop tune: interrupted {done}", file=sys.stderr, flush=True)
    best = search.best
    if best is None or best.model is None:
        raise FloatingPointError("no trial ended with a finite loss: give a smaller --lr")
    print(f"\n{search.table()}")
    label = f"dropout {', '.join(f'{p:g}' for p in best.rates)}, lr {best.lr:g}"
    output.print_scores({label: [task.scores(best.model)]}, task, task.baseline(), options.metric)
    io.save(best.model, out, info=task.preparation.to_dict())
    print(f"\nmodel (the best of {len(search.trials)} trials): {out}")
    if options.report is not None:
        from fastdrop.cli.report import write_report

        assert best.history is not None
        options.dropout = list(best.rates)
        write_report(options.report, task, [(task, best.model)], {label: best.history}, options)
        print(f"report: {options.report}")
    print("\nNext steps")
    print(f"  {_command(given, best)}      # on all training rows")
    passes = " --mc 50" if passes_differ(best.model) else ""
    print(f"  fastdrop predict {out} FILE.csv{passes}")
    return INTERRUPTED if interrupted else 0


def _command(given: dict[str, Any], best: Found) -> str:
    """The command that trains with what was found, and with the options that were given."""
    from fastdrop.cli.main import parser

    defaults, words = vars(parser().parse_args(["tune"])), ["fastdrop", "train"]
    found = {
        "--dropout": ",".join(f"{p:g}" for p in best.rates),
        "--lr": f"{best.lr:g}",
        "--weight-decay": f"{best.weight_decay:g}" if best.weight_decay else "",
    }
    for flag in TUNING_FLAGS:
        name = flag.removeprefix("--").replace("-", "_")
        value = given[name]
        if value == defaults[name] or flag in {
            *found,
            "--validation",
            "--out",
            "--report",
            "--quiet",
        }:
            continue
        words.append(flag)
        if flag == "--columns":
            words += value
        elif isinstance(value, list):
            words.append(",".join(map(str, value)))
        elif value is not True:
            words.append(str(value))
    words += [word for flag, value in found.items() if value for word in (flag, value)]
    return shlex.join(words)
