"""``fastdrop completion``: what bash completes when it has read the script."""

import shutil
import subprocess

import pytest

from fastdrop import cli
from fastdrop.cli.completion import commands_of, script

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")

# Sets the words of a command line, calls the function, and prints what it found.
ASK = """
source ./script
complete() { :; }
COMP_WORDS=("$@")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_fastdrop_complete
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def complete(tmp_path, capsys):
    """What bash offers for the last of these words."""
    assert cli.main(["completion", "bash"]) == 0
    (tmp_path / "script").write_text(capsys.readouterr().out)
    (tmp_path / "ask").write_text(ASK)
    for name in ("data.csv", "data.npz", "other.csv"):
        (tmp_path / name).write_text("")
    (tmp_path / "folder").mkdir()

    def ask(*words):
        done = subprocess.run(
            ["bash", "ask", "fastdrop", *words], cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0 and done.stderr == "", done.stderr
        return sorted(filter(None, done.stdout.split("\n")))

    return ask


def test_commands(complete):
    names = [command.name for command in commands_of(cli.parser())]
    assert complete("") == sorted([*names, "--help", "--version"])
    assert complete("t") == ["train", "tune"]
    assert {"train", "tune", "predict", "generate", "bench", "info", "completion"} == set(names)


@pytest.mark.parametrize("command", commands_of(cli.parser()), ids=lambda c: c.name)
def test_options(complete, command):
    assert complete(command.name, "-") == sorted(command.flags)
    assert "--debug" in command.flags


def test_values(complete):
    assert complete("train", "--optimizer", "") == ["adam", "adamw", "rmsprop", "sgd"]
    assert complete("train", "--quiet", "--optimizer", "ad") == ["adam", "adamw"]
    assert complete("train", "--data", "da") == ["data.csv", "data.npz"]
    assert complete("train", "--report", "o") == ["other.csv"]
    assert complete("train", "--pretrained", "") == ["folder"]
    assert complete("train", "--lr", "") == []
    assert complete("train", "--report", "r.html", "--he") == ["--header", "--help"]
    assert complete("tune", "--sampler", "") == ["optuna", "rule"]
    assert complete("predict", "o") == ["other.csv"]
    assert complete("predict", "other.csv", "da") == ["data.csv", "data.npz"]
    assert complete("predict", "other.csv", "--masks", "") == ["per_sample", "shared"]
    assert complete("completion", "") == ["bash", "zsh"]
    assert complete("completion", "--de") == ["--debug"]
    assert complete("nothing", "--x") == []


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_script_is_right_for_the_shell(tmp_path, shell):
    text = script(shell, cli.parser())
    (tmp_path / "script").write_text(text)
    if shutil.which(shell):
        done = subprocess.run([shell, "-n", "script"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr == ""
    for command in commands_of(cli.parser()):
        for flag in command.flags:
            assert flag in text
    end = "complete -o filenames -F _fastdrop_complete fastdrop"
    assert text.splitlines()[-1] == (end if shell == "bash" else "compdef _fastdrop fastdrop")
    assert "%(default)s" not in text


def test_an_unknown_shell_is_refused(capsys):
    with pytest.raises(SystemExit) as error:
        cli.main(["completion", "fish"])
    assert error.value.code == 2 and "invalid choice: 'fish'" in capsys.readouterr().err
