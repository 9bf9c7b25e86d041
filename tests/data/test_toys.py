import numpy as np
import pytest

from gancli.data.toys import arc_shares, toy_modes, toy_points
from gancli.errors import DataError


@pytest.mark.parametrize(("name", "num", "modes"), [("ring", 100_000, 8), ("grid", 100_000, 25)])
def test_mixture_has_its_modes_equally_often_with_their_sigma(name, num, modes):
    points = toy_points(name, seed=0)
    centres, sigma = toy_modes(name)
    assert points.shape == (num, 2)
    assert points.dtype == np.float32
    assert centres.shape == (modes, 2)
    distances = np.linalg.norm(points[:, None] - centres, axis=2)
    mode, nearest = distances.argmin(1), distances.min(1)
    assert np.bincount(mode, minlength=modes) / num == pytest.approx(1 / modes, rel=0.05)
    assert np.sqrt(np.mean(nearest**2) / 2) == pytest.approx(sigma, rel=0.01)
    # a perfect sampler of a 2-D normal has 1 - exp(-4.5) of its points within three sigma
    assert (nearest < 3 * sigma).mean() == pytest.approx(0.9889, abs=0.002)


def test_ring_has_eight_different_centres_on_the_unit_circle():
    centres, sigma = toy_modes("ring")
    assert len(np.unique(centres.round(6), axis=0)) == 8
    assert np.linalg.norm(centres, axis=1) == pytest.approx(1)
    assert sigma == 0.01


def test_arcs_are_two_half_circles_of_equal_weight():
    points = toy_points("arcs", seed=0)
    assert points.shape == (10_000, 2)
    shares = arc_shares(points)
    assert shares["left"] == pytest.approx(0.5, abs=0.02)
    assert shares["left"] + shares["right"] == pytest.approx(1)
    assert shares["near"] > 0.99
    left = points[points[:, 0] < -2]
    assert left[:, 1].mean() == pytest.approx(10, abs=0.5)


def test_arc_shares_see_a_missing_arc_and_points_off_the_curve():
    points = toy_points("arcs", seed=1)
    assert arc_shares(points[points[:, 0] < 0])["right"] < 0.02
    assert arc_shares(np.full((5, 2), [-2.0, 10.0]))["near"] == 0


def test_points_are_fixed_by_the_seed():
    assert np.array_equal(toy_points("grid", 3, 50), toy_points("grid", 3, 50))
    assert not np.array_equal(toy_points("grid", 3, 50), toy_points("grid", 4, 50))


def test_unknown_toy_and_toy_without_modes_are_named():
    with pytest.raises(DataError, match="toy:ring"):
        toy_points("spiral", 0)
    with pytest.raises(DataError, match="two curves"):
        toy_modes("arcs")
