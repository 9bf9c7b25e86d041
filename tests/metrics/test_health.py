"""Measures of pictures whose health is known, because they were made that way."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
import torch
from PIL import Image

from gancli.metrics.clusters import cluster_change, fit_clusters, number_of_clusters, spread_over
from gancli.metrics.distances import (
    CopyFinder,
    count_distinct,
    double_share,
    effective_rank,
    leave_one_out,
    mean_distance,
)
from gancli.metrics.features import FeatureSpace, _Network, roughness, small_pixels, to_float
from gancli.metrics.fidelity import mmd_with_error
from gancli.metrics.health import HealthMonitor, Measures, discriminator_measures, nudge
from gancli.metrics.modes import count_modes, histogram_kl, kl_floor


def _pictures(count: int, seed: int, side: int = 16) -> torch.Tensor:
    """Blobs of random colour and place on a random ground: uint8 [count, 3, side, side]."""
    draw = np.random.RandomState(seed)
    grid = np.mgrid[0:side, 0:side].astype(np.float32) / side
    images = []
    for _ in range(count):
        place, width = draw.uniform(0.2, 0.8, (2, 1, 1)), draw.uniform(0.1, 0.3)
        blob = np.exp(-((grid - place) ** 2).sum(0) / (2 * width**2))
        ground, colour = draw.uniform(0, 255, (2, 3, 1, 1))
        images.append(ground + (colour - ground) * blob)
    return torch.from_numpy(np.stack(images)).round().to(torch.uint8)


REALS = _pictures(200, 0)
HELD_OUT = _pictures(60, 1)
FRESH = to_float(_pictures(300, 2))


MONITOR = HealthMonitor(REALS, HELD_OUT, seed=0, device="cpu", num_fakes=128)


def _measure(fakes: torch.Tensor, monitor: HealthMonitor | None = None) -> Measures:
    monitor = monitor or MONITOR
    return monitor.measure(lambda n, net: fakes[:n])


def _number(measures: Measures, name: str) -> float:
    value = measures[name]
    assert isinstance(value, float), name
    return value


def test_the_random_networks_never_change() -> None:
    features = FeatureSpace(REALS)(REALS[:2])
    assert features.shape == (2, 384)
    again = FeatureSpace(REALS)(REALS[:2])
    assert torch.equal(features, again)
    ramp = torch.linspace(-1, 1, 3 * 16 * 16).reshape(1, 3, 16, 16)
    means = [float(_Network(seed, 3, torch.device("cpu"))(ramp).mean()) for seed in (0, 1, 2)]
    assert means == pytest.approx([0.187133, 0.206704, 0.206985], rel=1e-4)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_features_take_grey_colour_and_alpha_of_any_shape(channels: int) -> None:
    images = torch.randint(0, 256, (12, channels, 20, 30), dtype=torch.uint8)
    features = FeatureSpace(images)(to_float(images))
    assert features.shape == (12, 384)
    assert torch.isfinite(features).all()


def test_features_of_equal_pictures_are_finite() -> None:
    images = torch.full((5, 3, 8, 8), 7, dtype=torch.uint8)
    assert torch.isfinite(FeatureSpace(images)(images)).all()


def test_white_noise_is_rough_and_a_ramp_is_not() -> None:
    noise = torch.randn(20, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    assert roughness(noise) == pytest.approx(2 / math.sqrt(math.pi), rel=0.03)
    ramp = torch.linspace(-1, 1, 64).expand(2, 1, 64, 64)
    assert roughness(ramp) < 0.05


def test_clusters_of_separate_groups_are_these_groups() -> None:
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0], [10.0, 10.0]])
    points = centres.repeat_interleave(50, 0) + 0.1 * torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    clusters = fit_clusters(points, 4, seed=3)
    assert clusters.shares.tolist() == [0.25] * 4
    half = clusters.histogram(points[:100])
    coverage, _, entropy, overlap = spread_over(clusters.shares, half)
    assert (coverage, overlap) == (0.5, 0.5)
    assert entropy == pytest.approx(math.log(2) / math.log(4))
    assert cluster_change(half, clusters.histogram(points[100:])) == 1
    assert cluster_change(half, half) == 0


def test_clusters_of_equal_points_do_not_fail() -> None:
    clusters = fit_clusters(torch.ones(6, 3), number_of_clusters(6), seed=0)
    assert float(clusters.shares.sum()) == 1
    assert spread_over(clusters.shares, clusters.histogram(torch.ones(9, 3)))[0] == 1


def test_distances_have_their_closed_forms() -> None:
    points = torch.tensor([[0.0], [1.0], [3.0], [3.1]])
    assert mean_distance(points) == pytest.approx((1 + 3 + 3.1 + 2 + 2.1 + 0.1) / 6)
    assert leave_one_out(points).tolist() == pytest.approx([1, 1, 0.1, 0.1], abs=1e-5)
    assert double_share(points, 1.0) == 0.5


def test_effective_rank_counts_equal_directions() -> None:
    points = torch.cat([torch.eye(6), -torch.eye(6)])
    rank, variance = effective_rank(points)
    assert rank == pytest.approx(6)
    assert effective_rank(points / 10, variance)[0] == pytest.approx(6 / 100)
    assert effective_rank(torch.ones(5, 3)) == (0, 0)


def test_copies_are_found_mirrored_and_noisy_and_new_pictures_are_none() -> None:
    space = FeatureSpace(REALS)
    finder = CopyFinder(space(REALS))
    assert finder.baseline < 0.05
    copied, distance, index = finder(space(REALS[5:9]))
    assert copied.all()
    assert index.tolist() == [5, 6, 7, 8]
    assert float(distance.max()) < 1e-2
    mirrored = to_float(REALS[5:9].flip(-1))
    assert finder(space(mirrored), space(mirrored.flip(-1)))[0].all()
    assert float(finder(space(FRESH))[0].double().mean()) < 0.05


def test_a_set_of_nearly_equal_pictures_has_copies_by_nature() -> None:
    line = torch.arange(0, 40.0)[:, None] ** 1.5
    assert CopyFinder(line.repeat(1, 3)).baseline < 0.2
    crowd = torch.cat([line, line + 1e-3])
    assert CopyFinder(crowd).baseline > 0.8


def test_fresh_pictures_of_the_same_kind_measure_like_the_reals() -> None:
    measures = _measure(FRESH)
    assert _number(measures, "diversity") == pytest.approx(1, abs=0.1)
    assert _number(measures, "coverage") > 0.9
    assert _number(measures, "near_duplicates") < 0.1
    assert _number(measures, "effective_rank") == pytest.approx(1, abs=0.2)
    assert _number(measures, "copies") < 0.05
    assert abs(_number(measures, "kid")) < 0.1
    assert _number(measures, "distance_to_reals") == pytest.approx(1, abs=0.2)


def test_a_constant_generator_has_nothing_of_it() -> None:
    measures = _measure(FRESH[:1].expand(300, -1, -1, -1))
    assert _number(measures, "diversity") < 0.01
    assert _number(measures, "near_duplicates") == 1
    assert _number(measures, "effective_rank") < 0.01
    assert _number(measures, "coverage") < 0.1


def test_a_copier_is_seen_by_its_copies_alone() -> None:
    measures = _measure(to_float(REALS))
    assert _number(measures, "copies") == 1
    assert _number(measures, "coverage") == 1
    assert _number(measures, "distance_to_reals") < 0.01


def _saved_anew(picture: torch.Tensor, quality: int) -> torch.Tensor:
    file = io.BytesIO()
    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)


def test_doubles_saved_anew_or_mirrored_count_once() -> None:
    twelve = _pictures(12, 7, side=32)
    files = torch.stack([_saved_anew(picture, quality) for picture in twelve for quality in (95, 80, 60)])
    assert count_distinct(files) == 12
    assert count_distinct(torch.cat([files, files.flip(-1)])) == 12
    assert HealthMonitor(files, None, seed=0, device="cpu", num_fakes=32).distinct_images == 12
    assert count_distinct(REALS) == 64
    assert count_distinct(REALS[:30]) == 30


def test_pictures_that_are_only_alike_are_distinct() -> None:
    draw = np.random.RandomState(3)
    one = to_float(REALS[:1])
    alike = one * torch.from_numpy(draw.normal(1, 0.1, (40, 1, 1, 1))).float()
    alike = ((alike + torch.from_numpy(draw.normal(0, 0.1, (40, 3, 1, 1))).float() + 1) * 127.5).clamp(0, 255)
    assert count_distinct(alike.to(torch.uint8)) >= 30


def test_the_errors_of_coverage_and_kernel_distance_are_those_of_drawing_the_fakes_anew() -> None:
    draw = np.random.RandomState(0)
    shares = torch.tensor([0.3, 0.2, 0.2, 0.2, 0.05, 0.05]).double()
    thin = shares * torch.tensor([1, 1, 1, 1, 0.25, 0.25]).double()
    spreads = [
        spread_over(shares, torch.from_numpy(draw.multinomial(160, (thin / thin.sum()).numpy()))) for _ in range(400)
    ]
    error = float(np.mean([s.coverage_error for s in spreads]))
    assert error == pytest.approx(float(np.std([s.coverage for s in spreads])), rel=0.35)
    reals = torch.from_numpy(draw.standard_normal((500, 8)))
    found = [mmd_with_error(torch.from_numpy(draw.standard_normal((80, 8))) + 0.3, reals) for _ in range(150)]
    spread = float(np.std([value for value, _ in found]))
    assert float(np.mean([error for _, error in found])) == pytest.approx(spread, rel=0.25)


def test_modes_that_move_show_as_change() -> None:
    monitor = HealthMonitor(REALS, None, seed=0, device="cpu", num_fakes=128)
    assert _measure(FRESH, monitor)["cluster_change"] is None
    assert _number(_measure(FRESH.flip(0), monitor), "cluster_change") < 0.35
    _measure(FRESH[:1].expand(300, -1, -1, -1), monitor)
    dark = FRESH[FRESH.mean((1, 2, 3)).argmin()].expand(300, -1, -1, -1)
    bright = FRESH[FRESH.mean((1, 2, 3)).argmax()].expand(300, -1, -1, -1)
    _measure(dark, monitor)
    assert _number(_measure(bright, monitor), "cluster_change") == 1


def test_a_resumed_monitor_sees_the_change_that_an_unbroken_one_sees() -> None:
    unbroken = HealthMonitor(REALS, None, seed=4, device="cpu", num_fakes=128)
    first = _measure(FRESH[:150], unbroken)
    second = _measure(FRESH[150:], unbroken)
    resumed = HealthMonitor(REALS, None, seed=4, device="cpu", num_fakes=128)
    resumed.continue_from([{"tick": 1, **first}])
    assert _measure(FRESH[150:], resumed) == second


def test_networks_that_give_no_numbers_are_reported_as_that() -> None:
    broken = FRESH.clone()
    broken[3] = math.nan
    measures = _measure(broken)
    assert _number(measures, "finite") < 1
    assert measures["diversity"] is None
    assert set(measures) == set(_measure(FRESH))


def test_every_measure_is_a_finite_number_a_list_or_none() -> None:
    monitor = HealthMonitor(REALS, HELD_OUT, seed=0, device="cpu", num_fakes=64)
    measures = monitor.measure(
        lambda n, net: FRESH[:n], lambda x: x.mean((1, 2, 3)), lambda n: (FRESH[:n], FRESH[1 : n + 1])
    )
    assert set(measures) == {"finite", *monitor.names}
    for name, value in measures.items():
        if name == "cluster_change":
            assert value is None
        elif name == "clusters":
            assert isinstance(value, list)
            assert sum(value) == 64
        else:
            assert isinstance(value, float)
            assert math.isfinite(value), name


def test_latent_sensitivity_is_the_diversity_of_a_linear_generator_and_0_without_latent() -> None:
    monitor = HealthMonitor(REALS, None, seed=0, device="cpu", num_fakes=64)
    draw = torch.Generator().manual_seed(0)
    z, other = torch.randn(64, 30, generator=draw), torch.randn(64, 30, generator=draw)
    basis = torch.linalg.qr(torch.randn(3 * 256, 30, generator=draw)).Q
    images = [(0.1 * (basis @ x.T).T).reshape(64, 3, 16, 16) for x in (z, nudge(z, other), other)]
    step = float((images[1] - images[0]).flatten(1).norm(dim=1).mean())
    whole = float((images[2] - images[0]).flatten(1).norm(dim=1).mean())
    assert step / whole == pytest.approx(0.25, rel=0.05)
    same = monitor.measure(lambda n, net: FRESH[:n], None, lambda n: (FRESH[:n], FRESH[:n]))
    assert _number(same, "latent_sensitivity") == 0


def test_the_gap_is_the_share_of_the_way_from_training_to_fake() -> None:
    train, held_out = torch.tensor([2.0, 2.2, 1.8] * 20), torch.tensor([0.5, 0.6, 0.4] * 20)
    measures = discriminator_measures(train, held_out, torch.tensor([-1.0] * 60))
    assert _number(measures, "d_gap") == pytest.approx(1.5 / 3)
    assert _number(measures, "d_gap_error") < 0.02
    assert _number(measures, "d_sign") == 1
    assert _number(measures, "d_order") == 1
    assert _number(discriminator_measures(train, None, train, lambda real, fake: real.mean()), "d_sign") == 0
    assert discriminator_measures(train, None, train)["d_gap"] is None


def test_the_gap_of_a_handful_of_held_out_pictures_is_less_sure_than_their_spread_says() -> None:
    train, fakes = torch.tensor([2.0, 2.2, 1.8] * 20), torch.tensor([-1.0] * 60)
    few = discriminator_measures(train, torch.tensor([0.5, 0.9, 0.1]), fakes)
    many = discriminator_measures(train, torch.tensor([0.5, 0.9, 0.1] * 20), fakes)
    assert _number(few, "d_gap") == pytest.approx(_number(many, "d_gap"))
    # three pictures have two degrees of freedom: 19.2 of Student's deviations instead of three, and a spread of .4
    assert _number(few, "d_gap_error") == pytest.approx(19.206 / 3 * (0.4**2 / 3 + 0.0271186 / 60) ** 0.5 / 3, rel=0.01)
    assert _number(many, "d_gap_error") < 0.03


RING = torch.tensor([[math.cos(i * math.pi / 4), math.sin(i * math.pi / 4)] for i in range(8)])


def test_a_perfect_ring_sampler_has_the_figures_of_theory() -> None:
    points = RING.repeat(500, 1) + 0.01 * torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
    figures = count_modes(points, RING, 0.01)
    assert figures["modes"] == 8
    assert figures["high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=0.006)
    assert figures["reverse_kl"] == pytest.approx(0, abs=2e-3)
    assert figures["mode_std"] == pytest.approx(0.95**0.5, abs=0.03)


def test_points_stuck_on_their_centres_have_no_spread() -> None:
    figures = count_modes(RING[:2].repeat(50, 1), RING, 0.01)
    assert (figures["modes"], figures["high_quality"], figures["mode_std"]) == (2, 1, 0)
    assert figures["reverse_kl"] == pytest.approx(math.log(4))
    assert count_modes(3 * RING, RING, 0.01)["reverse_kl"] is None


def test_the_kl_of_a_finite_sample_has_the_floor_that_is_stated() -> None:
    draw = torch.Generator().manual_seed(0)
    counts = [torch.bincount(torch.randint(1000, (26000,), generator=draw), minlength=1000) for _ in range(5)]
    assert sum(map(histogram_kl, counts)) / 5 == pytest.approx(kl_floor(1000, 26000), rel=0.1)


def test_points_are_measured_with_and_without_known_modes() -> None:
    draw = torch.Generator().manual_seed(0)
    reals = RING.repeat(300, 1) + 0.01 * torch.randn(2400, 2, generator=draw)
    known = HealthMonitor(reals, None, seed=0, device="cpu", centres=RING, sigma=0.01)
    measures = known.measure(lambda n, net: reals[torch.randint(2, (n,), generator=draw)])
    assert (measures["modes"], measures["coverage"]) == (2, 0.25)
    unknown = HealthMonitor(reals, None, seed=0, device="cpu")
    assert "modes" not in unknown.names
    fakes = RING.repeat(400, 1) + 0.01 * torch.randn(3200, 2, generator=draw)
    assert unknown.measure(lambda n, net: fakes[:n])["coverage"] == 1


def test_small_pixels_keep_a_blurred_picture_in_place() -> None:
    sharp = to_float(REALS[:50])
    blurred = torch.nn.functional.avg_pool2d(sharp, 2).repeat_interleave(2, -1).repeat_interleave(2, -2)
    assert float((small_pixels(sharp) - small_pixels(blurred)).abs().mean()) < 0.05
