"""The model card that goes with an exported generator: what it is, what it learned from, how to use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gancli.models.load import LoadedGenerator
from gancli.recipes import find_recipe
from gancli.text import clean, escape_markdown

__all__ = ["write_card"]

_NON_COMMERCIAL = ("nc", "noncommercial")


def write_card(loaded: LoadedGenerator, model: Path, card: Path, *, picture: str | None) -> None:
    """Writes `card` (Markdown) for the exported file `model`; `picture` is the sample grid beside it, if there is one.

    Titles and licence names come from outside and are escaped.
    """
    from gancli.files import write_text

    config = loaded.config
    width, height = config.size
    colour = {1: "grey", 3: "RGB", 4: "RGBA"}[config.channels]
    title = escape_markdown(Path(config.data).name or config.recipe)
    lines = [
        f"# {title}: a {config.recipe} generator",
        "",
        *([f"![Samples of this generator]({picture})", ""] if picture else []),
        f"Makes {width}x{height} px {colour} pictures from {config.latent_dim} normal random numbers. "
        f"Recipe: {config.recipe} ({find_recipe(config.recipe).source}). Trained on {loaded.nimg / 1000:g} kimg "
        f"(thousand images shown) with [gan](https://github.com/gan-cli/gan); weights: "
        f"{'the running average' if loaded.net == 'ema' else 'the last step'}.",
        "",
        "## Data",
        "",
        *_data(loaded.data_card, config.num_images),
        "",
        "## Verdict of the training",
        "",
        *_verdict(loaded.path.parent / "verdict.json"),
        "",
        "## How to use it",
        "",
        *_use(loaded, model),
        "",
        "## Settings",
        "",
        "```json",
        json.dumps(config.to_dict(), indent=1, ensure_ascii=True),
        "```",
        "",
    ]
    write_text(card, "\n".join(lines))


def _data(card: dict[str, Any], num_images: int) -> list[str]:
    licences = card.get("licenses") or card.get("licences")
    lines = [f"{num_images:,} training images."]
    if not isinstance(licences, dict) or not licences:
        return [*lines, "Their licences are not recorded: find out before you publish or sell what this model makes."]
    lines += ["", "| licence | images |", "|---|---:|"]
    lines += [f"| {escape_markdown(clean(name, 80))} | {clean(count, 20)} |" for name, count in licences.items()]
    if any(part in str(name).casefold().replace("-", " ").split() for name in licences for part in _NON_COMMERCIAL):
        lines += ["", "Some of them allow no commercial use; whether that binds a model is not settled law."]
    return lines


def _verdict(path: Path) -> list[str]:
    try:
        verdict = json.loads(path.read_text())
        words, evidence = verdict["verdict"], verdict.get("evidence", "")
    except (OSError, ValueError, KeyError, TypeError):
        return ["Not recorded."]
    shown = evidence if isinstance(evidence, str) else json.dumps(evidence, ensure_ascii=True)
    return [f"**{escape_markdown(words)}** {escape_markdown(clean(shown, 400))}".rstrip()]


def _use(loaded: LoadedGenerator, model: Path) -> list[str]:
    config = loaded.config
    name = model.name
    labels = '"labels": np.zeros(16, np.int64)' if config.num_classes else ""
    feed = '"z": z' + (f", {labels}" if labels else "")
    if model.suffix == ".onnx":
        code = [
            "import numpy as np, onnxruntime",
            f'session = onnxruntime.InferenceSession("{name}")',
            f"z = np.random.default_rng(0).standard_normal((16, {config.latent_dim})).astype(np.float32)",
            f"images = session.run(None, {{{feed}}})[0]  # float32 [16, {config.channels}, H, W] in [-1, 1]",
            "pixels = ((images + 1) * 127.5).round().clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)",
        ]
        return ["With onnxruntime alone (pip install onnxruntime):", "", "```python", *code, "```"]
    code = [
        "import gancli  # pip install 'gancli[export]'",
        f'generator = gancli.load("{name}")',
        f"images = generator.sample(seeds=range(16))  # uint8 [16, H, W, {config.channels}]",
    ]
    plain = ["from safetensors.torch import load_file", f'weights = load_file("{name}")  # a dict of named tensors']
    return ["```python", *code, "```", "", "The weights alone, for other code:", "", "```python", *plain, "```"]
