"""The review page's side of the server: what there is to look at, thumbnails, and each decision to the disk at once."""

from __future__ import annotations

import functools
import io
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from gancli.curate.decisions import append_decision, journal_of, parse_change
from gancli.curate.findings import Done
from gancli.curate.options import CurateOptions
from gancli.curate.sources import collect_sources
from gancli.errors import DataError
from gancli.images import fit_image, read_image, to_array
from gancli.text import clean
from gancli.web import LocalServer, create_app, new_token

if TYPE_CHECKING:
    from flask import Flask

__all__ = ["PAGE", "Review", "create_review_app", "open_review"]

PAGE = Path(__file__).parent / "page"
_THUMB_PX, _PICTURE_PX = 192, 1600


class Review:
    """One set under review. `journals` says, by input number from 0, in which file a decision about it is kept."""

    def __init__(self, done: Done, options: CurateOptions, journals: Sequence[Path]) -> None:
        self._rows = {row["number"] - 1: row for row in reversed(done.rows) if row["status"] != "fail"}
        self._done, self._options, self._journals = done, options, journals
        self._lock, self._drawing = threading.Lock(), threading.Lock()
        self.num_saved = 0

    def items(self) -> dict[str, Any]:
        """Everything the page shows, as JSON: the pictures in input order, groups of copies, pairs alike."""
        width, height = self._options.size
        names = {row["source"]: index for index, row in self._rows.items()}
        groups: dict[int, list[int]] = {}
        for index, row in sorted(self._rows.items()):
            if row["status"] == "dup":
                groups.setdefault(names[row["duplicate_of"]], []).append(index)
        return {
            "name": clean(self._done.path.name, 120),
            "size": [width, height],
            "fit": self._options.fit,
            "items": [self._item(index) for index in sorted(self._rows)],
            "groups": [[keeper, *copies] for keeper, copies in sorted(groups.items())],
            "pairs": [
                {"a": pair.first, "b": pair.second, "distance": pair.distance, "mirrored": pair.mirrored}
                for pair in self._done.lookalikes
            ],
            "labels": sorted({row["label"] for row in self._rows.values() if row["label"]}),
        }

    def _item(self, index: int) -> dict[str, Any]:
        row = self._rows[index]
        return {
            "id": index,
            "number": row["number"],
            "name": clean(row["source"], 200),
            "title": clean(row.get("title") or "", 200),
            "width": row["width"],
            "height": row["height"],
            "bytes": row["bytes"],
            "flags": row["flags"],
            "status": row["status"],
            "reason": row["reason"],
            "distance": row["distance"],
            "mirrored": bool(row["mirrored"]) and row["status"] == "dup",
            "license": clean(row.get("license") or "", 60),
            "decision": row["decision"],
            "flip": row["flipped"],
            "crop": row["crop"],
            "label": row["label"],
        }

    def decide(self, changes: object) -> int:
        """Checks and appends decisions [{"id", "set"}]; returns how many. Raises `DataError`, `DiskError`."""
        if not isinstance(changes, list) or not 0 < len(changes) <= 10_000:
            raise DataError("No decisions were given.")
        checked: list[tuple[int, dict[str, Any]]] = []
        for entry in changes:
            change = parse_change(entry.get("set")) if isinstance(entry, Mapping) else None
            index = entry.get("id") if isinstance(entry, Mapping) else None
            if change is None or not isinstance(index, int) or index not in self._rows:
                raise DataError("A decision names a picture or a field that does not exist; nothing was saved.")
            checked.append((index, change))
        names = {"decision": "decision", "flip": "flipped", "crop": "crop", "label": "label"}
        with self._lock:
            for index, change in checked:
                written = {**change, "crop": list(change["crop"])} if change.get("crop") else change
                append_decision(self._journals[index], self._rows[index]["sha256"], written)
                self._rows[index].update({names[field]: value for field, value in written.items()})
                self.num_saved += 1
        return len(checked)

    def thumbnail(self, index: int, crop: tuple[float, float, float, float] | None) -> bytes:
        """The picture as the set will show it (not flipped), at most 192 px, as JPEG. Raises `DataError`.

        One at a time, whatever the browser asks for at once: it needs the other processors to scroll.
        """
        with self._drawing:
            options = self._options
            return _thumbnail(str(self._file(index)), crop, options.size, options.fit, options.background)

    def picture(self, index: int) -> bytes:
        """The whole upright picture, at most 1600 px, as JPEG. Raises `DataError`."""
        image = read_image(self._file(index), near_px=_PICTURE_PX // 2)
        image.thumbnail((_PICTURE_PX, _PICTURE_PX), Image.Resampling.LANCZOS)
        return _as_jpeg(image, self._options.background, 88)

    def _file(self, index: int) -> Path:
        if index not in self._rows:
            raise DataError("There is no such picture in this set.")
        return self._done.files[index]


@functools.lru_cache(maxsize=8192)
def _thumbnail(
    path: str, crop: tuple[float, float, float, float] | None, size: tuple[int, int], fit: str, background: str
) -> bytes:
    share = 1.0 if crop is None else min(crop[2] - crop[0], crop[3] - crop[1])
    image = read_image(Path(path), near_px=round(_THUMB_PX / max(share, 0.05)))
    if crop is not None:
        box = (crop[0] * image.width, crop[1] * image.height, crop[2] * image.width, crop[3] * image.height)
        image = image.crop(
            (int(box[0]), int(box[1]), max(int(box[2]), int(box[0]) + 1), max(int(box[3]), int(box[1]) + 1))
        )
    scale = _THUMB_PX / max(size)
    small = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    return _as_jpeg(fit_image(image, small, fit=fit, background=background), background, 82)


def _as_jpeg(image: Image.Image, background: str, quality: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(to_array(image, 3, background)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def open_review(done: Done, inputs: Sequence[Path | str], options: CurateOptions, port: int = 0) -> LocalServer:
    """A server for the review of a set that `curate` has just made of `inputs`. Raises `GanError`."""
    sources, _ = collect_sources([Path(path) for path in inputs])
    kept_in = {root: journal_of(root, done.path) for root in {source.root for source in sources}}
    review = Review(done, options, [kept_in[source.root] for source in sources])
    token = new_token()
    holder: list[LocalServer] = []
    app = create_review_app(review, token, lambda: holder[0].stop(after_s=0.3))
    holder.append(LocalServer(app, token, port))
    return holder[0]


def create_review_app(review: Review, token: str, finish: Any) -> Flask:
    """The page and its few routes; `finish` is called when the person says so."""
    from flask import Response, abort, jsonify, request

    app = create_app(PAGE, token)

    @app.get("/api/items")
    def items() -> Response:
        return jsonify(review.items())

    @app.post("/api/decide")
    def decide() -> Response:
        body = request.get_json(silent=True)
        return jsonify(saved=review.decide(body.get("changes") if isinstance(body, dict) else None))

    @app.post("/api/finish")
    def end() -> Response:
        finish()
        return jsonify(saved=review.num_saved)

    @app.get("/thumb/<int:index>")
    def thumb(index: int) -> Response:
        crop = None
        if request.args.get("crop"):
            try:
                edges = [float(edge) for edge in request.args["crop"].split(",")]
            except ValueError:
                abort(400)
            change = parse_change({"crop": edges})
            if change is None:
                abort(400)
            crop = change["crop"]
        return _jpeg_response(review.thumbnail(index, crop))

    @app.get("/picture/<int:index>")
    def picture(index: int) -> Response:
        return _jpeg_response(review.picture(index))

    def _jpeg_response(data: bytes) -> Response:
        response = Response(data, mimetype="image/jpeg")
        response.headers["Cache-Control"] = "private, max-age=3600"
        return response

    return app
