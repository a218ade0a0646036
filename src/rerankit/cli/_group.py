"""Groups of commands: those of this package, and those that plugins have registered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from inspect import isgenerator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import typer
from typer.core import TyperGroup

from rerankit.cli._output import say
from rerankit.cli._run import command, explained_errors, load_plugins

if TYPE_CHECKING:
    from rerankit.plugins import Entry, Registry


class Registered(TyperGroup):
    """A group that plugins add to. They are looked for only where a name is none of ours, or where all are listed, so
    that every start stays fast.
    """

    kind: ClassVar[str]

    @staticmethod
    def shaped(function: Callable[..., Any]) -> Callable[..., None]:
        """What a plugin has registered, as a function whose arguments are those of the command."""
        return function

    @property
    def known(self) -> Registry:
        """What is registered."""
        from rerankit.plugins import manager
        from rerankit.plugins.kinds import KINDS

        found: Registry = getattr(manager(), KINDS[self.kind])
        return found

    def list_commands(self, ctx: Any) -> list[str]:
        """Ours, and behind them those of plugins."""
        ours = super().list_commands(ctx)
        with explained_errors():
            return [*ours, *(name for name in self.known if name not in self.commands)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by its name; None, with a line on stderr, where its plugin is broken: others are still listed."""
        from rerankit.errors import PluginError

        if cmd_name in self.commands or cmd_name not in self.known:
            return super().get_command(ctx, cmd_name)
        try:
            return self.made(cmd_name)
        except PluginError as error:
            say(f"warning: {error}")
            return None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """What is to run; the files of --plugin are loaded first where they may have it."""
        name, *rest = args
        if name not in self.commands:
            with explained_errors():
                load_plugins([Path(path) for path in _plugin_files(rest)])
                if name in self.known:
                    return name, self.made(name), rest
        return super().resolve_command(ctx, args)

    def made(self, name: str) -> Any:
        """The command of what a plugin has registered."""
        entry = self.known.entry(name)
        function = entry.load()
        with entry.blamed(f"is no function of which a {self.kind} can be made"):
            app = typer.Typer(add_completion=False)
            app.command(name)(command(self.shaped(_blamed(entry, function))))
            return typer.main.get_command(app)


class Commands(Registered):
    """The program's commands."""

    kind = "command"


def _blamed(entry: Entry, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, whose faults name the plugin."""

    @wraps(function)
    def run(*given: Any, **named: Any) -> Any:
        leave = []
        with entry.blamed("failed"):
            try:
                made = function(*given, **named)
                return _blamed_steps(entry, made) if isgenerator(made) else made
            except (typer.Exit, typer.Abort) as raised:  # how a command says its exit code
                leave.append(raised)
        raise leave[0]

    return run


def _blamed_steps(entry: Entry, made: Iterator[Any]) -> Iterator[Any]:
    """What a function gives one after the other, and whose faults come later."""
    with entry.blamed("failed"):
        yield from made


def _plugin_files(args: Sequence[str]) -> Iterator[str]:
    for word, following in zip(args, [*args[1:], ""], strict=False):
        if word == "--plugin" and following:
            yield following
        elif word.startswith("--plugin="):
            yield word.partition("=")[2]
