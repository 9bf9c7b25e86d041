"""How smooth the review page is with 3,000 pictures in a real Chromium, and how soon a key is seen.

    python tests/benchmarks/bench_curate_review.py [count]

Turns the wheel for ten seconds and presses 60 keys while the browser records a trace of itself: the times between two
frames drawn for the page while scrolling, the main thread's longest task, and from each key's arrival in the browser to
the presentation of the frame it caused. Target: nothing above 100 ms.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
CATEGORIES = [
    "benchmark",
    "cc",
    "input",
    "devtools.timeline",
    "disabled-by-default-devtools.timeline",
    "disabled-by-default-devtools.timeline.frame",
]
KEYS = ("ArrowRight", "x", "ArrowDown", "f", "k", "u")


@contextmanager
def review_of(pictures: int) -> Iterator[str]:
    """The address of the page of a set of so many pictures, while its server runs."""
    with tempfile.TemporaryDirectory() as place:
        make_pictures(Path(place) / "in", pictures)
        command = [sys.executable, "-m", "gancli", "curate", "in", "--size", "64", "--review", "--no-browser"]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        server = subprocess.Popen(
            command, cwd=place, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert server.stderr is not None
        try:
            yield next(found[1] for line in server.stderr if (found := re.search(r"Review: (http\S+)", line)))
        finally:
            server.kill()
            server.wait()


def make_pictures(folder: Path, count: int) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        small = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8))
        small.resize((200, 160), Image.Resampling.BICUBIC).save(folder / f"{number:05d}.jpg", quality=80)


def traced(browser: Any, page: Any, work: Any) -> list[dict[str, Any]]:
    """The events that the browser records of itself while `work` is done."""
    browser.start_tracing(page=page, categories=CATEGORIES)
    work()
    return list(json.loads(browser.stop_tracing())["traceEvents"])


def scroll(page: Any) -> None:
    """Turns the wheel for ten seconds at 5,400 pixels a second, or to the end."""
    height = page.evaluate("() => { const box = document.getElementById('scroll'); return box.scrollHeight; }")
    session = page.context.new_cdp_session(page)
    gesture = {"x": 640, "y": 500, "yDistance": -min(54_000, height), "speed": 5400, "gestureSourceType": "mouse"}
    session.send("Input.synthesizeScrollGesture", gesture)
    session.detach()


def press(page: Any, count: int) -> None:
    for number in range(count):
        page.keyboard.press(KEYS[number % len(KEYS)])
        page.wait_for_timeout(50)


def frame_times(events: list[dict[str, Any]]) -> list[float]:
    """Milliseconds between the frames drawn for the page from the wheel's first turn to its last."""
    turns = [e["ts"] for e in events if e["args"].get("event_latency", {}).get("event_type") == "GESTURE_SCROLL_UPDATE"]
    drawn = [e for e in events if e["name"] == "DrawFrame" and min(turns) <= e["ts"] <= max(turns)]
    times: dict[int, list[float]] = {}
    for event in drawn:
        times.setdefault(event["args"]["layerTreeId"], []).append(event["ts"] / 1000)
    of_the_page = sorted(max(times.values(), key=len))
    return [after - before for before, after in pairwise(of_the_page)]


def longest_task(events: list[dict[str, Any]]) -> float:
    """Milliseconds of the longest task on a renderer's main thread."""
    main = {
        (e["pid"], e["tid"]) for e in events if e["name"] == "thread_name" and e["args"]["name"] == "CrRendererMain"
    }
    tasks = [e.get("dur", 0) for e in events if e["name"] == "RunTask" and (e["pid"], e["tid"]) in main]
    return max(tasks, default=0) / 1000


def key_times(events: list[dict[str, Any]]) -> list[float]:
    """Milliseconds from each key's arrival in the browser to the presentation of the frame that it caused."""
    begun: dict[Any, dict[str, Any]] = {}
    spent = []
    for event in events:
        if event["name"] != "EventLatency":
            continue
        name = event["pid"], str(event.get("id2") or event.get("id"))
        if event["ph"] == "b":
            begun[name] = event
        elif name in begun:
            start = begun.pop(name)
            about = start["args"].get("event_latency", {})
            if about.get("event_type") in ("KEY_PRESSED", "RAW_KEY_DOWN") and "display_trace_id" in about:
                spent.append((event["ts"] - start["ts"]) / 1000)
    return spent


def measure(count: int) -> dict[str, Any]:
    """Milliseconds of frames while scrolling, of the longest task, and from key to screen."""
    from playwright.sync_api import sync_playwright

    with review_of(count) as url, sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url)
        page.wait_for_selector("html[data-ready=yes]")
        page.get_by_role("radio", name=re.compile("^All")).click()
        page.keyboard.press("ArrowDown")
        page.wait_for_timeout(1000)
        scrolling = traced(browser, page, lambda: scroll(page))
        page.wait_for_timeout(1000)
        pressing = traced(browser, page, lambda: press(page, 60))
        browser.close()
    frames, keys = frame_times(scrolling), key_times(pressing)
    return {
        "pictures": count,
        "frames": len(frames),
        "longest_frame_ms": round(max(frames), 1),
        "frame_p99_ms": round(float(np.percentile(frames, 99)), 1),
        "longest_task_ms": round(longest_task(scrolling), 1),
        "keys": len(keys),
        "longest_key_ms": round(max(keys), 1),
        "key_p50_ms": round(float(np.median(keys)), 1),
        "load": os.getloadavg()[0],
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 3000)))
