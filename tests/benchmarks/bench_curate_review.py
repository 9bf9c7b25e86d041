"""How smooth the review page is with 3,000 pictures in a real Chromium, and how soon a key is seen.

    python tests/benchmarks/bench_curate_review.py [count]

Scrolls through all pictures for ten seconds and takes the time between frames and the browser's long tasks, then
presses 60 keys and takes the time from the key to the next frame that shows it. Target: nothing above 100 ms.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
SCROLL = """async () => {
  const box = document.getElementById('scroll'), frames = [], long = [];
  new PerformanceObserver(list => long.push(...list.getEntries().map(e => e.duration))).observe({type: 'longtask'});
  const began = performance.now(); let before = began;
  while (performance.now() - began < 10000) {
    await new Promise(requestAnimationFrame);
    const now = performance.now(); frames.push(now - before); before = now;
    box.scrollTop += 90;
    if (box.scrollTop + box.clientHeight >= box.scrollHeight - 1) box.scrollTop = 0;
  }
  return {frames, long};
}"""
KEY = """async (key) => {
  const began = performance.now();
  document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
  await new Promise(requestAnimationFrame); await new Promise(done => setTimeout(done, 0));
  return performance.now() - began;
}"""


def make_pictures(folder: Path, count: int) -> None:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        small = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8))
        small.resize((200, 160), Image.Resampling.BICUBIC).save(folder / f"{number:05d}.jpg", quality=80)


def measure(count: int) -> dict[str, Any]:
    """Milliseconds: the longest and 99th percentile frame, long tasks, and key to screen."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as place:
        make_pictures(Path(place) / "in", count)
        command = [sys.executable, "-m", "gancli", "curate", "in", "--size", "64", "--review", "--no-browser"]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        server = subprocess.Popen(
            command, cwd=place, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert server.stderr is not None
        url = next(found[1] for line in server.stderr if (found := re.search(r"Review: (http\S+)", line)))
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(url)
            page.wait_for_selector("html[data-ready=yes]")
            page.get_by_role("radio", name=re.compile("^All")).click()
            page.keyboard.press("ArrowDown")
            scroll = page.evaluate(SCROLL)
            keys = [page.evaluate(KEY, key) for key in ("ArrowRight", "x", "ArrowDown", "f", "k", "u") * 10]
            browser.close()
        server.kill()
        server.wait()
    return {
        "pictures": count,
        "frames": len(scroll["frames"]),
        "longest_frame_ms": round(max(scroll["frames"]), 1),
        "frame_p99_ms": round(float(np.percentile(scroll["frames"], 99)), 1),
        "longest_task_ms": round(max(scroll["long"], default=0.0), 1),
        "longest_key_ms": round(max(keys), 1),
        "key_p50_ms": round(float(np.median(keys)), 1),
    }


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 3000)))
