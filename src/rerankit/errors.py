"""Every error rerankit raises on purpose, and the one way their messages are made.

A message names the argument in quotes, the rule it broke, and what was given: ``'k' must be at least 1
(got 0)``. An unknown name lists the choices and the nearest one.
"""

from __future__ import annotations

import difflib
import math
import reprlib
from collections.abc import Iterable, Sequence
from typing import Any

_SHOWN = 3
_FEW = 20


# What a file says may be long, or name one list again and again: a message shows its beginning.
_BRIEF = reprlib.Repr()
_BRIEF.maxlevel, _BRIEF.maxstring, _BRIEF.maxother = 4, 300, 300
_BRIEF.maxlist = _BRIEF.maxtuple = _BRIEF.maxdict = _BRIEF.maxset = _FEW


class RerankitError(Exception):
    """Base class: catching it catches everything rerankit raises on purpose."""


class InputError(RerankitError, ValueError):
    """An argument breaks a rule; nothing was computed."""


class UnknownNameError(InputError, LookupError):
    """A name that is not registered or not known."""


class NotFiniteError(InputError):
    """Scores of a ranking are NaN or infinite; where a stage gave them, the stage is to blame (`StageError`)."""


class FormatError(InputError):
    """A file that cannot be read as what it claims to be, or cannot be written."""


class UnmetNeedError(RerankitError):
    """A stage needs something the problem does not have; the message says how to provide it."""


class NotFittedError(UnmetNeedError):
    """A trainable stage was asked to re-rank before `fit` or `load`."""


class MissingExtraError(RerankitError, ImportError):
    """An optional package is absent; the message carries the install line."""


class PluginError(RerankitError):
    """A plugin is broken, blocked or takes a name that is already taken."""


class StageError(RerankitError):
    """A stage failed while running or returned an invalid ranking."""


class TrainingError(RerankitError):
    """Training cannot go on; what was good has been kept."""


class RerankitWarning(RuntimeWarning):
    """Something goes another way than one might think; the work goes on."""


def rule(argument: str, text: str, got: object) -> InputError:
    """The error for an argument that breaks a rule.

    >>> rule("k", "must be at least 1", 0)
    InputError("'k' must be at least 1 (got 0)")
    """
    return InputError(f"'{argument}' {text} (got {got if isinstance(got, str) else brief(got)})")


def brief(value: object) -> str:
    """A value on one line: an array of more than a few numbers by its shape alone.

    >>> import numpy as np
    >>> brief("a"), brief(np.zeros((3, 40)))
    ("'a'", '<float64 array of shape (3, 40)>')
    """
    shape, kind = getattr(value, "shape", None), getattr(value, "dtype", None)
    if isinstance(shape, tuple) and kind is not None and math.prod(shape) > _FEW:
        return f"<{str(kind).removeprefix('torch.')} array of shape {shape}>"
    return _BRIEF.repr(value) if isinstance(value, list | tuple | dict | set | str | bytes) else repr(value)


def several(what: str, entries: Sequence[Any], total: int | None = None) -> str:
    """What was given, where many entries may break a rule: how many do, and the first few.

    >>> several("unknown", ["a", "b", "c", "d"], 9)
    "4 of 9 unknown, such as ['a', 'b', 'c']"
    """
    of = "" if total is None else f" of {total}"
    return f"{len(entries)}{of} {what}, such as {list(entries[:_SHOWN])}"


def unknown_name(kind: str, name: str, choices: Iterable[str]) -> UnknownNameError:
    """The error for an unknown name, with the sorted choices and the nearest one.

    >>> unknown_name("stage", "fuze", ["fuse", "mutual-rank"])
    UnknownNameError("unknown stage 'fuze'; did you mean 'fuse'? Known: fuse, mutual-rank")
    """
    known = sorted(choices)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" did you mean '{near[0]}'?" if near else ""
    return UnknownNameError(f"unknown {kind} '{name}';{hint} Known: {', '.join(known) or '(none)'}")
