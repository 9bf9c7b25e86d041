"""Files per second against icrawler and img2dataset, on the same list from a server on this machine.

Run by hand, with the interpreters of two environments (icrawler and img2dataset need an environment of their own):

    python tests/benchmarks/bench_scrape.py --peers /path/to/peers/bin/python

The server runs in a process of its own: JPEGs of 50 KB, 30 ms until it answers, eight hosts (127.0.0.1 to .8).
All three fetch the same list with the same number of requests at a time, in turns, `--rounds` times; the middle of the
rounds counts. CPU seconds are those of the client's process and its children; compare them by file, as icrawler keeps
about half of a list that is fetched so fast. img2dataset's resizing is off.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LATENCY_S = 0.030
BYTES = 50_000
HOSTS = 8

OURS = """
import sys, resource, time
from pathlib import Path
from gancli.scrape import ScrapeConfig, scrape
urls, out, workers, decode = sys.argv[1:]
config = ScrapeConfig(urls=Path(urls), count=10**6, out=Path(out), allow_private=True, workers=int(workers),
                      min_side_px=32, per_host=int(workers) // 8, check_images=decode == "1")
print(list(scrape(config))[-1].kept)
"""

ICRAWLER = """
import logging, sys
from icrawler import ImageDownloader
from icrawler.builtin import UrlListCrawler
urls, out, workers, _ = sys.argv[1:]
crawler = UrlListCrawler(downloader_threads=int(workers), storage={"root_dir": out}, log_level=logging.ERROR)
crawler.crawl(urls)
"""

IMG2DATASET = """
import sys, os
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
from img2dataset import download
if __name__ == "__main__":
    urls, out, workers, _ = sys.argv[1:]
    download(url_list=urls, output_folder=out, processes_count=1, thread_count=int(workers), resize_mode="no",
             skip_reencode=True, output_format="files", input_format="txt", number_sample_per_shard=100000,
             enable_wandb=False, timeout=30)
"""


async def serve(port_file: Path) -> None:
    """A bare HTTP/1.1 server: enough for a benchmark, and light enough not to be what is measured."""
    rng = random.Random(0)
    import io

    from PIL import Image

    picture = Image.frombytes("RGB", (128, 128), rng.randbytes(128 * 128 * 3))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=95)
    jpeg = file.getvalue()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                path = request.split(b" ", 2)[1]
                if path == b"/robots.txt":
                    writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                    continue
                await asyncio.sleep(LATENCY_S)
                body = jpeg + path  # each file differs, so that none is a duplicate
                body += b"\0" * (BYTES - len(body))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(body))
                writer.write(body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, "0.0.0.0", 0, backlog=1024)
    port_file.write_text(str(server.sockets[0].getsockname()[1]))
    async with server:
        await server.serve_forever()


def measure(python: str, script: str, folder: Path, arguments: list[str]) -> tuple[float, float, int]:
    """Wall seconds, CPU seconds and files kept of one client."""
    program = folder / "client.py"
    program.write_text(script)
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    before, began = os.times(), time.perf_counter()
    done = subprocess.run(
        [python, str(program), arguments[0], str(out), *arguments[1:]], capture_output=True, check=False, cwd=Path.cwd()
    )
    wall = time.perf_counter() - began
    after = os.times()
    if done.returncode:
        raise SystemExit(done.stderr.decode()[-2000:])
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu, sum(1 for path in out.rglob("*.jpg") if path.is_file())


def main() -> None:
    """Prints one JSON line for each client."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers", default=sys.executable)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", type=Path)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server = subprocess.Popen([sys.executable, __file__, "--serve", str(folder / "port")])
        try:
            while not (folder / "port").exists() or not (folder / "port").read_text():
                time.sleep(0.05)
            port = (folder / "port").read_text()
            urls = [f"http://127.0.0.{i % HOSTS + 1}:{port}/{i}.jpg" for i in range(options.files)]
            (folder / "list.txt").write_text("\n".join(urls))
            clients = {
                "gan": (sys.executable, OURS, "1"),
                "gan, no decode check": (sys.executable, OURS, "0"),
                "icrawler": (options.peers, ICRAWLER, "-"),
                "img2dataset": (options.peers, IMG2DATASET, "-"),
            }
            figures: dict[str, list[tuple[float, float, int]]] = {name: [] for name in clients}
            for _ in range(options.rounds):
                for client, (python, script, decode) in clients.items():
                    arguments = [str(folder / "list.txt"), str(options.workers), decode]
                    figures[client].append(measure(python, script, folder, arguments))
        finally:
            server.kill()
            server.wait()
    for client, rounds in figures.items():
        wall = statistics.median(r[0] for r in rounds)
        cpu = statistics.median(r[1] for r in rounds)
        files = rounds[-1][2]
        figures_of = {
            "client": client,
            "files": files,
            "seconds": round(wall, 2),
            "files_per_s": round(files / wall, 1),
            "cpu_seconds": round(cpu, 2),
            "cpu_ms_per_file": round(1000 * cpu / files, 2),
        }
        print(json.dumps(figures_of))


if __name__ == "__main__":
    main()
