"""The two pluggy markers of the project name ``rerankit``."""

from __future__ import annotations

import pluggy

hookspec = pluggy.HookspecMarker("rerankit")
hookimpl = pluggy.HookimplMarker("rerankit")
"""Put above a function of a plugin to implement the hook of the same name."""
