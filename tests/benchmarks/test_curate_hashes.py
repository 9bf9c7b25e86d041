"""Claims about the search among many hashes, at a size that a test can afford."""

from __future__ import annotations

import pytest
from bench_curate_hashes import measure


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["uniform", "skewed"])
def test_every_planted_pair_among_many_hashes_is_found(kind: str) -> None:
    figures = measure(200_000, kind)
    assert figures["recall"] == 1.0
    assert figures["cpu_seconds"] < 60
    assert figures["memory_gb"] < 2
