"""10,000 addresses, and the largest things that may be sent, in under 300 MB."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gancli.manifest import read_manifest

MEASURED = """
import sys
from pathlib import Path
from gancli.cli.app import main
try:
    main()
finally:
    status = Path("/proc/self/status").read_text()  # ru_maxrss would count what the parent had before the exec
    print("PEAK", status.split("VmHWM:")[1].split()[0], file=sys.stderr)
"""


def png(width: int, height: int) -> bytes:
    """A picture of one colour that is small as a file and large in memory."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = zlib.compress((b"\0" + b"\x80\x40\x20\xff" * width) * height, 9)
    head = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_ten_thousand_addresses_stay_under_300_mb(site: Any, make: Any, tmp_path: Path) -> None:
    small = make(1, (64, 64))
    noise = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (2900, 2900, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(noise, "PNG", compress_level=0)
    large, wide, bomb = noise.getvalue(), png(4900, 4900), png(20_000, 3000)
    assert 25_000_000 < len(large) < 30_000_000

    def route(handler: Any) -> None:
        name = handler.path
        if name == "/robots.txt":
            handler.give(b"", status=404)
        elif name.startswith("/large"):
            handler.give(large)
        elif name.startswith("/wide"):
            handler.give(wide)
        elif name.startswith("/bomb"):
            handler.give(bomb)
        elif name.startswith("/endless"):
            handler.close_connection = True
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n\xff\xd8\xff")
            try:
                while True:
                    handler.wfile.write(b"\0" * 65536)
            except OSError:
                pass
        else:
            handler.give(small + name.encode())

    site.default = route
    special = [f"/{name}{i}" for name in ("large", "wide", "bomb", "endless") for i in range(16)]
    paths = special + [f"/{i}" for i in range(10_000 - len(special))]
    urls = [site.url(path, f"127.0.0.{i % 16 + 1}") for i, path in enumerate(paths)]
    (tmp_path / "list.txt").write_text("\n".join(urls))
    command = [sys.executable, "-c", MEASURED, "scrape", "--urls", "list.txt", "--allow-private", "--min-side", "32",
               "-n", "10000", "-o", "set", "-q"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    peak_mb = int(done.stderr.decode().split("PEAK")[1].split()[0]) / 1024
    print(f"peak {peak_mb:.0f} MB")
    rows = read_manifest(tmp_path / "set")
    reasons = {row["reason"] for row in rows if "bomb" in row["url"] or "endless" in row["url"]}
    assert len(rows) == 10_000
    assert reasons == {"too many pixels", "too many bytes"}
    assert sum(row["status"] == "ok" for row in rows) == 10_000 - len(special) + 2
    assert peak_mb < 300
