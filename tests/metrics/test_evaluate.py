"""gan evaluate and gan score, on small runs and real files."""

from __future__ import annotations

import json
import math
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from gancli.errors import DataError, UsageError
from gancli.metrics import protocols
from gancli.metrics.evaluation import compare, evaluate_images, find_copies, wilson
from gancli.metrics.extractors import discriminator_extractor, inception_extractor, random_extractor
from gancli.metrics.protocols import pacgan_figures, stacked_figures, train_digit_classifier
from gancli.metrics.score import percentile, score_images, score_quantiles


@pytest.fixture(scope="module")
def run(make_run, photo_folder: Path) -> Path:
    quantiles = [i / 10 for i in range(101)]
    return make_run(data=str(photo_folder), score_quantiles=quantiles)


@pytest.fixture(scope="module")
def ring(make_run) -> Path:
    return make_run("vanilla", size=(0, 0), channels=2)


def _noise(n: int, seed: int, mean: float = 128, spread: float = 40) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    small = mean + spread * torch.randn(n, 3, 4, 4, generator=draw)
    return nn.functional.interpolate(small, (16, 16), mode="bilinear").clamp(0, 255).to(torch.uint8)


def test_every_figure_has_its_n_its_features_and_an_interval(gan, run: Path) -> None:
    answer = json.loads(gan("evaluate", run, "-n", 40))
    for name in ("coverage", "density", "kid", "precision", "recall", "memorisation", "modes"):
        figure = answer[name]
        assert (figure["n_fakes"], figure["n_reals"]) == (40, len(_split_of(run)))
        assert figure["features"] in ("random", "8 x 8 pixels")
        assert figure["low"] <= figure["value"] <= figure["high"]
    assert "fid" not in answer
    assert Path(answer["pairs"]).is_file()
    assert "n = 40" in gan.said


def _split_of(run: Path) -> list[int]:
    from gancli.data.dataset import open_training_set

    data = json.loads((run / "config.json").read_text())["config"]["data"]
    return open_training_set(data, size="32x32").train.tolist()


def test_a_run_compared_with_itself_is_neither_better_nor_worse(gan, run: Path) -> None:
    answer = json.loads(gan("evaluate", run, "-n", 30, "--metrics", "kid,precision", "--compare", run))
    assert set(answer["compare"]["first_minus_second"]) == {"kid", "precision"}
    for difference in answer["compare"]["first_minus_second"].values():
        assert difference["difference"] == 0
        assert difference["better"] == "neither"


