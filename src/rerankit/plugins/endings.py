"""Formats with the endings of files that they own: like a name, an ending is its first owner's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from rerankit.plugins.faults import Fault
from rerankit.plugins.registry import Registry


@dataclass
class MadeFormats:
    """What is made of a registry of formats."""

    by_name: dict[str, Any] = field(default_factory=dict)
    by_ending: dict[str, Any] = field(default_factory=dict)
    left_out: dict[str, Exception] = field(default_factory=dict)
    """The formats that cannot be made, with the reason."""
    faults: list[Fault] = field(default_factory=list)
    """Endings that belong to another format."""


def made_formats(registry: Registry) -> MadeFormats:
    """Every format, made now, in the order in which they were registered: what ships comes first."""
    found = MadeFormats()
    owners: dict[str, str] = {}
    for entry in registry.entries:
        try:
            made = found.by_name[entry.name] = entry.make()
        except Exception as error:
            found.left_out[entry.name] = error
            continue
        for ending in made.suffixes:
            if ending in owners:
                text = f"claims the ending '{ending}', which {owners[ending]} keeps"
                found.faults.append(entry.fault(text))
            else:
                found.by_ending[ending] = made
                owners[ending] = f"format '{entry.name}' of '{entry.owner}' ({entry.distribution})"
    return found
