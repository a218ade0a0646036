"""Reading files that others made: bounded, and without running anything in them."""

from __future__ import annotations

from rerankit.reading.archive import Archive
from rerankit.reading.checkpoints import read_checkpoint, read_state
from rerankit.reading.json_text import parse_json, read_json
from rerankit.reading.pickles import read_pickle
from rerankit.reading.plain import Record
from rerankit.reading.states import check_state, compare_states
from rerankit.reading.text import read_bytes, read_text
from rerankit.reading.yaml_text import parse_yaml

__all__ = [
    "Archive",
    "Record",
    "check_state",
    "compare_states",
    "parse_json",
    "parse_yaml",
    "read_bytes",
    "read_checkpoint",
    "read_json",
    "read_pickle",
    "read_state",
    "read_text",
]
