#!/usr/bin/env -S uv run --script
# /// script
# requires-python = ">=3.11"
# dependencies = ["nox>=2025.2.9"]
# ///
"""Tasks for contributors: `nox -l` lists them, `nox -s lint tests` runs two.

Each session has its own virtual environment. `nox -r` reuses it.
"""

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"


@nox.session
def tests(session: nox.Session) -> None:
    """The tests; arguments after -- go to pytest."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs)


@nox.session(default=False)
def compare(session: nox.Session) -> None:
    """The tests with PyTorch, pandas and SciPy installed; a skipped comparison is a failure."""
    session.install("-e", ".[dev,compare]")
    session.run("pytest", *session.posargs, env={"FASTDROP_REQUIRE_ALL": "1"})


@nox.session
def lint(session: nox.Session) -> None:
    """Format, lint and spelling of Python and C, project metadata and workflows."""
    session.install("-e", ".[dev]")
    session.run(".ci/checks", "lint", external=True)


@nox.session(name="format", default=False)
def reformat(session: nox.Session) -> None:
    """Format Python and C."""
    session.install("-e", ".[dev]")
    session.run(".ci/checks", "format", external=True)


@nox.session
def types(session: nox.Session) -> None:
    """The package and the programs in tests/typing, also against an installed wheel."""
    session.install("-e", ".[dev]", "pip")  # pip: uv makes environments without it
    session.run(".ci/checks", "types", external=True)


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """The documentation site, into docs/_build/html; warnings are errors."""
    session.install("-e", ".[docs]")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")


@nox.session(default=False)
def sanitize(session: nox.Session) -> None:
    """The tests under AddressSanitizer and UBSan: the machine's instruction set, then plain C."""
    session.install("-e", ".[test]", "setuptools", "cython")
    for isa in ({}, {"FASTDROP_ISA": "scalar"}):
        session.run("tests/sanitize.sh", *session.posargs, env=isa, external=True)


@nox.session(venv_backend="none", default=False)
def cross(session: nox.Session) -> None:
    """The core for AArch64 under qemu gives the bits of this machine (needs the cross compiler)."""
    session.run("python3", "tests/cross_check.py", *session.posargs, external=True)


if __name__ == "__main__":
    nox.main()
