"""What a word on the command line is: a group of other words, or a command with options."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Command:
    """A word on the command line: its help, and what it does with the arguments after it.

    run: (the program's name so far, those arguments) -> None.
    """

    help: str
    run: Callable[[str, Sequence[str]], None]


def group(help: str, commands: Mapping[str, Command]) -> Command:
    """A command whose first argument names another one."""

    def run(program: str, given: Sequence[str]) -> None:
        parser = argparse.ArgumentParser(prog=program, description=help)
        names = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
        for name, command in commands.items():
            names.add_parser(name, help=command.help, add_help=False)
        chosen = parser.parse_args(given[:1]).command
        commands[chosen].run(f"{program} {chosen}", given[1:])

    return Command(help=help, run=run)


def leaf(
    help: str,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    act: Callable[[argparse.Namespace], None],
) -> Command:
    """A command with options; `add_arguments` runs only when it is chosen."""

    def run(program: str, given: Sequence[str]) -> None:
        parser = argparse.ArgumentParser(prog=program, description=help)
        add_arguments(parser)
        act(parser.parse_args(given))

    return Command(help=help, run=run)


def module_command(name: str, help: str) -> Command:
    """The command of a module of the package, which has `add_arguments` and `run`."""

    def module() -> Any:
        return import_module(f"diffeditor.{name}")

    return leaf(
        help,
        lambda parser: module().add_arguments(parser),
        lambda options: module().run(options),
    )
