"""Every fault of every plugin, those included that show only when a name is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rerankit.errors import MissingExtraError, RerankitError
from rerankit.plugins.faults import Fault, FaultError, said
from rerankit.plugins.kinds import made_without_arguments

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
    return [*found.faults, *late]


def _of(registry: Registry, entry: Entry) -> Iterator[Fault]:
    def fault(text: str) -> Fault:
        return Fault(entry.owner, entry.distribution, f"{entry.kind} '{entry.name}' {text}")

    try:
        if not made_without_arguments(entry.kind, entry.load()):
            return
        made = entry.make()
    except MissingExtraError:
        return
    except FaultError as error:
        yield error.fault
    except (RerankitError, ValueError, TypeError) as error:  # its own rule, or a callable without a signature
        yield fault(f"cannot be made: {said(error)}")
    else:
        if entry.kind == "stage" and made.name not in registry:
            yield fault(f"names itself '{made.name}', which is not registered: once saved it does not load")
