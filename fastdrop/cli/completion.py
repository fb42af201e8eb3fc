"""Print a script that completes commands, options and values in a shell.

bash, for this session or in ~/.bashrc:

  source <(fastdrop completion bash)

zsh, in ~/.zshrc, after compinit:

  source <(fastdrop completion zsh)
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Command", "add_arguments", "commands_of", "run", "script"]

SHELLS = ("bash", "zsh")
# What the value of an option is, by the name that its help gives it.
_FILES = {"FILE", "FILE.html"}
_FOLDERS = {"FOLDER"}


@dataclass
class Option:
    """An option of a command, or an argument without a flag (no `flags`).

    `value` is None for an option without a value, otherwise "file", "folder", "any", or the words
    to choose from; `about` is one line of text.
    """

    flags: list[str]
    value: str | list[str] | None
    about: str


@dataclass
class Command:
    """A command with its options and arguments."""

    name: str
    about: str
    options: list[Option] = field(default_factory=list)

    @property
    def flags(self) -> list[str]:
        """All flags."""
        return [flag for option in self.options for flag in option.flags]


def add_arguments(sub: argparse.ArgumentParser) -> None:
    """Add the options of the command to its parser."""
    sub.add_argument("shell", choices=SHELLS, help="the shell that reads the script")


def run(options: argparse.Namespace) -> int:
    """Run the command; its exit status."""
    # Imported here: the parser of all commands imports this module.
    from fastdrop.cli.main import parser

    sys.stdout.write(script(options.shell, parser()))
    return 0


def commands_of(parser: argparse.ArgumentParser) -> list[Command]:
    """The commands of a parser, with the options that argparse knows."""
    found = next(
        action for action in parser._actions if isinstance(action, argparse._SubParsersAction)
    )
    abouts = {action.dest: action.help or "" for action in found._choices_actions}
    return [
        Command(name, abouts.get(name, ""), list(map(_option, sub._actions)))
        for name, sub in found.choices.items()
    ]


def _option(action: argparse.Action) -> Option:
    """An option of argparse."""
    about = " ".join((action.help or "").replace("%(default)s", str(action.default)).split())
    value: Any = "any"
    if action.nargs == 0:
        value = None
    elif action.choices is not None:
        value = [str(choice) for choice in action.choices]
    elif action.metavar in _FILES or not action.option_strings:
        value = "file"
    elif action.metavar in _FOLDERS:
        value = "folder"
    return Option(list(action.option_strings), value, about)


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """The script for a shell.

    Parameters
    ----------
    shell : {"bash", "zsh"}
    parser : argparse.ArgumentParser
        The parser of all commands.

    Returns
    -------
    str
    """
    make = _bash if shell == "bash" else _zsh
    return "\n".join(make(parser.prog, commands_of(parser))) + "\n"


def _bash(prog: str, commands: list[Command]) -> Iterator[str]:
    """A function that looks at the command, and at the word before the cursor."""
    names = " ".join(command.name for command in commands)
    yield f"# Completion of {prog} for bash: source <({prog} completion bash)"
    yield f"_{prog}_complete() {{"
    yield '    local current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}"'
    yield '    local command="${COMP_WORDS[1]}" words="" kind=""'
    yield "    COMPREPLY=()"
    yield "    if ((COMP_CWORD == 1)); then"
    yield f'        COMPREPLY=($(compgen -W "{names} --help --version" -- "$current"))'
    yield "        return"
    yield "    fi"
    yield '    case "$command" in'
    for command in commands:
        yield f"        {command.name})"
        yield f'            words="{" ".join(command.flags)}"'
        yield from _bash_arguments(command)
        yield '            case "$before" in'
        for option in command.options:
            if option.flags and option.value is not None:
                is_list = isinstance(option.value, list)
                kind = "words" if is_list else option.value
                text = f' words="{" ".join(option.value)}"' if is_list else ""
                yield f"                {'|'.join(option.flags)}) kind={kind}{text} ;;"
        yield "            esac"
        yield "            ;;"
    yield "    esac"
    yield '    case "$kind" in'
    yield '        words) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;'
    yield '        folder) COMPREPLY=($(compgen -d -- "$current")) ;;'
    yield "        any) ;;"
    yield "        *)"
    yield '            if [[ "$kind" != file && "$current" == -* ]]; then'
    yield '                COMPREPLY=($(compgen -W "$words" -- "$current"))'
    yield '            elif [[ "$kind" == choice ]]; then'
    yield '                COMPREPLY=($(compgen -W "$choices" -- "$current"))'
    yield "            else"
    yield '                COMPREPLY=($(compgen -f -- "$current"))'
    yield "            fi"
    yield "            ;;"
    yield "    esac"
    yield "}"
    yield f"complete -o filenames -F _{prog}_complete {prog}"


def _bash_arguments(command: Command) -> Iterator[str]:
    """What arguments without a flag are: the choices, where there are any."""
    for option in command.options:
        if not option.flags and isinstance(option.value, list):
            yield f'            local choices="{" ".join(option.value)}"'
            yield "            kind=choice"


def _zsh(prog: str, commands: list[Command]) -> Iterator[str]:
    """A function for zsh's `_arguments`, which also shows what each option does."""
    yield f"#compdef {prog}"
    yield f"# Completion of {prog} for zsh: source <({prog} completion zsh)"
    yield f"_{prog}() {{"
    yield "    local -a commands=("
    yield from (f"        {_quoted(f'{c.name}:{c.about}')}" for c in commands)
    yield "    )"
    yield "    if ((CURRENT == 2)); then"
    yield "        _describe command commands"
    yield "        return"
    yield "    fi"
    yield "    local command=$words[2]"
    yield "    shift words"
    yield "    ((CURRENT--))"
    yield "    case $command in"
    for command in commands:
        yield f"        {command.name})"
        lines = [line for option in command.options for line in _zsh_option(option)]
        yield "            _arguments " + " \\\n                ".join(lines)
        yield "            ;;"
    yield "    esac"
    yield "}"
    yield f"compdef _{prog} {prog}"


_ZSH_VALUES = {"file": "file:_files", "folder": "folder:_files -/", "any": "value: "}


def _zsh_option(option: Option) -> Iterator[str]:
    """The specifications of an option."""
    value = ""
    if isinstance(option.value, list):
        value = f":value:({' '.join(option.value)})"
    elif option.value is not None:
        value = f":{_ZSH_VALUES[option.value]}"
    if not option.flags:
        yield _quoted(f"*{value}")
    about = option.about.replace("[", "(").replace("]", ")").replace(":", "\\:")
    for flag in option.flags:
        yield _quoted(f"{flag}[{about}]{value}")


def _quoted(text: str) -> str:
    """A word of a shell."""
    return "'" + text.replace("'", "'\\''") + "'"
