"""The 2,000 pictures of demo:landscapes are painted while one reads the plan."""

from __future__ import annotations

import time

import pytest

from gancli.painter import landscapes


@pytest.mark.slow
def test_two_thousand_pictures_at_64_pixels_take_seconds() -> None:
    began = time.process_time()
    landscapes(200, (64, 64), seed=0)
    assert (time.process_time() - began) * 10 < 25
