"""Stages against hubs: items that come up for everybody."""
