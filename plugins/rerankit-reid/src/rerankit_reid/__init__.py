"""Re-identification: benchmarks with several cameras, and a stage that takes the bias of cameras away."""

from __future__ import annotations

from typing import Any

from rerankit import hookimpl


@hookimpl
def rerankit_register_stages(register: Any) -> None:
    register("camera-aware", "rerankit_reid.camera_aware:CameraAware")


@hookimpl
def rerankit_register_tasks(register: Any) -> None:
    register("msmt17", "rerankit_reid.msmt17:MSMT17")
    register("veri776", "rerankit_reid.veri776:VeRi776")
