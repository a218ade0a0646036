"""Files that are whole or not there: writing and replacing them, what may be replaced, and what a name may be."""

from __future__ import annotations

from rerankit.files.locks import lock_folder
from rerankit.files.manifest import MANIFEST, Contents, check_entry, check_manifest, entry, read_list, write_manifest
from rerankit.files.names import check_name
from rerankit.files.owned import CONFIG, check_free, foreign
from rerankit.files.regular import check_inside, check_regular, files_in
from rerankit.files.scratch import Scratch, clear_leftovers, scratch_in
from rerankit.files.stable import unchanged
from rerankit.files.writing import atomic, check_place, writing_to

__all__ = [
    "CONFIG",
    "MANIFEST",
    "Contents",
    "Scratch",
    "atomic",
    "check_entry",
    "check_free",
    "check_inside",
    "check_manifest",
    "check_name",
    "check_place",
    "check_regular",
    "clear_leftovers",
    "entry",
    "files_in",
    "foreign",
    "lock_folder",
    "read_list",
    "scratch_in",
    "unchanged",
    "write_manifest",
    "writing_to",
]
