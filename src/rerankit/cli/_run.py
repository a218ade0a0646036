"""What every command shares: `--plugin`, `--debug`, exit codes, errors in one line, progress bars."""

from __future__ import annotations

import inspect
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rerankit import errors
from rerankit.bars import progress
from rerankit.cli._output import complain, say
from rerankit.extras import explained
from rerankit.stopping import Stopped, stoppable

if TYPE_CHECKING:
    from rerankit.plugins import Fault

EXIT_CODES: dict[type[BaseException], int] = {
    errors.MissingExtraError: 3,
    errors.PluginError: 4,
    errors.InputError: 2,
    errors.UnmetNeedError: 2,
    errors.RerankitError: 1,
}
"""The first class that fits decides; the order matters."""

_debug: ContextVar[bool] = ContextVar("debug", default=False)
"""Whether --debug was given."""

FAILED = 1
INTERRUPTED = 130

COMMON = "Options of every command"
PluginOption = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE", help="Load a one-file plugin first; repeat it.", rich_help_panel=COMMON),
]
REQUIRED = inspect.Parameter.empty
"""The default of an option that must be given."""
DebugOption = Annotated[
    bool, typer.Option("--debug", help="Show the whole traceback of an error.", rich_help_panel=COMMON)
]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """The function as a command: with the common options, and errors turned into exit codes."""

    @wraps(function)
    def run(*args: Any, plugin: list[Path] | None = None, debug: bool = False, **kwargs: Any) -> None:
        _debug.set(debug)
        with explained_errors(), progress(sys.stderr.isatty()):
            load_plugins(plugin or [])
            function(*args, **kwargs)

    run.__doc__ = _filled(inspect.getdoc(function) or "")
    return with_options(run, function, {"plugin": (None, PluginOption), "debug": (False, DebugOption)})


def with_options(
    run: Callable[..., None], function: Callable[..., Any], options: Mapping[str, tuple[Any, Any]], given: int = 0
) -> Callable[..., None]:
    """`run` with the parameters of the function it calls, less the first `given`, and options with default and type."""
    # typing.get_type_hints would not do: Python 3.10 wraps what has the default None once more, which hides the option.
    signature = inspect.signature(function, eval_str=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    more = [inspect.Parameter(name, keyword, default=value, annotation=kind) for name, (value, kind) in options.items()]
    own = list(signature.parameters.values())[given:]
    whole = signature.replace(parameters=[*own, *more], return_annotation=None)
    run.__signature__ = whole  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in whole.parameters.values()}
    return run


@contextmanager
def explained_errors() -> Iterator[None]:
    """A block whose errors become one line and an exit code."""
    try:
        with stoppable(), _plain_warnings():
            yield
    except (typer.Exit, typer.Abort):
        raise
    except (Exception, SystemExit) as error:
        if _debug.get():
            traceback.print_exc()
        raise typer.Exit(_explain(error)) from error
    except Stopped as stop:
        complain(str(stop))
        raise typer.Exit(stop.exit_code) from None
    except KeyboardInterrupt as stop:
        complain(" ".join(["interrupted", *map(str, stop.args)]))
        raise typer.Exit(INTERRUPTED) from None


def _filled(text: str) -> str:
    """A docstring with its paragraphs in one line each: the help breaks lines where its terminal ends."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """What concerns the user in one line; warnings for developers keep their place in the source."""
    usual = warnings.formatwarning

    def plain(message: Any, category: type[Warning], *where: Any, **more: Any) -> str:
        if not issubclass(category, (UserWarning, errors.RerankitWarning)):
            return usual(message, category, *where, **more)
        return f"warning: {' '.join(str(message).splitlines())}\n"

    warnings.formatwarning = plain
    try:
        yield
    finally:
        warnings.formatwarning = usual


def _explain(error: BaseException) -> int:
    """Print one line about an error and return the exit code."""
    if isinstance(error, ImportError) and not isinstance(error, errors.RerankitError):
        error = explained(error, "this command") or error
    code = next((code for kind, code in EXIT_CODES.items() if isinstance(error, kind)), None)
    if code is not None:
        complain("; ".join(str(error).splitlines()) if isinstance(error, errors.UnmetNeedError) else str(error))
        if isinstance(error, errors.UnknownNameError):
            _tell_failed_plugins()
        return code
    if isinstance(error, BrokenPipeError):
        # The reader of our output has gone, for instance `head`; a flush at exit must not fail again.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return FAILED
    complain(f"unexpected {type(error).__name__}: {error} (--debug shows where)")
    return FAILED


def _tell_failed_plugins() -> None:
    """What a name that is not known may have come from."""
    from rerankit.plugins import manager

    for info in manager().plugins.values():
        if info.status == "failed":
            say(f"note: not loaded: {info.faults[0]}")
            say_trace(info.faults[0])


def say_trace(fault: Fault) -> None:
    """With --debug, where a fault happened."""
    if _debug.get() and fault.trace:
        say(fault.trace.rstrip())


def load_plugins(paths: list[Path]) -> None:
    """Load one-file plugins."""
    if not paths:
        return
    from rerankit.plugins import load_plugin

    for path in paths:
        load_plugin(path)
