"""Every fault of every plugin, those included that show only when a name is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rerankit.errors import MissingExtraError, RerankitError
from rerankit.plugins.endings import made_formats
from rerankit.plugins.faults import Fault, FaultError, one_line, printed_faults
from rerankit.plugins.kinds import made_without_arguments
from rerankit.plugins.loading import loading

if TYPE_CHECKING:
    from rerankit.plugins.manager import Manager
    from rerankit.plugins.registry import Entry, Registry


def all_faults(found: Manager) -> list[Fault]:
    """The faults met so far, and those of names that do not load or do not make what they should.

    An optional package that is not installed is no fault.
    """
    late = (
        fault for registry in found.registries for name in registry for fault in _of(registry, registry.entry(name))
    )
    return [*found.faults, *late, *made_formats(found.formats).faults]


def _of(registry: Registry, entry: Entry) -> Iterator[Fault]:
    with loading(entry.source) as printed:
        try:
            yield from (entry.fault(text) for text in _wrong(registry, entry))
        except MissingExtraError:
            return
        except FaultError as error:
            yield error.fault
        except (RerankitError, ValueError, TypeError) as error:  # its own rule, or a callable without a signature
            yield entry.fault(f"cannot be made: {one_line(error)}", error)
    if printed.text:
        yield from map(entry.fault, printed_faults(printed.text))


def _wrong(registry: Registry, entry: Entry) -> Iterator[str]:
    """What is wrong with a thing that can be made, or the error that says why it cannot."""
    if not made_without_arguments(entry.kind, entry.load()):
        return
    made = entry.make()
    if entry.kind == "stage":
        made.get_params()
        if made.name not in registry:
            yield f"names itself '{made.name}', which is not registered: once saved it does not load"
