"""`rerankit doctor`: what is installed, what is absent and how to get it."""

from __future__ import annotations

from typing import Any

import typer

from rerankit.cli._output import JsonOption, say, show, show_json
from rerankit.cli._run import say_trace


def doctor(as_json: JsonOption = False) -> None:
    """Show versions, devices, optional packages with the line that installs them, and faults of plugins.

    The exit code is 4 when a plugin has a fault.
    """
    from rerankit.plugins import manager
    from rerankit.plugins.inspection import all_faults

    report: dict[str, Any] = {"versions": _versions(), "devices": _devices(), "extras": _extras()}
    faults = all_faults(manager())
    report["plugin_faults"] = [
        {"plugin": each.plugin, "distribution": each.distribution, "fault": each.text} for each in faults
    ]
    report |= {"unknown_names": manager().unknown_names, "notes": manager().notes}
    if as_json:
        show_json(report)
    else:
        show(report["versions"], title="versions")
        show(report["devices"], title="devices")
        show(report["extras"], title="extras")
        if report["plugin_faults"]:
            show(report["plugin_faults"], title="plugin faults")
    for fault in faults:
        say_trace(fault)
    for each in report["unknown_names"]:
        say(f"warning: {each}")
    for note in report["notes"]:
        say(f"note: {note}")
    if report["plugin_faults"]:
        raise typer.Exit(PLUGIN_FAULT)
    say("plugins: no faults")


PLUGIN_FAULT = 4
_PACKAGES = ("numpy", "scipy", "pluggy", "threadpoolctl", "packaging", "typer", "rich", "pyyaml", "torch",
             "safetensors", "torch-geometric", "transformers", "scikit-learn", "pyarrow", "matplotlib", "jinja2",
             "accelerate")  # fmt: skip


def _versions() -> list[dict[str, Any]]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from rerankit.version import __version__

    rows: list[dict[str, Any]] = [
        {"name": "rerankit", "version": __version__},
        {"name": "python", "version": platform.python_version()},
        {"name": "system", "version": platform.platform()},
    ]
    for package in _PACKAGES:
        try:
            rows.append({"name": package, "version": version(package)})
        except PackageNotFoundError:
            rows.append({"name": package, "version": None})
    return rows


def _devices() -> list[dict[str, Any]]:
    import os

    rows: list[dict[str, Any]] = [{"device": "cpu", "what": f"{os.cpu_count()} cores"}]
    try:
        import torch
    except ImportError:
        return [*rows, {"device": "cuda", "what": "unknown: torch is not installed"}]
    for index in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(index).total_memory / 2**30
        rows.append({"device": f"cuda:{index}", "what": f"{torch.cuda.get_device_name(index)}, {memory:.0f} GiB"})
    return rows if len(rows) > 1 else [*rows, {"device": "cuda", "what": "none found"}]


def _extras() -> list[dict[str, Any]]:
    from rerankit.extras import EXTRAS, absent

    rows = []
    for extra in EXTRAS:
        missing = absent(extra)
        line = f"pip install 'rerankit[{extra}]'" if missing else ""
        rows.append({"extra": extra, "present": not missing, "missing": missing, "install": line})
    return rows
