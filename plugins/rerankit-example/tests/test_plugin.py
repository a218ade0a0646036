from __future__ import annotations

import rerankit_example


def test_the_hooks_register_these_names():
    names = {}
    rerankit_example.rerankit_register_stages(names.__setitem__)
    rerankit_example.rerankit_register_metrics(names.__setitem__)
    assert set(names) == {"neighbour-average", "reached"}
