"""`rerankit plugins`: what is loaded, what it registers, what is wrong with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rerankit.cli._output import JsonOption, say, show

if TYPE_CHECKING:
    from rerankit.plugins import Fault, PluginInfo


def plugins(as_json: JsonOption = False) -> None:
    """List plugins with what each registers, and the faults of those that do not work."""
    from rerankit.plugins import manager
    from rerankit.plugins.inspection import all_faults

    faults = all_faults(manager())
    show([_row(info, faults) for info in manager().plugins.values()], title="plugins", as_json=as_json)
    for fault in faults:
        say(f"fault: {fault}")


def _row(info: PluginInfo, faults: list[Fault]) -> dict[str, Any]:
    from rerankit.plugins import manager

    source = (info.name, info.distribution)
    row: dict[str, Any] = {"plugin": info.name, "distribution": info.distribution, "status": info.status}
    for registry in manager().registries:
        entries = map(registry.entry, registry)
        row[f"{registry.kind}s"] = [each.name for each in entries if (each.owner, each.distribution) == source]
    row["faults"] = [fault.text for fault in faults if (fault.plugin, fault.distribution) == source]
    return row
