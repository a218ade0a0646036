"""`rerankit plugins`: what is loaded, what it registers, what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rerankit.bars import NAME
from rerankit.cli._output import JsonOption, say, show
from rerankit.cli._run import say_trace

if TYPE_CHECKING:
    from rerankit.plugins import Fault, PluginInfo

_FEW = 5  # so many names of a kind are listed


def plugins(as_json: JsonOption = False) -> None:
    """List plugins with what each registers, and the faults of those that do not work."""
    from rerankit.plugins import manager
    from rerankit.plugins.inspection import all_faults

    faults = all_faults(manager())
    found = [info for info in manager().plugins.values() if info.name != NAME]
    rows = [_row(info, faults) for info in found]
    show(rows if as_json else [_brief(row) for row in rows], title="plugins", as_json=as_json)
    for note in manager().notes:
        say(f"note: {note}")
    for fault in faults:
        say(f"fault: {fault}")
        say_trace(fault)


def _row(info: PluginInfo, faults: list[Fault]) -> dict[str, Any]:
    from rerankit.plugins import manager
    from rerankit.plugins.kinds import KINDS

    source = (info.name, info.distribution)
    row: dict[str, Any] = {"plugin": info.name, "distribution": info.distribution, "status": info.status}
    for registry in manager().registries:
        entries = map(registry.entry, registry)
        row[KINDS[registry.kind]] = [each.name for each in entries if (each.owner, each.distribution) == source]
    row["faults"] = [fault.text for fault in faults if (fault.plugin, fault.distribution) == source]
    return row


def _brief(row: dict[str, Any]) -> dict[str, Any]:
    """A row for a terminal: many names are counted, and faults, which follow in lines of their own."""
    shown = {key: row[key] for key in ("plugin", "distribution", "status")}
    names = {kind: found for kind, found in row.items() if isinstance(found, list) and found and kind != "faults"}
    shown["registers"] = "; ".join(
        f"{len(found)} {kind}" if len(found) > _FEW else f"{kind} {', '.join(found)}" for kind, found in names.items()
    )
    return {**shown, "faults": len(row["faults"])}
