"""What is wrong with a plugin, as a value and as an error."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field

from rerankit.errors import PluginError


@dataclass(frozen=True)
class Fault:
    """What is wrong with a plugin."""

    plugin: str
    distribution: str
    text: str
    cause: BaseException | None = field(default=None, compare=False, repr=False)

    def __str__(self) -> str:
        return f"plugin '{self.plugin}' ({self.distribution}): {self.text}"

    @property
    def trace(self) -> str:
        """The traceback of its error; empty where no error was raised."""
        return "".join(traceback.format_exception(self.cause)) if self.cause is not None else ""


class FaultError(PluginError):
    """A plugin's fault met while something of it was used."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


def one_line(cause: BaseException) -> str:
    """An exception in one line.

    >>> one_line(SystemExit(2)), one_line(ValueError("a\\nb"))
    ('SystemExit: 2', 'ValueError: a b')
    """
    return f"{type(cause).__name__}: {' '.join(str(cause).split())}"


def printed_faults(printed: str) -> list[str]:
    """The fault of printing while results may be written, if anything was printed.

    >>> printed_faults("hello\\n"), printed_faults("")
    (["it prints when it is imported ('hello'): that went to stderr"], [])
    """
    return [f"it prints when it is imported ('{' '.join(printed.split())}'): that went to stderr"] if printed else []