def test_fid_on_other_features_is_refused(gan, run: Path) -> None:
    with pytest.raises(UsageError, match="Inception"):
        gan("evaluate", run, "--metrics", "fid")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--metrics", "quality"), "not known"),
        (("--features", "vgg"), "choose random"),
        (("--protocol", "ring"), "pacgan"),
        (("--protocol", "pacgan"), "toy:ring"),
        (("--protocol", "stacked-mnist"), "idx:FOLDER"),
        (("--inception", "x.pth"), "--features inception"),
        (("-n", "0"), "at least 1"),
    ],
)
def test_what_cannot_be_meant_is_said_before_work(gan, run: Path, words: tuple[str, ...], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        gan("evaluate", run, *words)


def test_three_pictures_are_too_few(gan, run: Path, tmp_path: Path, photo_folder: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for path in sorted(photo_folder.iterdir())[:3]:
        (few / path.name).write_bytes(path.read_bytes())
    with pytest.raises(DataError, match="3 real pictures are too few"):
        gan("evaluate", run, "--data", few, "-n", 30)


def test_data_that_is_gone_is_named(gan, make_run, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="--data"):
        gan("evaluate", make_run(data=str(tmp_path / "gone")), "-n", 30)


def test_a_toy_is_measured_by_the_pacgan_protocol(gan, ring: Path) -> None:
    answer = json.loads(gan("evaluate", ring))
    assert answer["modes"]["of"] == 8
    assert answer["modes"]["n_fakes"] == 2500
    assert 0 <= answer["high_quality"]["low"] <= answer["high_quality"]["high"] <= 1


@pytest.mark.parametrize(
    "words",
    [("--metrics", "kid"), ("--features", "inception"), ("--compare", "x"), ("--data", "toy:grid"), ("-o", "x.png")],
    ids=str,
)
def test_points_have_fixed_figures_and_refuse_what_would_be_ignored(gan, ring: Path, words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="has no meaning for 2-D points"):
        gan("evaluate", ring, *words)


def test_the_arcs_are_counted_with_intervals(gan, make_run) -> None:
    run = make_run("vanilla", size=(0, 0), channels=2, data="toy:arcs")
    answer = json.loads(gan("evaluate", run, "-n", 300))
    assert answer["left"]["value"] + answer["right"]["value"] == pytest.approx(1)
    for name in ("left", "right", "near"):
        assert 0 <= answer[name]["low"] <= answer[name]["value"] <= answer[name]["high"] <= 1
        assert answer[name]["n_fakes"] == 300
    with pytest.raises(DataError, match="two curves"):
        gan("evaluate", run, "--protocol", "pacgan")


def test_a_perfect_sampler_reaches_the_figures_that_are_called_perfect() -> None:
    centres = torch.cartesian_prod(torch.arange(-4.0, 5, 2), torch.arange(-4.0, 5, 2))
    draw = torch.Generator().manual_seed(0)
    points = centres.repeat(100, 1) + 0.05 * torch.randn(2500, 2, generator=draw)
    figures = pacgan_figures(points, centres, 0.05)
    assert figures["modes"]["value"] == 25
    assert figures["high_quality"]["low"] < figures["high_quality"]["perfect"] < figures["high_quality"]["high"]


def test_equal_distributions_measure_as_equal_and_others_do_not() -> None:
    reals, same, other = _noise(150, 0), _noise(150, 1), _noise(150, 2, mean=90, spread=20)
    extract = random_extractor(reals, device="cpu")
    metrics = ["coverage", "kid", "precision", "recall", "modes"]
    good = evaluate_images(reals, same, metrics=metrics, features="random", extract=extract).figures
    bad = evaluate_images(reals, other, metrics=metrics, features="random", extract=extract).figures
    assert good["kid"]["low"] < 0.05
    assert bad["kid"]["low"] > good["kid"]["high"]
    assert good["coverage"]["value"] > 0.85 > bad["coverage"]["value"]
    difference = compare(good, bad)
    assert difference["kid"]["better"] == difference["coverage"]["better"] == "first"


def test_copies_are_drawn_beside_their_originals() -> None:
    reals = _noise(60, 0)
    fakes = torch.cat([reals[7:9].flip(-1), _noise(30, 3)])
    share, pairs = find_copies(reals, fakes, shown=4)
    assert share == pytest.approx(2 / 32)
    assert torch.equal(pairs.nearest[:2].sum((1, 2, 3)).sort().values, reals[7:9].sum((1, 2, 3)).sort().values)
    assert pairs.distances == sorted(pairs.distances)


def test_wilson_intervals_have_their_closed_form() -> None:
    assert wilson(0.5, 100) == pytest.approx((0.5, 0.4038, 0.5962), abs=1e-4)
    assert wilson(0.0, 10).low == 0
    assert wilson(1.0, 10).high == 1


def test_the_discriminators_features_are_those_before_its_last_layer() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 256, 5), nn.ReLU(), nn.Linear(5, 1))
    images = _noise(3, 0)
    features = discriminator_extractor(network, device="cpu")(images)
    assert torch.allclose(features, network[:3](images.float() / 127.5 - 1))


# ---- Inception's weights ----------------------------------------------------------------------------------------


class _Attack:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("attacked"),))  # type: ignore[return-value]


def test_weights_that_would_run_code_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch_fidelity")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(_Attack()))
    torch.save({"fc.bias": _Attack()}, tmp_path / "evil2.pth")
    for name in ("evil.pth", "evil2.pth"):
        with pytest.raises(DataError, match="refused"):
            inception_extractor(tmp_path / name, device="cpu")
    assert not (tmp_path / "attacked").exists()


def test_files_that_are_not_inceptions_weights_are_named(tmp_path: Path) -> None:
    pytest.importorskip("torch_fidelity")
    (tmp_path / "text.pth").write_text("hello")
    torch.save({"conv.weight": torch.ones(2)}, tmp_path / "other.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    for name, said in (
        ("text.pth", "refused"),
        ("other.pth", "not those"),
        ("list.pth", "no table"),
        ("no.pth", "no file"),
    ):
        with pytest.raises(DataError, match=said):
            inception_extractor(tmp_path / name, device="cpu")


@pytest.mark.slow
def test_inception_features_are_those_of_torch_fidelity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip("torch_fidelity.feature_extractor_inceptionv3")
    drawn = _random_inception(module, monkeypatch)
    torch.save(drawn.state_dict(), tmp_path / "weights.pth")
    images = _noise(3, 0)
    features = inception_extractor(tmp_path / "weights.pth", device="cpu")(images)
    assert features.shape == (3, 2048)
    assert torch.equal(features, drawn(images)[0])


