"""gan scrape as a person meets it: what goes to stdout and stderr, and how it exits."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gancli.cli.app import main

Said = tuple[int, str, str]


@pytest.fixture
def gan(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., Said]:
    """Runs the command in tmp_path: exit status, stdout, stderr."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, stdin: bytes = b"") -> Said:
        monkeypatch.setattr(sys, "argv", ["gan", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
        got = capfd.readouterr()
        return status, got.out, got.err

    return run


def test_path_goes_to_stdout_and_the_table_to_stderr(gan: Any, site: Any, make: Any, tmp_path: Path) -> None:
    urls = [site.serve(f"/{i}.jpg", make(i)) for i in range(3)] + [site.url("/gone.jpg")]
    (tmp_path / "My list.txt").write_text("\n".join(urls))
    status, out, err = gan("scrape", "--urls", "My list.txt", "--allow-private", "--min-side", "32")
    assert (status, out) == (0, "my-list\n")
    assert "HTTP 404" in err
    assert "\x1b" not in err
    assert (tmp_path / "my-list/manifest.jsonl").exists()
    status, out, err = gan(
        "scrape", "--urls", "-", "--allow-private", "-o", "b", "--json", "-q", stdin=urls[0].encode()
    )
    assert status == 0
    assert json.loads(out) == {"path": "b", "asked": 1, "kept": 1, "added": 1, "left_out": {}}
    assert err == ""


@pytest.mark.parametrize("content", [b"", b"\n\n# nothing\n", b"\xef\xbb\xbf", b"url\n"])
def test_list_without_an_address_is_said_before_anything_is_made(gan: Any, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    for source, stdin in (("list.txt", b""), ("-", content)):
        status, out, err = gan("scrape", "--urls", source, "-o", "x", stdin=stdin)
        assert (status, out) == (1, "")
        assert "names no address" in err
    assert [path.name for path in tmp_path.iterdir()] == ["list.txt"]


def test_nothing_at_all_is_exit_1_with_the_reason(gan: Any, site: Any) -> None:
    status, out, err = gan("scrape", "--urls", "-", "--allow-private", "-o", "x", stdin=site.url("/gone.jpg").encode())
    assert (status, out) == (1, "")
    assert "HTTP 404" in err
    assert "Traceback" not in err


def test_fewer_than_asked_is_exit_0_and_with_strict_3(gan: Any, site: Any, make: Any) -> None:
    url = site.serve("/a.jpg", make(1)).encode()
    arguments = ("scrape", "--urls", "-", "--allow-private", "-o", "x", "-n", "5")
    status, out, err = gan(*arguments, stdin=url)
    assert (status, out) == (0, "x\n")
    assert "Fewer than asked" in err
    status, out, _ = gan(*arguments, "--strict", stdin=url)
    assert (status, out) == (3, "x\n")


def test_list_gives_500_when_nothing_else_is_asked(gan: Any, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text("\n".join(f"http://127.0.0.1/{i}.jpg" for i in range(600)))
    status, out, _ = gan("scrape", "--urls", "long.txt", "--dry-run")
    assert (status, len(out.splitlines())) == (0, 500)


def test_list_that_is_not_used_up_says_how_many_are_left(gan: Any, site: Any, make: Any) -> None:
    urls = "\n".join([site.url("/gone.jpg"), *(site.serve(f"/{i}.jpg", make(i)) for i in range(5))]).encode()
    arguments = ("scrape", "--urls", "-", "--allow-private", "-o", "x", "--min-side", "32")
    status, out, err = gan(*arguments, "-n", "2", stdin=urls)
    assert (status, out) == (0, "x\n")
    assert "3 addresses of the list not tried; -n 5 takes them" in err
    status, _, err = gan(*arguments, "-n", "1", stdin=urls)
    assert "3 addresses of the list not tried; -n 5 takes them" in err
    status, out, err = gan(*arguments, "-n", "5", "--json", stdin=urls)
    assert json.loads(out)["kept"] == 5
    assert "not tried" not in err
    for same in (urls, urls.splitlines()[1]):
        status, out, err = gan(*arguments, stdin=same)
        assert (status, out) == (0, "x\n")
        assert "not tried" not in err


def test_plan_says_how_long_a_pause_really_is(gan: Any, site: Any, make: Any) -> None:
    url = site.serve("/a.jpg", make(1)).encode()
    _, _, near = gan("scrape", "--urls", "-", "--allow-private", "-o", "x", stdin=url)
    assert "0.5 s apart (0 s on this machine and its network)" in near
    _, _, far = gan("scrape", "--urls", "-", "-o", "y", stdin=url)
    assert "0.5 s apart\n" in far
    _, _, painted = gan("scrape", "alps", "--from", "demo", "-n", "1", "-o", "z")
    assert "apart" not in painted


@pytest.mark.parametrize(
    "arguments",
    [
        ("scrape",),
        ("scrape", ""),
        ("scrape", "x", "--from", "nowhere"),
        ("scrape", "x", "--license", "mine"),
        ("scrape", "x", "--endpoint", "bing"),
        ("scrape", "x", "-n", "0"),
        ("scrape", "x", "--urls", "list.txt"),
        ("scrape", "x", "--no-such-flag"),
    ],
)
def test_wrong_usage_is_exit_2_and_nothing_is_made(gan: Any, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    status, out, err = gan(*arguments)
    assert (status, out) == (2, "")
    assert err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_a_file_and_missing_list_are_exit_1(gan: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    status, out, err = gan("scrape", "x", "--from", "demo", "-o", "file")
    assert (status, out) == (1, "")
    assert "is a file" in err
    assert (tmp_path / "file").read_text() == "mine"
    status, out, err = gan("scrape", "--urls", "none.txt")
    assert (status, out) == (1, "")
    assert "none.txt" in err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


def test_no_network_at_all_is_a_clear_message_and_no_empty_set(
    gan: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("gancli.scrape.guard._look_up", lambda host, port: [])
    status, out, err = gan("scrape", "snowy mountains")
    assert (status, out) == (1, "")
    assert "openverse could not be reached" in err
    assert "wikimedia could not be reached" in err
    assert "Is this computer online?" in err
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_text_from_outside_reaches_no_terminal(gan: Any, site: Any, make: Any, tmp_path: Path) -> None:
    rows = [
        {"url": site.serve("/a.jpg", make(1)), "title": "[/x] \x1b[31mred <script>", "creator": "[bold]\x07 `x`"},
        {"url": "http://127.0.0.1/[/x]\x1b]0;title\x07", "title": "y"},
    ]
    list_ = "\n".join(json.dumps(row) for row in rows)
    status, _, err = gan("scrape", "--urls", "-", "--allow-private", "-o", "x", "-v", "--ignore-optout",
                         stdin=list_.encode())  # fmt: skip
    assert status == 0
    assert "\x1b" not in err
    assert "\x07" not in err
    written = (tmp_path / "x/manifest.jsonl").read_bytes() + (tmp_path / "x/CREDITS.md").read_bytes()
    assert b"\x1b" not in written
    assert b"\\u001b" not in written
    assert b"<script>" not in (tmp_path / "x/CREDITS.md").read_bytes()


def test_dry_run_and_doctor_answer_on_stdout(gan: Any, tmp_path: Path) -> None:
    status, out, _ = gan("scrape", "snowy alps", "--from", "demo", "-n", "3", "--dry-run")
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [row["rank"] for row in rows] == [1, 2, 3]
    assert all(row["url"].startswith("demo:") and row["license"] == "CC0-1.0" for row in rows)
    status, out, _ = gan("scrape", "--doctor", "--from", "demo", "--from", "flickr", "--json")
    assert status == 0
    assert [(row["provider"], row["state"]) for row in map(json.loads, out.splitlines())] == [
        ("demo", "found"),
        ("flickr", "no key"),
    ]
    assert list(tmp_path.iterdir()) == []


def test_interruption_prints_the_path_and_exits_130(
    gan: Any, site: Any, make: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Ctrl-C while the first outcome is shown."""
    from gancli.cli.output import Output

    def interrupt(self: Output, text: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Output, "detail", interrupt)
    urls = "\n".join([site.url("/gone.jpg"), site.serve("/a.jpg", make(1))])
    status, out, _ = gan("scrape", "--urls", "-", "--allow-private", "-o", "x", stdin=urls.encode())
    assert (status, out) == (130, "x\n")
    assert (tmp_path / "x/CREDITS.md").exists()


def test_nothing_is_left_open(site: Any, make: Any, tmp_path: Path) -> None:
    """Python's development mode tells of every file and socket that nobody closed."""
    whole = make(1)
    site.routes["/hop.jpg"] = lambda h: h.give(b"", status=302, headers=(("Location", "/a.jpg"),))
    site.routes["/endless.jpg"] = lambda h: h.give(whole + bytes(3_000_000))
    site.routes["/html.jpg"] = lambda h: h.give(b"<html>" + b"x" * 100_000)

    def cut(handler: Any) -> None:
        handler.close_connection = True
        handler.wfile.write(b'HTTP/1.1 200 OK\r\nETag: "v"\r\nContent-Length: 99999\r\n\r\n' + whole[:3000])

    site.routes["/cut.jpg"] = cut
    site.serve("/a.jpg", whole)
    site.serve("/down.jpg", b"x" * 100_000, status=500)
    names = ("a", "hop", "endless", "html", "cut", "down", "gone")
    (tmp_path / "list.txt").write_text("\n".join(site.url(f"/{name}.jpg") for name in names) + "\nhttp://[::1\n")
    command = [sys.executable, "-X", "dev", "-m", "gancli", "scrape", "--urls", "list.txt", "--allow-private",
               "--max-mb", "1", "--timeout", "1", "-o", "set"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"set\n"), done.stderr.decode()
    assert b"Warning" not in done.stderr
    assert b"Traceback" not in done.stderr


def test_demo_paints_nothing_that_fills_the_memory(gan: Any, tmp_path: Path) -> None:
    status, out, err = gan("scrape", "alps", "--from", "demo", "--min-side", "20000", "-n", "2")
    assert (status, out) == (1, "")
    assert "over 1,024 pixels" in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="a shell closes streams in its own way there")
def test_closed_streams_end_in_no_traceback(tmp_path: Path) -> None:
    def run(words: str) -> subprocess.CompletedProcess[bytes]:
        command = f"{shlex.quote(sys.executable)} -m gancli scrape {words}"
        return subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, check=False)

    silent = run("alps --from demo -n 1 >&-")
    assert (silent.returncode, silent.stdout) == (0, b"")
    assert b"Traceback" not in silent.stderr
    deaf = run("--urls - <&-")
    assert deaf.returncode == 1
    assert b"names no address" in deaf.stderr
    assert b"Traceback" not in deaf.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes and no /dev/zero")
def test_list_may_be_a_pipe_and_no_endless_one(gan: Any, site: Any, make: Any, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    urls = "\n".join(site.serve(f"/{i}.jpg", make(i)) for i in range(3))
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_text(urls))
    writer.start()
    status, out, err = gan("scrape", "--urls", "pipe", "--allow-private", "-o", "x", "--json")
    writer.join()
    assert (status, json.loads(out)["kept"]) == (0, 3)
    status, out, err = gan("scrape", "--urls", "/dev/zero", "-o", "y")
    assert (status, out) == (2, "")
    assert "more than 100 MB" in err
