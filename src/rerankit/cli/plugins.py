"""`rerankit plugins`: what is loaded, what it registers, what is wrong with it."""

from __future__ import annotations

from typing import Any

from rerankit.cli._output import JsonOption, say, show


def plugins(as_json: JsonOption = False) -> None:
    """List plugins with what each registers, and the faults of those that do not work."""
    from rerankit.plugins import manager

    rows = [_row(name) for name in manager().plugins]
    show(rows, title="plugins", as_json=as_json)
    for fault in manager().faults:
        say(f"fault: {fault}")


def _row(name: str) -> dict[str, Any]:
    from rerankit.plugins import manager

    found = manager()
    info = found.plugins[name]
    row: dict[str, Any] = {"plugin": name, "distribution": info.distribution, "status": info.status}
    for registry in (found.stages, found.metrics, found.tasks, found.formats):
        row[f"{registry.kind}s"] = [entry for entry in registry if registry.entry(entry).owner == name]
    row["faults"] = [fault.text for fault in info.faults]
    return row