def _random_inception(module: object, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    make = module.FeatureExtractorInceptionV3  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setattr(make, "load_state_dict", lambda self, state: None)
        patch.setattr(module, "load_state_dict_from_url", lambda *a, **k: {})
        return make("random-inception", ["2048"])


# ---- stacked digits ---------------------------------------------------------------------------------------------


def _digits(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Ten shapes that a small network tells apart: bars at ten places, with noise."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(10, (n,), generator=draw)
    images = 40 * torch.rand(n, 1, 28, 28, generator=draw)
    for i, label in enumerate(labels.tolist()):
        images[i, 0, 2 + 2 * label : 5 + 2 * label, 4 : 14 + label] = 230
    return images.to(torch.uint8), labels


@pytest.mark.slow
def test_stacked_digits_are_counted_by_triples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocols, "_LEAST_STEPS", 150)
    images, labels = _digits(1200, 0)
    classifier, accuracy = train_digit_classifier(images, labels)
    assert accuracy > 0.97
    digits, known = _digits(900, 1)
    stacks = torch.stack([digits[:300, 0], digits[300:600, 0], digits[600:, 0]], 1)
    figures = stacked_figures(stacks, classifier, accuracy=accuracy)
    triples = {tuple(t) for t in torch.stack([known[:300], known[300:600], known[600:]], 1).tolist()}
    assert figures["modes"]["value"] == pytest.approx(len(triples), abs=6)
    one = stacked_figures(stacks[:1].expand(50, -1, -1, -1), classifier, accuracy=accuracy)
    assert one["modes"]["value"] == 1
    assert one["reverse_kl"]["value"] == pytest.approx(math.log(1000))


def test_stacked_digits_need_digits() -> None:
    with pytest.raises(DataError, match="idx:FOLDER"):
        train_digit_classifier(torch.zeros(10, 1, 28, 28, dtype=torch.uint8), torch.zeros(10, dtype=torch.int64))
    with pytest.raises(UsageError, match="three channels"):
        stacked_figures(torch.zeros(10, 1, 28, 28, dtype=torch.uint8), nn.Identity(), accuracy=1.0)


# ---- gan score --------------------------------------------------------------------------------------------------


def test_a_percentile_is_the_place_among_the_quantiles() -> None:
    quantiles = [float(i) for i in range(101)]
    assert percentile(-3.0, quantiles) == 0
    assert percentile(12.5, quantiles) == 12.5
    assert percentile(40.0, quantiles) == 40
    assert percentile(1e9, quantiles) == 100
    assert percentile(2.0, [2.0] * 101) == 50
    assert percentile(1.0, []) is None


def test_a_score_does_not_depend_on_its_neighbours() -> None:
    from gancli.models.layers import MinibatchDeviation

    network = nn.Sequential(nn.Conv2d(3, 2, 3), MinibatchDeviation(), nn.Flatten(), nn.Linear(3 * 14 * 14, 1))
    images = _noise(6, 0)
    together = score_images(network, images)
    assert float(together[2]) == pytest.approx(float(score_images(network, images[2:3])[0]), rel=1e-5)
    assert network.training
    assert network[1].group == 4


def test_training_images_score_from_0_to_100_percent() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * 256, 1))
    images = _noise(100, 0)
    quantiles = score_quantiles(network, images)
    places = [percentile(float(s), quantiles) for s in score_images(network, images)]
    assert (min(places), max(places)) == (0, 100)
    assert np.mean(places) == pytest.approx(50, abs=2)


def test_images_of_any_size_and_kind_get_a_line_each(gan, run: Path, tmp_path: Path) -> None:
    Image.new("L", (700, 90), 130).save(tmp_path / "wide.png")
    Image.new("RGBA", (5, 5), (0, 200, 0, 30)).save(tmp_path / "tiny.png")
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8" + struct.pack("8s", b"no"))
    lines = gan("score", run, tmp_path / "wide.png", tmp_path / "tiny.png", tmp_path / "broken.jpg").splitlines()
    found = [json.loads(line) for line in lines]
    assert [Path(f["path"]).name for f in found] == ["wide.png", "tiny.png"]
    assert all(math.isfinite(f["score"]) and 0 <= f["percentile"] <= 100 for f in found)
    assert "broken.jpg" in gan.said


def test_a_score_without_quantiles_has_no_percentile(gan, make_run, photo_folder: Path) -> None:
    run = make_run(data=str(photo_folder))
    line = json.loads(gan("score", run / "last.pt", sorted(photo_folder.iterdir())[0]))
    assert line["percentile"] is None
    assert "no percentile" in gan.said


def test_what_cannot_be_scored_is_said(gan, run: Path, ring: Path, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("no picture")
    with pytest.raises(DataError, match="None of the 1 file"):
        gan("score", run, tmp_path / "x.png")
    with pytest.raises(UsageError, match="2-D points"):
        gan("score", ring, tmp_path / "x.png")
    with pytest.raises(DataError, match="nothing at"):
        gan("score", run, tmp_path / "y.png")
    with pytest.raises(UsageError, match="after the run"):
        gan("score", run)
