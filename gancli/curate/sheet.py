"""The contact sheet: every kept picture with its number, for a person without a browser."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from gancli.files import atomic_file
from gancli.images import read_image

__all__ = ["PER_SHEET", "write_sheets"]

PER_SHEET = 1500
_STRIP_PX = 14


def write_sheets(folder: Path, rows: Sequence[dict[str, Any]]) -> list[str]:
    """Writes contact-sheet.jpg (and -2, -3 … beyond `PER_SHEET`) of the kept rows in `folder`; returns their names.

    The number under a picture is the one for --reject and --flip-images; flagged pictures have an orange number.
    """
    shown = [row for row in rows if row["status"] == "ok" and not row["mirrored"]]
    names = []
    for start in range(0, max(1, len(shown)), PER_SHEET):
        name = "contact-sheet.jpg" if start == 0 else f"contact-sheet-{start // PER_SHEET + 1}.jpg"
        _write_sheet(folder, folder / name, shown[start : start + PER_SHEET])
        names.append(name)
    return names


def _write_sheet(folder: Path, target: Path, rows: Sequence[dict[str, Any]]) -> None:
    side = 96 if len(rows) <= 300 else 64
    columns = max(1, min(len(rows), 1280 // side, max(6, round((len(rows) * 1.6) ** 0.5))))
    lines = max(1, -(-len(rows) // columns))
    sheet = Image.new("RGB", (columns * (side + 4) + 4, lines * (side + _STRIP_PX + 4) + 4), (32, 32, 32))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default()
    for place, row in enumerate(rows):
        x, y = 4 + place % columns * (side + 4), 4 + place // columns * (side + _STRIP_PX + 4)
        picture = read_image(folder / row["file"]).convert("RGB")
        picture.thumbnail((side, side), Image.Resampling.LANCZOS)
        sheet.paste(picture, (x + (side - picture.width) // 2, y + (side - picture.height) // 2))
        colour = (255, 160, 60) if row["flags"] else (200, 200, 200)
        draw.text((x + side // 2, y + side + 1), str(row["number"]), fill=colour, font=font, anchor="ma")
    buffer = io.BytesIO()
    sheet.save(buffer, "JPEG", quality=85)
    with atomic_file(target) as file:
        file.write(buffer.getbuffer())
