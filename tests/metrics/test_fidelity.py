"""Two-sample figures against closed forms and against the references that people cite."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from gancli.metrics.fidelity import (
    density_coverage,
    frechet_distance,
    kernel_distance,
    mmd_squared,
    precision_recall,
)


def _normal(seed: int, n: int, d: int = 8) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def _with_moments(points: torch.Tensor, mean: torch.Tensor, deviation: torch.Tensor) -> torch.Tensor:
    """Points with exactly this mean and diagonal covariance."""
    centred = (points - points.mean(0)).double()
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(torch.cov(centred.T)), centred.T, upper=False).T
    return white * deviation + mean


def test_frechet_distance_of_two_known_gaussians() -> None:
    first = _with_moments(_normal(0, 500, 3), torch.zeros(3), torch.tensor([1.0, 2.0, 3.0]))
    second = _with_moments(_normal(1, 400, 3), torch.tensor([1.0, 0.0, -2.0]), torch.tensor([2.0, 2.0, 1.0]))
    assert frechet_distance(first, second) == pytest.approx(5 + (1 + 0 + 4), rel=1e-6)


def test_frechet_distance_to_itself_is_zero_even_with_fewer_points_than_dimensions() -> None:
    points = _normal(0, 10, 50)
    assert frechet_distance(points, points) == pytest.approx(0, abs=1e-5)


def test_kernel_distance_is_unbiased_over_repeats() -> None:
    values = [mmd_squared(_normal(2 * i, 60), _normal(2 * i + 1, 60)) for i in range(150)]
    mean, error = float(np.mean(values)), float(np.std(values)) / math.sqrt(len(values))
    assert abs(mean) < 3 * error
    assert min(values) < 0 < max(values)


def test_kernel_distance_of_shifted_points_is_outside_the_interval_of_equal_ones() -> None:
    same, _ = kernel_distance(_normal(0, 400), _normal(1, 400), subset_size=200)
    moved, _ = kernel_distance(_normal(0, 400), _normal(1, 400) + 1, subset_size=200)
    assert same.low < 0 < same.high
    assert moved.low > same.high


def test_coverage_of_two_samples_of_one_distribution_is_that_of_theory() -> None:
    density, coverage = density_coverage(_normal(0, 2000, 4), _normal(1, 2000, 4), k=5)
    assert coverage == pytest.approx(1 - 2**-5, abs=0.012)
    assert density == pytest.approx(1, abs=0.05)


def test_a_collapsed_sample_covers_little_and_is_precise() -> None:
    reals = _normal(0, 500)
    fakes = reals[:1] + 1e-3 * _normal(1, 500)
    assert density_coverage(reals, fakes)[1] < 0.05
    precision, recall = precision_recall(reals, fakes)
    assert precision == 1
    assert recall < 0.05


def test_density_and_coverage_agree_with_prdc() -> None:
    prdc = pytest.importorskip("prdc")
    reals, fakes = _normal(0, 300), 0.8 * _normal(1, 250) + 0.3
    theirs = prdc.compute_prdc(reals.double().numpy(), fakes.double().numpy(), nearest_k=5)
    density, coverage = density_coverage(reals, fakes, k=5)
    assert density == pytest.approx(theirs["density"], rel=1e-6)
    assert coverage == pytest.approx(theirs["coverage"], rel=1e-6)
    precision, recall = precision_recall(reals, fakes, k=5)
    assert precision == pytest.approx(theirs["precision"], rel=1e-6)
    assert recall == pytest.approx(theirs["recall"], rel=1e-6)


def test_frechet_kernel_precision_and_recall_agree_with_torch_fidelity() -> None:
    pytest.importorskip("torch_fidelity")
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    reals, fakes = _normal(0, 400, 16), 0.9 * _normal(1, 300, 16) + 0.2
    theirs = fid_statistics_to_metric(fid_features_to_statistics(fakes), fid_features_to_statistics(reals), False)
    assert frechet_distance(fakes, reals) == pytest.approx(theirs["frechet_inception_distance"], rel=1e-3)
    ours, deviation = kernel_distance(fakes, reals, subsets=50, subset_size=100)
    kid = kid_features_to_metric(fakes, reals, kid_subsets=50, kid_subset_size=100, verbose=False, rng_seed=2020)
    assert ours.value == pytest.approx(kid["kernel_inception_distance_mean"], rel=1e-3)
    assert deviation == pytest.approx(kid["kernel_inception_distance_std"], rel=1e-3)
    prc = prc_features_to_metric(
        fakes, reals, prc_neighborhood=3, prc_batch_size=1000, verbose=False, save_cpu_ram=True
    )
    precision, recall = precision_recall(reals, fakes, k=3)
    assert precision == pytest.approx(prc["precision"], rel=1e-3)
    assert recall == pytest.approx(prc["recall"], rel=1e-3)
