"""The explore page: seeds, truncation and sliders along the generator's main directions; what is kept becomes files.

Everything the page shows is rendered here on request; what it saves lies beside the run at once.
"""

from __future__ import annotations

import math
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from gancli.errors import UsageError
from gancli.files import free_path, make_folder, write_json, write_text
from gancli.render.animation import Timing, write_animation
from gancli.render.directions import main_directions
from gancli.render.frames import spool
from gancli.render.generator import Generator, png_bytes
from gancli.render.grid import flatten_alpha
from gancli.render.sampling import pick_labels, render
from gancli.render.seeds import MAX_SEED, format_seeds
from gancli.render.walk import Walk
from gancli.web import LocalServer, create_app, new_token

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["Explorer", "open_explorer"]

PAGE = Path(__file__).parent / "explore_page"
_NUM_DIRECTIONS = 8
_MAX_MOVE = 6.0
_MAX_KEPT = 64


class Explorer:
    """What the page can do with one generator. `place` is where it saves; the folder is made when first needed."""

    def __init__(self, generator: Generator, place: Path) -> None:
        self.generator, self.place = generator, place
        self.saved: list[Path] = []
        self.directions, self.shares = main_directions(generator, _NUM_DIRECTIONS)
        self._busy = threading.Lock()

    def state(self) -> dict[str, Any]:
        """What the page must know to draw itself."""
        width, height = self.generator.size
        return {
            "title": f"{self.generator.config.recipe} · {width}x{height} · {self.generator.loaded.nimg / 1000:g} kimg",
            "shares": [round(float(share), 4) for share in self.shares],
            "classes": list(self.generator.class_names),
            "size": [width, height],
        }

    def picture(self, spot: dict[str, Any]) -> bytes:
        """The PNG of a spot: {seed, truncation, moves, label}. Raises `UsageError` for what is no spot."""
        seed, truncation, moves, label = _checked(spot, len(self.directions))
        labels = pick_labels([seed], self.generator.config.num_classes, label)
        with self._busy:
            images = next(render(self.generator.loaded, self.latent(seed, moves)[None], labels, truncation=truncation))
        return png_bytes(flatten_alpha(images[0]))

    def latent(self, seed: int, moves: list[float]) -> Tensor:
        """The latent of `seed`, moved along the directions by `moves` (in standard deviations): fp32 [latent_dim]."""
        start = self.generator.latents([seed])[0]
        return start + (torch.tensor(moves)[:, None] * self.directions).sum(0) if any(moves) else start

    def save_seeds(self, spots: list[dict[str, Any]]) -> Path:
        """Writes the kept spots: seeds.txt for `gan sample --seeds`, spots.json, and a latent for each moved one."""
        checked = [_checked(spot, len(self.directions)) for spot in _some(spots, 1)]
        make_folder(self.place)
        target = free_path(self.place / "seeds.txt")
        write_text(target, format_seeds(seed for seed, *_rest in checked) + "\n")
        write_json(target.with_suffix(".json"), spots)
        for number, (seed, _truncation, moves, _label) in enumerate(checked):
            if any(moves):
                np.save(target.with_name(f"{target.stem}-{number}.npy"), self.latent(seed, moves).numpy())
        self.saved.append(target)
        return target

    def save_walk(self, spots: list[dict[str, Any]], frames: int = 40) -> Path:
        """Writes the closed walk through the kept spots as a GIF, with steps of equal change."""
        checked = [_checked(spot, len(self.directions)) for spot in _some(spots, 2)]
        latents = torch.stack([self.latent(seed, moves) for seed, _truncation, moves, _label in checked])
        seeds = [seed for seed, *_rest in checked]
        labels = None
        if self.generator.config.num_classes:
            drawn = [pick_labels([seed], self.generator.config.num_classes, label) for seed, _t, _m, label in checked]
            labels = [int(one[0]) for one in drawn if one is not None]
        truncation = sum(truncation for _seed, truncation, *_rest in checked) / len(checked)
        with self._busy:
            walk = Walk(self.generator, [seeds], frames, labels=labels, truncation=truncation, latents=latents)
            walk.make_even()
            shown = spool((frame[None] for frame in walk.frames()), walk.num_frames)
        make_folder(self.place)
        target = free_path(self.place / "walk.gif")
        side = max(shown.width, shown.height)
        factor = max(1, math.ceil(192 / side))
        write_animation(target, shown.resized(shown.width * factor, shown.height * factor), Timing(fps=20))
        self.saved.append(target)
        return target


def open_explorer(explorer: Explorer, port: int = 0) -> LocalServer:
    """The server of the page, ready to `serve`; the page's Done ends it. Raises `GanError` for a taken port."""
    token = new_token()
    holder: list[LocalServer] = []
    app = _app(explorer, token, holder)
    holder.append(LocalServer(app, token, port))
    return holder[0]


def _app(explorer: Explorer, token: str, holder: list[LocalServer]) -> Flask:
    from flask import Response, jsonify, request, send_file

    app = create_app(PAGE, token)

    @app.get("/api/state")
    def state() -> Response:
        return jsonify(explorer.state())

    @app.post("/api/picture")
    def picture() -> Response:
        return Response(explorer.picture(_body(request.get_json(silent=True))), mimetype="image/png")

    @app.post("/api/save")
    def save() -> Response:
        body = _body(request.get_json(silent=True))
        save = explorer.save_walk if body.get("kind") == "walk" else explorer.save_seeds
        return jsonify(path=str(save(body.get("spots") or [])), number=len(explorer.saved) - 1)

    @app.get("/api/saved/<int:number>")
    def saved(number: int) -> Response:
        if not 0 <= number < len(explorer.saved):
            raise UsageError("Nothing was saved under that number.")
        return send_file(explorer.saved[number].resolve())

    @app.post("/api/done")
    def done() -> Response:
        holder[0].stop(after_s=0.3)
        return jsonify(ok=True)

    return app


def _body(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise UsageError("The page sent something that is no object.")
    return body


def _some(spots: Any, least: int) -> list[dict[str, Any]]:
    if not isinstance(spots, list) or not least <= len(spots) <= _MAX_KEPT:
        raise UsageError(f"Keep {least} to {_MAX_KEPT} pictures first.")
    return spots


def _checked(spot: Any, num_directions: int) -> tuple[int, float, list[float], int | None]:
    """(seed, truncation, moves, label) of a spot that the page sent. Raises `UsageError`."""
    try:
        seed, truncation = int(spot["seed"]), float(spot.get("truncation", 1.0))
        moves = [float(move) for move in spot.get("moves", [])][:num_directions]
        label = None if spot.get("label") is None else int(spot["label"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise UsageError("A spot is a seed, a truncation and moves, all numbers.") from error
    if not 0 <= seed <= MAX_SEED:
        raise UsageError(f"A seed is a whole number from 0 to {MAX_SEED}.")
    if not all(math.isfinite(move) and abs(move) <= _MAX_MOVE for move in moves):
        raise UsageError(f"A move is at most {_MAX_MOVE:g} standard deviations.")
    return seed, truncation, moves + [0.0] * (num_directions - len(moves)), label
