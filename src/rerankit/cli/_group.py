"""The program's group of commands: those of this package, and those that plugins have registered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from rerankit.cli._output import say
from rerankit.cli._run import command, explained_errors, load_plugins


class Commands(TyperGroup):
    """Plugins are looked for only where a name is none of ours, or where all are listed: every start stays fast."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Ours, and behind them those of plugins."""
        from rerankit.plugins import manager

        ours = super().list_commands(ctx)
        with explained_errors():
            return [*ours, *(name for name in manager().commands if name not in self.commands)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """A command by its name; None, said on stderr, for one whose plugin is broken: the others are still listed."""
        from rerankit.errors import PluginError
        from rerankit.plugins import manager

        if cmd_name in self.commands or cmd_name not in manager().commands:
            return super().get_command(ctx, cmd_name)
        try:
            return made(cmd_name)
        except PluginError as error:
            say(f"warning: {error}")
            return None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """What is to run; the files of --plugin are loaded first where they may have it."""
        from rerankit.plugins import manager

        name, *rest = args
        if name not in self.commands:
            with explained_errors():
                load_plugins([Path(path) for path in _plugin_files(rest)])
                if name in manager().commands:
                    return name, made(name), rest
        return super().resolve_command(ctx, args)


def made(name: str) -> Any:
    """The command that a plugin has registered."""
    from rerankit.plugins import manager

    entry = manager().commands.entry(name)
    function = entry.load()
    with entry.blamed("is no function of which a command can be made"):
        app = typer.Typer(add_completion=False)
        app.command(name)(command(function))
        return typer.main.get_command(app)


def _plugin_files(args: Sequence[str]) -> Iterator[str]:
    for word, following in zip(args, [*args[1:], ""], strict=False):
        if word == "--plugin" and following:
            yield following
        elif word.startswith("--plugin="):
            yield word.partition("=")[2]
