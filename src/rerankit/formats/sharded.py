"""Vectors in shards inside a folder: `queries/` and `gallery/`, or what clip-retrieval writes.

| folder | array |
| --- | --- |
| `queries/`, `gallery/`, `query_bank/`, `gallery_bank/` | that of this name |
| `text_emb/`, `img_emb/` | `queries`, `gallery` |
| `metadata/` beside them | `query_ids`, `gallery_ids` |
"""

from __future__ import annotations

from pathlib import Path

from rerankit.errors import FormatError
from rerankit.formats.content import Tables
from rerankit.shards import Shards, ids_of_shards, is_shards, open_shards

_OURS = ("queries", "gallery", "query_bank", "gallery_bank")
_CLIP = {"text_emb": "queries", "img_emb": "gallery"}
_METADATA = "metadata"


def sharded_in(folder: Path) -> tuple[Tables, list[Path]]:
    """The arrays that lie in shards inside a folder, and the folders that they come from."""
    tables = Tables()
    read: list[Path] = []
    for name in (*_OURS, *_CLIP):
        place = folder / name
        if not place.is_dir() or not (name in _CLIP or is_shards(place)):
            continue
        array = _CLIP.get(name, name)
        if array in tables:
            raise FormatError(f"{place}: '{array}' is there twice, in {name} and in {read[-1].name}")
        tables[array] = open_shards(place, 0 if name in _CLIP else None)  # type: ignore[assignment]
        read.append(place)
        if name in _CLIP and (folder / _METADATA).is_dir():
            ids = ids_of_shards(folder / _METADATA, _shards(tables[array]))
            tables |= {} if ids is None else {"query_ids" if array == "queries" else "gallery_ids": ids}
    return tables, [*read, folder / _METADATA] if read else read


def _shards(array: object) -> Shards:
    assert isinstance(array, Shards), "it was opened as shards"
    return array
