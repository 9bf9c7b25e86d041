"""The whole way from Python: paint landscapes, train a little, look at samples and walk between them.

Run it with a folder to work in:  python examples/python_api.py /tmp/gan-example
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

import gancli


def main(folder: Path) -> None:
    """Collects, curates, trains for two minutes, and writes samples.png and walk.gif into `folder`."""
    raw, cleaned, run = folder / "landscapes", folder / "landscapes-32", folder / "run"

    for event in gancli.scrape(gancli.ScrapeConfig(queries=("landscapes",), sources=("demo",), count=200, out=raw)):
        print(type(event).__name__, end=" ", flush=True)
    print()

    for finding in gancli.curate(raw, out=cleaned, options=gancli.CurateOptions(size=(32, 32))):
        print(type(finding).__name__, end=" ", flush=True)
    print()

    options = gancli.TrainOptions(data=str(cleaned), model="dcgan", size="32", minutes=2, device="cpu")
    for tick in gancli.train(options, out=run):
        print(f"{tick.row['kimg']:.1f} kimg, diversity {tick.row.get('diversity')}, {tick.verdict.verdict}")

    generator = gancli.load(run)
    print(generator)
    images = generator.sample(seeds=range(16))
    sheet = images.reshape(4, 4, *images.shape[1:]).swapaxes(1, 2).reshape(4 * images.shape[1], -1, images.shape[3])
    Image.fromarray(sheet).save(folder / "samples.png")

    frames = [Image.fromarray(frame) for frame in generator.walk(generator.key_seeds(3), frames=20, even=True)]
    frames[0].save(folder / "walk.gif", save_all=True, append_images=frames[1:], duration=50, loop=0)
    print(folder)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1] if len(sys.argv) > 1 else "gan-example"))
    except gancli.GanError as error:
        sys.exit(f"error: {error}")
