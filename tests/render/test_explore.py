from __future__ import annotations

import io
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gancli.errors import CheckpointError, UsageError
from gancli.render.directions import main_directions
from gancli.render.explore import Explorer, open_explorer
from gancli.render.generator import Generator, load
from gancli.web import LocalServer

pytest.importorskip("flask", reason="the review extra is not installed")


@pytest.fixture(scope="module")
def generator(make_run) -> Generator:
    return load(make_run("vanilla", size=(16, 16), width=16), device="cpu")


@pytest.fixture
def explorer(generator: Generator, tmp_path: Path) -> Explorer:
    return Explorer(generator, tmp_path / "kept")


def test_the_main_directions_change_the_picture_more_than_random_ones(generator: Generator) -> None:
    directions, shares = main_directions(generator, 4)
    assert torch.allclose(directions @ directions.T, torch.eye(4), atol=1e-4)
    assert (np.diff(shares) <= 1e-9).all()

    def change(moves: torch.Tensor) -> float:
        z = generator.latents(range(32))
        with torch.inference_mode():
            module = generator.loaded.module
            both = [torch.nn.functional.avg_pool2d(module(z + sign * 2 * moves, None), 4) for sign in (-1, 1)]
        return (both[0] - both[1]).square().mean().item()

    draw = torch.Generator().manual_seed(1)
    random = torch.nn.functional.normalize(torch.randn(8, directions.shape[1], generator=draw))
    assert change(directions[0]) > 1.3 * np.mean([change(one) for one in random])


def test_an_unmoved_spot_is_the_sample_of_its_seed(explorer: Explorer, generator: Generator) -> None:
    shown = np.asarray(Image.open(io.BytesIO(explorer.picture({"seed": 7, "moves": [0] * 8}))))
    assert np.array_equal(shown, generator.sample([7])[0])
    moved = np.asarray(Image.open(io.BytesIO(explorer.picture({"seed": 7, "moves": [3]}))))
    assert not np.array_equal(shown, moved)


def test_what_is_kept_becomes_a_seed_list_latents_and_a_closed_walk(explorer: Explorer) -> None:
    spots = [{"seed": 3, "moves": []}, {"seed": 9, "moves": [1.5, -2]}]
    seeds = explorer.save_seeds(spots)
    assert seeds.read_text() == "3,9\n"
    assert np.load(seeds.with_name("seeds-1.npy")).shape == (100,)
    assert not seeds.with_name("seeds-0.npy").exists()
    walk = explorer.save_walk(spots, frames=5)
    with Image.open(walk) as image:
        assert image.n_frames == 10
        assert image.info["loop"] == 0
    assert explorer.save_seeds(spots).name == "seeds-2.txt"


@pytest.mark.parametrize(
    "spot", [None, {}, {"seed": -1}, {"seed": "x"}, {"seed": 1, "moves": [99]}, {"seed": 1, "moves": [float("nan")]}, 7]
)
def test_a_spot_that_makes_no_sense_is_refused(explorer: Explorer, spot: object) -> None:
    with pytest.raises(UsageError):
        explorer.picture(spot)  # type: ignore[arg-type]


def test_nothing_to_save_is_said_and_makes_no_folder(explorer: Explorer) -> None:
    with pytest.raises(UsageError, match="Keep 2"):
        explorer.save_walk([{"seed": 1}])
    with pytest.raises(UsageError, match="Keep 1"):
        explorer.save_seeds([])
    assert not explorer.place.exists()


def test_a_toy_cannot_be_explored(make_run, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="toy"):
        Explorer(load(make_run("vanilla", size=(0, 0), channels=2), device="cpu"), tmp_path)


@pytest.fixture
def server(explorer: Explorer) -> Iterator[LocalServer]:
    server = open_explorer(explorer)
    thread = threading.Thread(target=server.serve)
    thread.start()
    yield server
    server.stop()
    thread.join(10)
    server.close()


def until(is_so: Callable[[], bool]) -> None:
    """Waits up to a minute; the page's own policy forbids Playwright to wait inside it."""
    for _ in range(600):
        if is_so():
            return
        time.sleep(0.1)
    raise AssertionError("it never came to pass")


@pytest.mark.browser
def test_the_page_works_by_key_and_mouse(server: LocalServer, explorer: Explorer) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    said: list[str] = []
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(60_000)
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(server.url)
        page.wait_for_selector("#picture[data-seed='0']")
        page.keyboard.press("ArrowRight")
        page.wait_for_selector("#picture[data-seed='1']")
        page.keyboard.press("k")
        page.click("#next")
        page.wait_for_selector("#picture[data-seed='2']")
        slider = page.locator("#direction-0")
        slider.focus()
        before = page.get_attribute("#picture", "src")
        slider.press("ArrowRight")
        until(lambda: page.get_attribute("#picture", "src") != before)
        page.click("#keep")
        until(lambda: page.locator("#kept figure").count() == 2)
        page.click("#save-seeds")
        until(lambda: page.inner_text("#said").startswith("saved"))
        page.click("h1")
        page.keyboard.press("w")
        page.wait_for_selector("#walk:not([hidden])")
        until(lambda: page.evaluate("document.querySelector('#walk').naturalWidth") > 0)
        folder = Path(explorer.place)
        page.screenshot(path=folder / "wide.png")
        page.set_viewport_size({"width": 390, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.screenshot(path=folder / "narrow.png")
        page.click("#done")
        until(lambda: "ended" in page.inner_text("#said"))
        browser.close()
    assert not said
    assert {"seeds.txt", "seeds-1.npy", "walk.gif"} <= {path.name for path in folder.iterdir()}
    assert (folder / "seeds.txt").read_text() == "1-2\n"
