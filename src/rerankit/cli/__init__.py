"""The command line: one file for each command.

How to add a command: add a file. Every module of this package whose name does not begin with an underscore
is a command; nothing else has to be changed.

- `compare.py` with a function `compare(...)` becomes `rerankit compare`; underscores become dashes
  (`import_weights.py`, `import_weights()`: `rerankit import-weights`). For a name that Python reserves the
  file and the function end in an underscore (`import_.py`). The docstring is the help, `Annotated` types
  from typer are the options.
- a module with a variable `app` of type `typer.Typer` becomes a group (`plugin.py`: `rerankit plugin new`).
- keep the module light: import NumPy, torch and the rest of rerankit inside the function, because every
  start of the program imports every command file.
- `--plugin` and `--debug` are added to every command here. Raise `rerankit.errors`; the exit code follows
  from the class (`_run.EXIT_CODES`), and nothing is printed for a user's error but its one line.
- print with `_output.show` (tables, which `--json` turns into JSON: take `as_json: JsonOption = False`) and
  `_output.say` (lines for people, on stderr). Loops under `rerankit.events.track` get a progress bar.
"""

from __future__ import annotations

import importlib
import pkgutil

import typer

from rerankit.cli._group import Commands
from rerankit.cli._run import command

__all__ = ["build", "main"]


def build() -> typer.Typer:
    """The whole command line, made of the files of this package."""
    app = typer.Typer(
        name="rerankit",
        cls=Commands,
        help="Re-rank any backbone's similarity matrices.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_version_option)
    for found in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        if found.name.startswith("_"):
            continue
        module = importlib.import_module(f"{__name__}.{found.name}")
        shown = found.name.rstrip("_").replace("_", "-")
        group = getattr(module, "app", None)
        if isinstance(group, typer.Typer):
            app.add_typer(group, name=shown)
        else:
            app.command(name=shown)(command(getattr(module, found.name)))
    return app


def main() -> None:
    """Run the program."""
    build()()


def _print_version(wanted: bool) -> None:
    if wanted:
        from rerankit.version import __version__

        typer.echo(f"rerankit {__version__}")
        raise typer.Exit


def _version_option(
    version: bool = typer.Option(
        False, "--version", help="Show the version and leave.", callback=_print_version, is_eager=True
    ),
) -> None:
    """Re-rank any backbone's similarity matrices."""
