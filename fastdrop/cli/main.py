"""The parser of all commands, and the exit status and one-line errors of the command line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from fastdrop import __version__

WRONG_INPUT, FAILED, INTERRUPTED = 2, 1, 130  # exit statuses

_ERRORS = (
    ValueError,
    TypeError,
    OSError,
    ImportError,
    MemoryError,
    ArithmeticError,
    RuntimeError,
)


class _Parser(argparse.ArgumentParser):
    """Reports wrong use in one line on stderr."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_INPUT, f"{self.prog}: error: {message} (for help: {self.prog} --help)\n")


def parser() -> argparse.ArgumentParser:
    """The parser of all commands and their options.

    Returns
    -------
    argparse.ArgumentParser
        Its namespace has the function ``run`` of the command.
    """
    # Imported here, so that `fastdrop --version` does not wait for them.
    from fastdrop.cli import bench, completion, generate, info, predict, train, tune

    top = _Parser(
        prog="fastdrop",
        description="Neural networks with dropout in the kernels.",
        epilog="To begin: fastdrop train",
    )
    top.add_argument("--version", action="version", version=f"fastdrop {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(
        name: str,
        about: str,
        run: Callable[[argparse.Namespace], int],
        description: str | None = None,
        *,
        threads: bool = True,
    ) -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name,
            help=about,
            description=description or about,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(run=run)
        sub.add_argument(
            "--debug", action="store_true", help="show the whole traceback of an error"
        )
        if threads:
            sub.add_argument(
                "--threads",
                type=int,
                metavar="N",
                help="number of threads (the results do not depend on it)",
            )
        return sub

    train.add_arguments(command("train", "train a network and test it", train.run, train.__doc__))
    predict.add_arguments(
        command("predict", "apply a trained network to a file", predict.run, predict.__doc__)
    )
    tune.add_arguments(
        command("tune", "search the dropout rates for a table", tune.run, tune.__doc__)
    )
    generate.add_arguments(
        command("generate", "continue a text with a language model", generate.run, generate.__doc__)
    )
    bench.add_arguments(
        command("bench", "compare the speed of fastdrop, NumPy and PyTorch here", bench.run)
    )
    command(
        "info",
        "show version, compiler, instruction sets, threads and optional packages",
        info.run,
        threads=False,
    )
    completion.add_arguments(
        command(
            "completion",
            "print a script that completes commands and options in a shell",
            completion.run,
            completion.__doc__,
            threads=False,
        )
    )
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : sequence of str, optional
        Default: those of the process, ``sys.argv[1:]``.

    Returns
    -------
    int
        The exit status: 0, 2 for wrong input, 1 for a run that failed, 130 after Ctrl-C.

    Raises
    ------
    SystemExit
        The arguments cannot be parsed, or ask for help.
    """
    options = parser().parse_args(arguments)
    try:
        if getattr(options, "threads", None) is not None:
            from fastdrop.runtime import set_num_threads

            set_num_threads(options.threads)
        import numpy as np

        # The commands report infinite and NaN results themselves; NumPy's warnings would repeat it.
        with np.errstate(over="ignore", invalid="ignore"):
            return options.run(options)
    except KeyboardInterrupt:
        kept = getattr(options, "checkpoint", None)
        hint = (
            f"; continue with --checkpoint {kept} --resume" if kept and os.path.exists(kept) else ""
        )
        print(f"fastdrop {options.command}: interrupted{hint}", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has closed it. Python would report this once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except _ERRORS as error:
        if options.debug:
            raise
        if isinstance(error, OSError) and error.filename:
            message = f"{error.strerror}: {error.filename!r}"
        else:
            message = " ".join(str(error).split()) or type(error).__name__
        print(f"fastdrop {options.command}: error: {message}", file=sys.stderr)
        failed = isinstance(error, (MemoryError, ArithmeticError, RuntimeError))
        return FAILED if failed else WRONG_INPUT


if __name__ == "__main__":
    sys.exit(main())
