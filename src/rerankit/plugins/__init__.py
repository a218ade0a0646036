"""Plugins: markers and specifications, the manager that loads them, and one-file plugins."""

from __future__ import annotations

from rerankit.plugins.current import load_plugin, manager, reset
from rerankit.plugins.faults import Fault
from rerankit.plugins.manager import Manager, PluginInfo
from rerankit.plugins.markers import hookimpl, hookspec
from rerankit.plugins.project import plugin_settings
from rerankit.plugins.registry import Entry, Registry

__all__ = [
    "Entry",
    "Fault",
    "Manager",
    "PluginInfo",
    "Registry",
    "hookimpl",
    "hookspec",
    "load_plugin",
    "manager",
    "plugin_settings",
    "reset",
]
