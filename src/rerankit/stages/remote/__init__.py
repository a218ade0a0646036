"""Pairs scored by a service."""
