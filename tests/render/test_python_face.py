from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import gancli


def test_importing_gancli_costs_nothing_heavy() -> None:
    code = (
        "import sys, gancli; dir(gancli);"
        "print([m for m in ('torch', 'numpy', 'PIL', 'requests', 'scipy', 'typer') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize("name", gancli.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(gancli, name)
    assert inspect.getdoc(value)
    assert name in dir(gancli)
    if inspect.isclass(value) and value.__module__.startswith("gancli.render"):
        for member, own in vars(value).items():
            if not member.startswith("_") and (inspect.isfunction(own) or isinstance(own, property)):
                assert inspect.getdoc(own), f"{name}.{member}"


def test_rooms_can_be_called_by_their_name_whatever_was_imported_first() -> None:
    for first in ("", "import gancli.scrape, gancli.curate.options; ", "from gancli.curate import CurateOptions; "):
        code = (
            f"{first}import gancli; from gancli.errors import GanError; g = gancli.scrape; c = gancli.curate\n"
            "for call in (lambda: gancli.scrape(gancli.ScrapeConfig()), lambda: gancli.curate('nowhere')):\n"
            "    try: list(call())\n"
            "    except GanError as error: print('ok')\n"
            "import gancli.scrape as room; assert room.ScrapeConfig is gancli.ScrapeConfig"
        )
        said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert said.stdout.split() == ["ok", "ok"]


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing"):
        gancli.nothing  # noqa: B018


def test_a_run_is_loaded_sampled_and_walked(make_run) -> None:
    generator = gancli.load(make_run("dcgan"), device="cpu")
    images = generator.sample(seeds=range(3))
    assert images.dtype == np.uint8
    assert images.shape == (3, 32, 32, 3)
    frames = generator.walk([1, 2], frames=4)
    assert frames.shape == (8, 32, 32, 3)
    assert np.array_equal(frames[0], images[1])
    assert np.array_equal(frames[4], images[2])
    assert "data:image/webp;base64," in (frames._repr_html_() or "")


def test_training_yields_ticks(tmp_path: Path) -> None:
    options = gancli.TrainOptions(
        data="toy:ring", kimg=0.4, batch_size=32, width=16, tick_kimg=0.2, device="cpu", precision="fp32", compile="off"
    )
    ticks = list(gancli.train(options, out=tmp_path / "run"))
    assert ticks[-1].row["nimg"] >= 400
    assert (tmp_path / "run" / "last.pt").is_file()
    assert list(gancli.train(options, out=tmp_path / "run")) == []
