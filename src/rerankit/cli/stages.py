"""`rerankit stages [NAME]`: which stages there are, and everything about one."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import typer

from rerankit.cli._output import JsonOption, complain, heading, line, line_width, show, show_json, text_of, wrapped
from rerankit.looks import LETTERS, TEXTS
from rerankit.pipelines.needs import Need
from rerankit.pipelines.scaling import NOTHING

MARKS = {
    LETTERS["queries"]: TEXTS["queries"],
    LETTERS["bank"]: "takes a bank of other queries instead",
    "P": "prepares a gallery once: what it keeps serves every query",
    "W": "has weights: fit it, load it or import it",
}
"""The letters of the list."""
_OUTSIDE = "from plugins"


def stages(
    name: Annotated[str | None, typer.Argument(help="One stage, with its parameters and text.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the stages by family, or tell all about one: parameters, needs, marks, citation, text."""
    from rerankit.plugins import manager

    if name is None:
        rows = [row for row in (_summary(stage) for stage in manager().stages) if row]
        if as_json:
            show(rows, as_json=True)
        else:
            _list(rows)
        return
    found = _details(name)
    if as_json:
        show_json(found)
        return
    heading(f"{found['stage']}, from {found['owner']}")
    line(f"\n{wrapped(found['text'])}\n")
    if found["parameters"]:
        show(found["parameters"], title="parameters")
        line("")
    for what, text in (found["scales"] or {"scales": "it is not stated how"}).items():
        line(wrapped(f"{what}: {text}"))
    for what in ("family", *(["runs"] if found["runs"] else []), "needs", "looks at", "trainable", "citation"):
        # Of a stage that cannot be made without parameters, what depends on them is not known.
        value = "depends on its parameters" if found[what] is None else text_of(found[what]) or "none"
        if what == "needs" and found[what]:
            value = "; ".join(f"{need.what} ({need}): {need.how}" for need in map(Need.of, found[what]))
        line(wrapped(f"{what}: {value}"))


def _list(rows: list[dict[str, Any]]) -> None:
    """A line for each stage below the heading of its family; what does not fit into the line is cut."""
    from rerankit.builtins import FAMILIES

    width = max(len(row["stage"]) for row in rows)
    texts = {family: text for family, (text, _) in FAMILIES.items()} | {_OUTSIDE: "what others have registered"}
    order = {name: place for _, names in FAMILIES.values() for place, name in enumerate(names)}
    for family, text in texts.items():
        own = sorted((row for row in rows if row["family"] == family), key=lambda row: order.get(row["stage"], 0))
        if own:
            heading(f"{family}: {text}")
        for row in own:
            front = f"  {row['stage']:{width}}  {row['marks']:{len(MARKS)}}  "
            what, rest = row["what"], line_width() - len(front)
            line(front + (what if len(what) <= rest else f"{what[: rest - 1].rstrip()}…"))
    line("")
    used = {letter for row in rows for letter in row["marks"]}
    line(wrapped("; ".join(f"{letter} {text}" for letter, text in MARKS.items() if letter in used)))
    line("rerankit stages NAME tells all about one")


def _summary(name: str) -> dict[str, Any] | None:
    try:
        found = _details(name)
    except Exception as error:  # one stage whose module does not import must not hide the others
        complain(f"stage '{name}': {error}")
        return None
    parameters = [f"{row['parameter']}={row['default']}" for row in found["parameters"]]
    wanted = ("stage", "family", "marks", "needs", "looks at", "trainable")
    what = " ".join(found["text"].partition("\n\n")[0].split())
    return {**{key: found[key] for key in wanted}, "parameters": parameters, "what": what}


def _type(annotation: Any) -> str:
    """A parameter's type as it is written, whether its file delays annotations or not."""
    if annotation is inspect.Parameter.empty:
        return ""
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _details(name: str) -> dict[str, Any]:
    """All about one stage; what depends on parameters is that of the defaults."""
    from rerankit import Stage
    from rerankit.plugins import manager

    entry = manager().stages.entry(name)
    factory = entry.load()
    parameters = [
        {
            "parameter": each.name,
            "default": "(required)" if each.default is each.empty else repr(each.default),
            "type": _type(each.annotation),
        }
        for each in inspect.signature(factory).parameters.values()
    ]
    made = entry.make() if all(row["default"] != "(required)" for row in parameters) else None
    trainable = isinstance(factory, type) and "fit" in dir(factory) and issubclass(factory, Stage)
    scaling = getattr(factory, "scaling", None)
    known = {
        "T": made is not None and made.looks_at().queries,
        "B": any(row["parameter"] == "bank" for row in parameters),
        "P": scaling is not None and scaling.keeps != NOTHING,
        "W": trainable or (made is not None and "weights" in made.needs),
    }
    return {
        "stage": name,
        "owner": manager().owner(name),
        "family": _family(name, manager().is_builtin(name)),
        "marks": "".join(letter for letter in MARKS if known[letter]),
        "parameters": parameters,
        "runs": list(map(repr, made.children)) if made else None,
        "needs": list(made.needs) if made else None,
        "looks at": str(made.looks_at()) if made else None,
        "trainable": trainable,
        "scales": scaling.items() if scaling else None,
        "citation": getattr(factory, "citation", ""),
        "text": inspect.getdoc(factory) or "",
    }


def _family(name: str, ours: bool) -> str:
    from rerankit.builtins import FAMILIES

    found = next((family for family, (_, names) in FAMILIES.items() if name in names), "")
    return found if ours and found else _OUTSIDE
