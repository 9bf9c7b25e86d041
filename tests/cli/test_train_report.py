"""What `gan train` leaves at its end beside the networks: the report and the plots."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

EXACT = ["--device", "cpu", "--precision", "fp32", "--compile", "off"]
TINY = ["--model", "dcgan", "--size", "16", "--width", "8", "--batch", "8", "--tick-kimg", "0.064", *EXACT]


def test_a_run_ends_with_its_report_and_plots_and_draws_them_again_where_that_failed(
    gan, photo_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    words = ["train", photo_folder, *TINY, "--kimg", "0.128", "-o", out]
    status, said, told = gan(*words)
    assert (status, said) == (0, f"{out}\n")
    assert f"report: {out}/report.html" in told
    page = (out / "report.html").read_text()
    assert 'id="verdict"' in page
    assert 'id="pairs"' in page
    plots = list((out / "plots").iterdir())
    assert {path.name for path in plots} >= {"losses.png", "scores.png", "diversity.png"}
    for path in (out / "report.html", *plots):
        path.unlink()
    (out / "plots").rmdir()
    (out / "plots").write_text("in the way")
    status, said, told = gan(*words)
    assert (status, said) == (0, f"{out}\n")
    assert "warning: The report could not be drawn" in told
    assert f"gan report {out}" in told
    (out / "plots").unlink()
    assert gan(*words)[0] == 0
    assert (out / "report.html").is_file()


def test_a_toy_ends_with_a_report_too(gan, tmp_path: Path) -> None:
    assert gan("train", "toy:ring", "--kimg", "20", "--tick-kimg", "10", *EXACT, "-o", tmp_path / "run")[0] == 0
    assert (tmp_path / "run" / "report.html").is_file()
    assert (tmp_path / "run" / "plots" / "modes.png").is_file()


def test_an_interrupted_run_has_a_report_of_what_is_there(gan, photo_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"

    def interrupt() -> None:
        while not (out / "log.jsonl").is_file():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    status, said, _ = gan("train", photo_folder, *TINY, "--kimg", "500", "-o", out)
    assert (status, said) == (130, f"{out}\n")
    assert (out / "report.html").is_file()
