"""gan report: the page, in text and in a real browser."""

from __future__ import annotations

import json
import math
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gancli.errors import CheckpointError
from gancli.render.report import build_report, read_run, write_report
from gancli.render.report_charts import Series, heat_strip, line_chart
from gancli.render.report_plots import draw_plots

HOSTILE = '<script>document.title="attacked"</script>'


def _make_run(folder: Path, ticks: int = 6, side: int = 60) -> Path:
    run = folder / "dcgan-alps"
    (run / "samples").mkdir(parents=True)
    data = folder / "set"
    data.mkdir()
    source = {"status": "ok", "title": HOSTILE, "creator": 'A & "B"', "license": "CC BY 4.0", "page_url": "https://x/"}
    (data / "manifest.jsonl").write_text("\n".join(json.dumps(source) for _ in range(3)))
    config = {
        "config": {"recipe": "dcgan", "size": [32, 32], "channels": 3, "num_images": 100, "data": str(data)},
        "data": {"images": 100, "licenses": {"CC BY 4.0": 100}},
        "command": ["/usr/bin/gan", "train", "my photos", "--kimg", "6"],
    }
    (run / "config.json").write_text(json.dumps(config))
    rows = []
    for tick in range(ticks + 1):
        nimg = 1000 * tick
        for kind in ("fixed", "fresh"):
            pixels = np.random.RandomState(tick).randint(0, 256, (side, side, 3), np.uint8)
            Image.fromarray(pixels).save(run / "samples" / f"{kind}-{nimg:010d}.png")
        if tick:
            rows.append(_row(tick))
    (run / "log.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    verdict = {
        "verdict": "collapsed",
        "since_tick": 5,
        "best_tick": 4,
        "evidence": f"Two kinds of {HOSTILE} are left.",
        "advice": ["Go back to tick 4."],
        "measures": {},
    }
    (run / "verdict.json").write_text(json.dumps(verdict))
    return run


def _row(tick: int) -> dict[str, Any]:
    return {
        "tick": tick,
        "nimg": 1000 * tick,
        "kimg": float(tick),
        "loss_d": 1.0,
        "loss_g": 2.0 if tick != 3 else None,
        "d_real": 0.6,
        "d_fake": 0.4,
        "diversity": 0.9,
        "coverage": tick / 6,
        "near_duplicates": 0.1,
        "clusters": [tick, 3, 0, 7],
    }


def test_the_page_says_the_verdict_first_and_holds_every_part(tmp_path: Path) -> None:
    text = build_report(read_run(_make_run(tmp_path)))
    order = [text.index(f'id="{name}"') for name in ("verdict", "pictures", "curves", "repeat", "sources")]
    assert order == sorted(order)
    assert "gan train &#x27;my photos&#x27; --kimg 6" in text
    assert text.count("data:image/webp;base64,") == 2 * 7
    assert text.count("<svg") >= 4


def test_beside_the_discriminators_probabilities_stands_that_they_are_no_evidence_of_coverage(tmp_path: Path) -> None:
    text = build_report(read_run(_make_run(tmp_path)))
    beside = text[text.index("Discriminator scores") :].split("</figcaption>")[0]
    assert "probabilities" in beside
    assert "evidence of coverage" in beside


def test_outside_text_is_shown_and_never_run(tmp_path: Path) -> None:
    text = build_report(read_run(_make_run(tmp_path)))
    assert HOSTILE not in text
    assert "&lt;script&gt;document.title=&quot;attacked&quot;&lt;/script&gt;" in text
    assert "A &amp; &quot;B&quot;" in text


def test_the_page_asks_the_network_for_nothing(tmp_path: Path) -> None:
    text = build_report(read_run(_make_run(tmp_path)))
    assert "default-src 'none'" in text
    assert not re.search(r'(?:src|href|url\()\s*=?\s*["\']?(?:https?:)?//', text)


def test_a_long_run_stays_under_ten_megabytes(tmp_path: Path) -> None:
    run = _make_run(tmp_path, ticks=50, side=420)
    target = write_report(read_run(run))
    assert target == run / "report.html"
    text = target.read_text()
    assert len(text.encode()) < 10_000_000
    assert "· best" in text
    assert "start · 0 kimg" in text
    assert "tick 50" in text


def test_a_run_without_samples_ticks_or_verdict_still_has_a_page(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text("{}")
    text = build_report(read_run(run))
    assert "no sample grids" in text
    assert "no verdict yet" in text


def test_a_broken_sample_is_left_out(tmp_path: Path) -> None:
    run = _make_run(tmp_path)
    (run / "samples" / "fresh-0000003000.png").write_bytes(b"not a picture")
    assert build_report(read_run(run)).count("data:image/webp") == 13


def test_what_is_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no config"):
        read_run(tmp_path)
    with pytest.raises(CheckpointError, match="no run folder"):
        read_run(tmp_path / "none")
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_run(tmp_path)


def test_curves_have_gaps_where_there_is_no_number_and_nothing_without_any() -> None:
    drawn = line_chart([1, 2, 3, 4], [Series("a", [1.0, 2.0, None, 3.0]), Series("b", [None] * 4)], best=2)
    assert drawn.count("<polyline") == 1
    assert drawn.count("<title>") == 3
    assert "best" in drawn
    assert line_chart([1.0], [Series("a", [None])]) == ""
    assert "NaN" not in line_chart([1.0], [Series("a", [5.0])])
    assert heat_strip([[], []], [1.0, 2.0]) == ""


def test_one_wild_value_does_not_flatten_a_curve() -> None:
    values: list[float | None] = [1.0 + 0.01 * i for i in range(100)]
    values[50] = 1e6
    heights = [float(y) for y in re.findall(r'cy="([\d.]+)"', line_chart(list(range(100)), [Series("a", values)]))]
    assert heights[0] - heights[-1] > 60


def test_plots_are_drawn_for_what_the_log_holds(tmp_path: Path) -> None:
    made = draw_plots([_row(t) for t in range(1, 7)], tmp_path / "plots", best_tick=4)
    assert [p.name for p in made] == ["losses.png", "scores.png", "diversity.png", "copies.png"]
    with Image.open(made[0]) as image:
        assert image.size == (910, 520)
    assert draw_plots([{"kimg": 1.0, "loss_d": math.nan}], tmp_path / "none") == []


@pytest.mark.browser
def test_slider_and_themes_work_in_a_browser_without_any_request(tmp_path: Path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no Chromium on this machine")
    page_file = write_report(read_run(_make_run(tmp_path)))
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 380, "height": 800}, color_scheme="light")
        page.set_default_timeout(120_000)
        requests: list[str] = []
        problems: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(page_file.as_uri())
        assert page.inner_text("#when") == "tick 6 · 6 kimg"
        page.focus("#tick")
        for _ in range(2):
            page.keyboard.press("ArrowLeft")
        assert page.inner_text("#when") == "tick 4 · 4 kimg · best"
        assert page.locator("[data-frame]:visible").count() == 1
        light = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.click("#theme")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
        assert page.evaluate("document.documentElement.scrollWidth") <= 380
        assert "attacked" not in page.title()
        page.click("#sources summary")
        assert HOSTILE in page.inner_text("#sources")
        browser.close()
    assert [r for r in requests if not r.startswith("data:")] == [page_file.as_uri()]
    assert problems == []
