"""The Hugging Face Hub: folders of stages that lie in its repositories."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from rerankit.errors import InputError, rule
from rerankit.extras import require

ADDRESS = "hf:"
_FORM = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


def hub() -> Any:
    """The hub's client."""
    return require("huggingface_hub", extra="hub", purpose="the Hugging Face Hub")


def downloaded(address: str) -> Path:
    """The folder into which ``hf:owner/name``, or ``hf:owner/name@revision``, is downloaded, once.

    It lies in the hub's cache, as files and not as links, since a saved stage refuses links that lead out of it.
    Without the network, what was downloaded before is taken.
    """
    found = _FORM.fullmatch(address)
    if found is None:
        raise rule("folder", "on the hub must be hf:owner/name, or hf:owner/name@revision", repr(address))
    library, repo, revision = hub(), found["repo"], found["revision"]
    copy = f"{repo.replace('/', '--')}@{(revision or 'main').replace('/', '--')}"
    constants, errors = (require(f"huggingface_hub.{name}", extra="hub") for name in ("constants", "errors"))
    place = Path(constants.HF_HUB_CACHE) / "rerankit" / copy
    try:
        return Path(library.snapshot_download(repo, revision=revision, local_dir=place))
    except (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError) as cause:
        reason = str(cause).strip().partition("\n")[0]
        raise InputError(f"'{address}' cannot be downloaded: {type(cause).__name__}: {reason}") from cause
