"""The command line: fastdrop train | predict | bench | info."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from fastdrop import __version__

WRONG_INPUT, FAILED, INTERRUPTED = 2, 1, 130


class _Parser(argparse.ArgumentParser):
    """Wrong use is one line on stderr."""

    def error(self, message):
        self.exit(WRONG_INPUT, f"{self.prog}: error: {message} ('{self.prog} --help' tells more)\n")


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    from fastdrop.cli import predict as cli_predict
    from fastdrop.cli import train as cli_train

    top = _Parser(
        prog="fastdrop",
        description="Neural networks with dropout in the kernels.",
        epilog="Begin with: fastdrop train",
    )
    top.add_argument("--version", action="version", version=f"fastdrop {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name, about, run, description=None):
        sub = commands.add_parser(
            name,
            help=about,
            description=description or about,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(run=run)
        sub.add_argument(
            "--debug", action="store_true", help="on an error show the whole traceback"
        )
        if name != "info":
            sub.add_argument(
                "--threads",
                type=int,
                metavar="N",
                help="threads to compute with (results do not depend on it)",
            )
        return sub

    cli_train.add_arguments(
        command("train", "train a network and test it", cli_train.run, cli_train.__doc__)
    )
    cli_predict.add_arguments(
        command(
            "predict", "apply a trained network to a file", cli_predict.run, cli_predict.__doc__
        )
    )
    bench = command(
        "bench",
        "a table with bars: how fast is this machine with fastdrop, NumPy, PyTorch?",
        _bench,
    )
    bench.add_argument(
        "--pairs",
        type=int,
        default=15,
        metavar="N",
        help="rounds of each comparison (default: %(default)s)",
    )
    bench.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="draw the bars into a picture, too (needs matplotlib)",
    )
    bench.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    command("info", "version, compiler, instruction sets, threads, optional packages", _info)
    return top


def _bench(options) -> int:
    import json

    from fastdrop import bench
    from fastdrop._utils import plotting

    asked = {
        name: getattr(options, name)
        for name in ("pairs", "threads", "plot", "json")
        if getattr(options, name) is not None
    }
    for name in ("plot", "json"):  # before minutes of measuring, not after
        if name in asked and not asked[name].parent.is_dir():
            raise FileNotFoundError(f"--{name}: {str(asked[name].parent)!r} is not a folder")
    if options.plot:
        plotting.check_ending(os.fspath(options.plot), "--plot")
    options_again = [f"--{name}={value}" for name, value in asked.items()]
    status = bench.rerun(
        ["-P", "-m", "fastdrop", "bench", *options_again, *["--debug"] * options.debug]
    )
    if status is not None:
        return status
    rows = bench.quick_table(options.pairs)
    if options.json:
        options.json.write_text(
            json.dumps({"machine": bench.machine(), "rows": rows}, indent=1) + "\n"
        )
    if options.plot:
        bench.plot(rows, options.plot)
    return 0


def _info(options) -> int:
    from importlib import metadata

    from fastdrop import available_isas, show_config
    from fastdrop._utils.optional import install_hint

    show_config()
    print("instruction sets that can be forced with FASTDROP_ISA:", ", ".join(available_isas()))
    for package, purpose in (
        ("scikit-learn", "the digits of 'fastdrop train'"),
        ("matplotlib", "pictures of training curves"),
        ("tqdm", "progress bars"),
    ):
        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            version = f"not installed ({install_hint(package, 'train')})"
        print(f"{package} ({purpose}): {version}")
    return 0


def main(arguments=None) -> int:
    """Run a command; the exit status: 0, 2 for wrong input, 1 for a run that failed, 130 for Ctrl-C."""
    options = parser().parse_args(arguments)
    try:
        if getattr(options, "threads", None) is not None:
            from fastdrop import set_num_threads

            set_num_threads(options.threads)
        import numpy as np

        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # what is not finite is an error of the commands; NumPy's warnings say it twice
            return options.run(options)
    except KeyboardInterrupt:
        kept = getattr(options, "checkpoint", None)
        hint = (
            f"; continue with --checkpoint {kept} --resume" if kept and os.path.exists(kept) else ""
        )
        print(f"fastdrop {options.command}: interrupted{hint}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (
        ValueError,
        TypeError,
        OSError,
        ImportError,
        MemoryError,
        ArithmeticError,
        RuntimeError,
    ) as error:
        if options.debug:
            raise
        said = (
            f"{error.strerror}: {error.filename!r}"
            if isinstance(error, OSError) and error.filename
            else str(error)
        )
        print(
            f"fastdrop {options.command}: error: {' '.join(said.split()) or type(error).__name__}",
            file=sys.stderr,
        )
        return (
            FAILED
            if isinstance(error, (MemoryError, ArithmeticError, RuntimeError))
            else WRONG_INPUT
        )


if __name__ == "__main__":
    sys.exit(main())
