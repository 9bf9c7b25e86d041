from __future__ import annotations

import numpy as np
import pytest

from gancli.render.grid import best_columns, flatten_alpha, looking_scale, make_grid, plot_points


def ramp(count: int, height: int, width: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_every_image_stands_unchanged_at_its_place(channels: int) -> None:
    images = ramp(7, 12, 20, channels)
    sheet = make_grid(images, columns=3, margin=4, background=(10, 10, 10))
    assert sheet.shape == (3 * 16 + 4, 3 * 24 + 4, channels)
    for index, image in enumerate(images):
        top, left = 4 + index // 3 * 16, 4 + index % 3 * 24
        assert (sheet[top : top + 12, left : left + 20] == image).all()
    assert (sheet[:4] == 10).all()
    assert (sheet[-16:, -24:] == 10).all()


def test_enlarging_repeats_pixels() -> None:
    images = ramp(1, 4, 4, 3)
    sheet = make_grid(images, margin=0, scale=3)
    assert (sheet[::3, ::3] == images[0]).all()
    assert (sheet[2::3, 2::3] == images[0]).all()


def test_alpha_shows_a_chequer_or_is_kept() -> None:
    images = np.zeros((1, 16, 16, 4), np.uint8)
    images[:, :8, :, 3] = 255
    flat = flatten_alpha(images)
    assert (flat[0, :8] == 0).all()
    assert set(np.unique(flat[0, 8:])) == {232, 255}
    kept = make_grid(images, margin=1, keep_alpha=True)
    assert kept.shape[-1] == 4
    assert kept[0, 0, 3] == 0
    assert (kept[1:-1, 1:-1] == images[0]).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_captions_stand_below_and_leave_the_images_alone(channels: int) -> None:
    images = ramp(2, 48, 48, channels)
    sheet = make_grid(images, columns=2, margin=2, captions=["7", "123456"])
    assert (sheet[2:50, 2:50] == flatten_alpha(images)[0]).all()
    assert sheet[50:-2, 2:50].min() < 100
    with pytest.raises(ValueError, match="1 captions for 2"):
        make_grid(images, captions=["7"])


def test_sheets_are_about_square() -> None:
    assert best_columns(49) == 7
    assert best_columns(16) == 4
    assert best_columns(3) == 2
    assert best_columns(16, aspect=4.0) == 2
    assert looking_scale(28, 28) == 3
    assert looking_scale(160, 160) == 1


def test_points_are_drawn_where_they_are() -> None:
    picture = plot_points(np.array([[1.0, 1.0]]), None, side=101, extent=2.0)
    rows, columns = np.nonzero((picture == (20, 90, 200)).all(-1) | (picture[..., 0] < 200))
    assert abs(rows.mean() - 25) < 1.5
    assert abs(columns.mean() - 75) < 1.5


def test_points_beyond_numbers_do_not_stop_the_plot() -> None:
    points = np.array([[np.nan, 0.0], [np.inf, 1.0], [0.5, 0.5]])
    assert plot_points(points, np.zeros((3, 2)), side=64).shape == (64, 64, 3)
