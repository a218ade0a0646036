"""`rerankit stages [NAME]`: which stages there are, and everything about one."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from rerankit.cli._output import JsonOption, complain, line, show, show_json, text_of


def stages(
    name: Annotated[str | None, typer.Argument(help="One stage, with its parameters and text.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the stages, or tell all about one: parameters, needs, flags, citation, text."""
    from rerankit.plugins import manager

    if name is None:
        rows = [row for row in (_summary(stage) for stage in manager().stages) if row]
        show(rows if as_json else [_brief(row) for row in rows], title="stages", as_json=as_json)
        return
    found = _details(name)
    if as_json:
        show_json(found)
        return
    line(f"{found['stage']}, from {found['owner']}\n\n{found['text']}\n")
    if found["parameters"]:
        show(found["parameters"], title="parameters")
    for what in ("needs", "transductive", "trainable", "citation"):
        # Of a stage that cannot be made without parameters, what depends on them is not known.
        line(f"{what}: {'depends on its parameters' if found[what] is None else text_of(found[what]) or 'none'}")


def _summary(name: str) -> dict[str, Any] | None:
    try:
        found = _details(name)
    except Exception as error:  # one stage whose module does not import must not hide the others
        complain(f"stage '{name}': {error}")
        return None
    parameters = [f"{row['parameter']}={row['default']}" for row in found["parameters"]]
    wanted = ("stage", "needs", "transductive", "trainable")
    return {**{key: found[key] for key in wanted}, "parameters": parameters, "what": found["text"].split("\n")[0]}


def _brief(row: dict[str, Any]) -> dict[str, Any]:
    """What fits into a line or two of a terminal; `rerankit stages NAME` and JSON tell all."""
    flags = [flag for flag in ("transductive", "trainable") if row[flag]]
    needs = [f"needs {', '.join(row['needs'])}"] if row["needs"] else []
    return {"stage": row["stage"], "what": row["what"], "flags": [*flags, *needs]}


def _details(name: str) -> dict[str, Any]:
    """All about one stage; flags that depend on parameters are those of the defaults."""
    from rerankit import Stage
    from rerankit.plugins import manager

    entry = manager().stages.entry(name)
    factory = entry.load()
    parameters = [
        {
            "parameter": each.name,
            "default": "(required)" if each.default is each.empty else repr(each.default),
            "type": "" if each.annotation is each.empty else str(each.annotation),
        }
        for each in inspect.signature(factory).parameters.values()
    ]
    made = entry.make() if all(row["default"] != "(required)" for row in parameters) else None
    return {
        "stage": name,
        "owner": manager().owner(name),
        "parameters": parameters,
        "needs": list(made.needs) if made else None,
        "transductive": made.transductive if made else None,
        "trainable": isinstance(factory, type) and "fit" in dir(factory) and issubclass(factory, Stage),
        "citation": getattr(factory, "citation", ""),
        "text": inspect.getdoc(factory) or "",
    }
