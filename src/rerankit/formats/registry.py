"""Which format a path has."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path

from rerankit.errors import FormatError
from rerankit.formats.content import Format

BUILTIN = {
    "npy": "rerankit.formats.npy:NpyFormat",
    "npz": "rerankit.formats.npz:NpzFormat",
    "safetensors": "rerankit.formats.safetensors:SafetensorsFormat",
    "pt": "rerankit.formats.pt:PtFormat",
    "csv": "rerankit.formats.delimited:CsvFormat",
    "tsv": "rerankit.formats.delimited:TsvFormat",
    "trec-run": "rerankit.formats.trec:TrecRunFormat",
    "trec-qrels": "rerankit.formats.trec:TrecQrelsFormat",
    "trec-text": "rerankit.formats.trec:TrecTextFormat",
    "json-run": "rerankit.formats.json_lists:JsonRunFormat",
    "json-qrels": "rerankit.formats.json_lists:JsonQrelsFormat",
    "parquet": "rerankit.formats.parquet:ParquetFormat",
    "folder": "rerankit.formats.folder:FolderFormat",
}

_PICKLES = (".pkl", ".pickle", ".joblib")


@cache
def formats() -> dict[str, Format]:
    """Every format by name."""
    found: dict[str, Format] = {}
    for name, target in BUILTIN.items():
        module, _, attribute = target.partition(":")
        found[name] = getattr(import_module(module), attribute)()
    return found


def format_of(path: Path, *, writing: bool = False) -> Format:
    """The format of a path: the longest ending that fits; a folder, or no ending when writing, is a folder."""
    if path.is_dir() if not writing else path.suffix == "":
        return formats()["folder"]
    name = path.name.lower()
    if name.endswith(_PICKLES):
        raise FormatError(f"{path}: pickles can run code and are never read or written; use .npz or .safetensors")
    fitting = [(ending, form) for form in formats().values() for ending in form.suffixes if ending]
    matches = [(len(ending), form) for ending, form in fitting if name.endswith(ending)]
    if not matches:
        known = ", ".join(sorted({ending for ending, _ in fitting}))
        raise FormatError(f"{path}: unknown ending '{path.suffix}'; known: {known}")
    return max(matches, key=lambda match: match[0])[1]
