from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gancli.cli.app import app
from gancli.errors import CheckpointError, DataError, GanError, UsageError
from gancli.render.generator import load


class Gan:
    """Runs a command in this process; gives the last line of stdout."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self.capfd = capfd
        self.said = ""

    def __call__(self, *words: object) -> str:
        app([str(word) for word in words], standalone_mode=False)
        out, self.said = self.capfd.readouterr()
        assert out.count("\n") == 1
        return out.strip()


@pytest.fixture
def gan(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Gan:
    monkeypatch.chdir(tmp_path)
    return Gan(capfd)


@pytest.fixture(scope="module")
def run(make_run) -> Path:
    run = make_run("dcgan")
    (run / "samples").mkdir()
    rows = []
    for tick in range(4):
        nimg = tick * 2500
        Image.new("RGB", (34, 34), (60 * tick, 0, 0)).save(run / "samples" / f"fixed-{nimg:010d}.png")
        rows.append(json.dumps({"nimg": nimg, "epoch": nimg / 100}))
    (run / "log.jsonl").write_text("\n".join(rows) + "\n")
    return run


@pytest.fixture(scope="module")
def toy(make_run) -> Path:
    return make_run("vanilla", size=(0, 0), channels=2)


def test_the_sheet_of_a_run_is_of_its_size_its_flip_and_its_chance(gan: Gan, photo_folder: Path) -> None:
    few = ("--kimg", 0.032, "--width", 16, "--batch", 8, "--size", 16, "--device", "cpu", "--seed", 3, "--no-flip")
    run = gan("train", photo_folder, "--model", "dcgan", "--augment", "ada", *few)
    sheets = {}
    for policy in ("ada", "none", "photo"):
        sheets[policy] = np.asarray(Image.open(gan("info", run, "--augment", policy, "-o", f"{policy}.png")))
        assert ("not risen from 0" in gan.said) == (policy == "ada")
        assert ("--augment ada" in gan.said) == (policy != "ada")
    pitch = 16 + 2
    assert sheets["none"].shape == (6 * pitch + 2, 8 * pitch + 2, 3)
    assert np.array_equal(sheets["none"][:, :-pitch], sheets["none"][:, pitch:])  # every draw is the real itself
    assert not np.array_equal(sheets["ada"][:, :-pitch], sheets["ada"][:, pitch:])
    assert not np.array_equal(sheets["ada"], sheets["photo"])
    assert Path(gan("info", Path(run) / "last.pt", "--augment", "photo", "-o", "of-a-checkpoint.png")).is_file()
    for words in (("--augment", "ada", "--size", 32), ("--size", 32), ("-o", "x.png"), ("--force",)):
        with pytest.raises(UsageError, match=r"--size|--out|--force"):
            gan("info", run, *words)


def test_sample_writes_one_file_a_seed_and_a_grid_beside_the_run(gan: Gan, run: Path) -> None:
    folder = Path(gan("sample", run, "--seeds", "7,0-2"))
    assert folder.parent == run.parent
    assert sorted(p.name for p in folder.iterdir()) == [
        "grid.png",
        *(f"seed{seed:06d}.png" for seed in (0, 1, 2, 7)),
    ]
    shown = np.asarray(Image.open(folder / "seed000007.png"))
    assert np.array_equal(shown, load(run, device="cpu").sample([7])[0])
    assert Path(gan("sample", run, "-n", 1)).name == f"{folder.name}-2"


def test_sample_formats_hold_the_same_pixels(gan: Gan, run: Path) -> None:
    made = json.loads(gan("sample", run, "-n", 3, "--format", "npy", "-o", "a", "--no-grid", "--json"))
    array = np.load(Path(made["path"]) / "samples.npy")
    assert made["num_images"] == 3
    assert array.shape == (3, 32, 32, 3)
    gan("sample", run, "-n", 3, "--format", "webp", "-o", "b", "--captions")
    for seed in range(3):
        assert np.array_equal(np.asarray(Image.open(f"b/seed{seed:06d}.webp")), array[seed])
    assert not Path("a/grid.png").exists()


def test_the_best_are_those_the_discriminator_likes_best(gan: Gan, run: Path) -> None:
    import torch

    from gancli.models.load import load_discriminator
    from gancli.render.best import from_uint8

    folder = Path(gan("sample", run, "--best", 3, "--of", 20, "-o", "best"))
    pictures = load(run, device="cpu").sample(range(20))
    judge = load_discriminator(run, device="cpu")
    with torch.inference_mode():
        scores = [judge(from_uint8(torch.tensor(np.asarray(p[None]))), None).item() for p in pictures]
    expected = {f"seed{seed:06d}.png" for seed in np.argsort(scores)[-3:]}
    assert {p.name for p in folder.iterdir()} == expected | {"grid.png"}


def test_a_toy_gives_one_array_of_points_and_nothing_else(gan: Gan, toy: Path) -> None:
    folder = Path(gan("sample", toy, "-n", 50, "-o", "points"))
    assert np.load(folder / "points.npy").shape == (50, 2)
    assert np.load(gan("sample", toy, "--seeds", "3,1", "--format", "npy", "-o", "p.npy")).shape == (2, 2)
    with pytest.raises(UsageError, match="npy"):
        gan("sample", toy, "--format", "png")
    with pytest.raises(CheckpointError, match="toy"):
        gan("interpolate", toy)


def test_interpolate_then_gif_is_a_closed_moving_picture(gan: Gan, run: Path) -> None:
    folder = gan("interpolate", run, "--frames", 4)
    assert "derived from the run" in gan.said
    assert "largest/mean" in gan.said
    assert len(list(Path(folder).glob("frame*.png"))) == 12
    made = json.loads(gan("gif", folder, "--json"))
    assert made["path"] == f"{folder}.gif"
    assert made["num_frames"] == 12
    with Image.open(made["path"]) as image:
        assert image.n_frames == 12
        assert image.info["loop"] == 0


def test_interpolate_makes_the_moving_picture_directly(gan: Gan, run: Path) -> None:
    made = json.loads(
        gan("interpolate", run, "--seeds", "1,2", "--frames", 5, "--no-loop", "--even", "-o", "x.gif", "--json")
    )
    assert made["num_frames"] == 6
    with Image.open("x.gif") as image:
        assert "loop" not in image.info
    with pytest.raises(GanError, match="--force"):
        gan("interpolate", run, "-o", "x.gif")
    gan("interpolate", run, "--frames", 2, "-o", "x.gif", "--force")


def test_a_strip_is_one_picture(gan: Gan, run: Path) -> None:
    with Image.open(gan("interpolate", run, "--seeds", "1-3", "--strip", 5)) as image:
        assert image.size == (5 * 98 + 2, 100)


def test_a_run_gives_the_timelapse_of_its_training(gan: Gan, run: Path) -> None:
    path = gan("gif", run, "--caption", "--hold", 1)
    assert Path(path).name == "dcgan-test-timelapse.gif"
    with Image.open(path) as image:
        assert image.n_frames == 4
        delays = []
        for index in range(4):
            image.seek(index)
            delays.append(image.info["duration"])
            assert abs(int(np.asarray(image.convert("RGB"))[10, 10, 0]) - 60 * index) < 16
        assert delays == [50, 50, 50, 1050]
        assert image.height > 34


def test_duration_boomerang_size_and_number_are_kept(gan: Gan, run: Path) -> None:
    made = json.loads(gan("gif", run, "--boomerang", "--duration", 2, "--size", 68, "-o", "b.webp", "--json"))
    assert made["num_frames"] == 6
    assert made["seconds"] == pytest.approx(2)
    assert (made["width"], made["height"]) == (68, 68)
    made = json.loads(gan("gif", run, "--fps", 10, "--duration", 2, "--hold", 0, "-o", "c.gif", "--json"))
    assert (made["num_frames"], made["seconds"]) == (20, pytest.approx(2))
    made = json.loads(gan("gif", run, "--frames", 3, "--spacing", "log", "--hold", 0, "-o", "d.gif", "--json"))
    assert made["num_frames"] == 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sample", "--seeds", "x"], "no seed"),
        (["sample", "-n", "0"], "at least 1"),
        (["sample", "-n", "3", "--seeds", "1"], "either"),
        (["sample", "--of", "3"], "--best"),
        (["sample", "--best", "9", "--of", "3"], "choose from 1 to 3"),
        (["sample", "--class", "1"], "no classes"),
        (["sample", "--class", "rock"], "not a class"),
        (["sample", "--truncation", "9"], "out of range"),
        (["sample", "--format", "bmp"], "png, webp or npy"),
        (["sample", "--net", "x"], "ema"),
        (["interpolate", "--seeds", "3"], "two seeds"),
        (["interpolate", "--frames", "0"], "at least 1"),
        (["interpolate", "--mode", "x"], "slerp or lerp"),
        (["interpolate", "--even", "--easing", "smooth"], "contradict"),
        (["interpolate", "--grid", "2x2", "--seeds", "1-5"], "evenly"),
        (["interpolate", "--grid", "x"], "rows x columns"),
        (["interpolate", "--strip", "1"], "at least 2"),
        (["gif", "--fps", "0"], "frames a second"),
        (["gif", "--fps", "60"], "frames a second"),
        (["gif", "--max-mb", "0"], "more than 0"),
        (["gif", "--duration", "-1"], "more than 0"),
        (["gif", "-o", "x.avi"], "must end in"),
        (["gif", "--spacing", "x"], "even or log"),
    ],
)
def test_wrong_usage_is_one_clear_sentence(gan: Gan, run: Path, words: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        gan(words[0], run, *words[1:])
    assert gan.capfd.readouterr().out == ""


def test_an_existing_folder_is_never_replaced(gan: Gan, run: Path) -> None:
    Path("full").mkdir()
    Path("full/mine.txt").write_text("mine")
    for command in ("sample", "interpolate"):
        with pytest.raises(GanError, match="not empty"):
            gan(command, run, "-o", "full")


def test_a_folder_without_pictures_is_named(gan: Gan) -> None:
    Path("none").mkdir()
    with pytest.raises(DataError, match="none"):
        gan("gif", "none")
    with pytest.raises(DataError, match="missing"):
        gan("gif", "missing")
