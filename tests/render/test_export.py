from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gancli.cli.app import app
from gancli.errors import CheckpointError, GanError, MissingExtraError, UsageError
from gancli.models import export
from gancli.models.export import describe_export, export_safetensors, load_safetensors
from gancli.models.load import load_generator
from gancli.recipes import RECIPES
from gancli.render.generator import load

IMAGE_RECIPES = [name for name, recipe in RECIPES.items() if recipe.sizes != "points"]
needs_safetensors = pytest.mark.skipif(
    importlib.util.find_spec("safetensors") is None, reason="the export extra is not installed"
)
needs_onnx = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxscript", "onnxruntime")),
    reason="the export extra is not installed",
)


@needs_safetensors
@pytest.mark.parametrize(
    ("model", "channels"), [(name, 3) for name in IMAGE_RECIPES] + [("vanilla", 1), ("wgan-gp", 4)]
)
def test_safetensors_carry_weights_and_facts(make_run, tmp_path: Path, model: str, channels: int) -> None:
    run = make_run(model, channels=channels)
    export_safetensors(load_generator(run), tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors", device="cpu")
    assert again.config == load_generator(run).config
    assert np.array_equal(again.sample(range(3)), load(run, device="cpu").sample(range(3)))
    facts = describe_export(tmp_path / "m.safetensors")
    assert facts["recipe"] == model
    assert facts["kimg"] == 1.0


@needs_safetensors
def test_safetensors_load_in_a_process_without_gancli(make_run, tmp_path: Path) -> None:
    export_safetensors(load_generator(make_run("dcgan")), tmp_path / "m.safetensors")
    code = (
        "import sys; from safetensors.numpy import load_file; w = load_file(sys.argv[1]);"
        "assert 'gancli' not in sys.modules; print(sum(v.size for v in w.values()))"
    )
    said = subprocess.run(
        [sys.executable, "-I", "-c", code, str(tmp_path / "m.safetensors")], capture_output=True, text=True, check=True
    )
    module = load_generator(make_run("dcgan")).module
    assert int(said.stdout) == sum(t.numel() for t in module.state_dict().values())


@needs_safetensors
def test_a_damaged_or_foreign_file_is_refused(make_run, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "m.safetensors"
    path.write_bytes(b"nonsense")
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    export_safetensors(load_generator(make_run("dcgan")), tmp_path / "whole.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "whole.safetensors").read_bytes()[:5000])
    for name in ("m", "foreign", "cut"):
        with pytest.raises(CheckpointError, match=f"{name}.safetensors"):
            load_safetensors(tmp_path / f"{name}.safetensors")
    for name in ("m", "foreign"):
        with pytest.raises(CheckpointError, match=f"{name}.safetensors"):
            describe_export(tmp_path / f"{name}.safetensors")


@needs_safetensors
def test_the_card_says_what_it_is_where_it_came_from_and_how_to_load_it(
    make_run, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    run = make_run("dcgan")
    (run / "verdict.json").write_text(json.dumps({"verdict": "healthy", "evidence": "covers <b>all</b>"}))
    app(["export", str(run), "-o", str(tmp_path / "out")], standalone_mode=False)
    folder = Path(capfd.readouterr().out.strip())
    assert {p.name for p in folder.iterdir()} == {"model.safetensors", "README.md", "samples.png"}
    card = (folder / "README.md").read_text()
    for text in ("dcgan", "Radford", "32x32", "**healthy**", "samples.png", "gancli.load", "licences are not recorded"):
        assert text in card
    assert "<b>" not in card
    assert np.array_equal(load(folder, device="cpu").sample([3]), load(run, device="cpu").sample([3]))
    for path in (folder, folder / "model.safetensors"):
        app(["info", str(path), "--json"], standalone_mode=False)
        assert json.loads(capfd.readouterr().out)["kind"] == "exported generator (safetensors)"


@needs_onnx
@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "channels", "classes"),
    [(name, 3, 0) for name in IMAGE_RECIPES] + [("vanilla", 1, 0), ("dcgan", 4, 0), ("dcgan", 3, 3), ("fastgan", 1, 2)],
)
def test_onnx_equals_torch_in_a_process_without_gancli(
    make_run, tmp_path: Path, model: str, channels: int, classes: int
) -> None:
    from gancli.models.export import export_onnx

    loaded = load_generator(make_run(model, channels=channels, classes=classes))
    assert export_onnx(loaded, tmp_path / "m.onnx") <= 1e-4
    assert describe_export(tmp_path / "m.onnx")["recipe"] == model
    z = torch.randn(7, loaded.config.latent_dim, generator=torch.Generator().manual_seed(9))
    labels = torch.arange(7) % classes if classes else None
    np.savez(tmp_path / "in.npz", z=z.numpy(), **({} if labels is None else {"labels": labels.numpy()}))
    code = (
        "import sys, numpy as np, onnxruntime as o; s = o.InferenceSession(sys.argv[1]);"
        "np.save(sys.argv[3], s.run(None, dict(np.load(sys.argv[2])))[0]); assert 'gancli' not in sys.modules"
    )
    names = [str(tmp_path / name) for name in ("m.onnx", "in.npz", "out.npy")]
    subprocess.run([sys.executable, "-I", "-c", code, *names], check=True)
    with torch.inference_mode():
        expected = loaded.module(z, labels).clamp(-1, 1).numpy()
    assert np.abs(np.load(tmp_path / "out.npy") - expected).max() < 1e-4


def test_without_the_extra_it_is_said_before_a_model_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    for kind in ("onnx", "safetensors"):
        with pytest.raises(MissingExtraError, match=r"gancli\[export\]"):
            export.check_extra(kind)


@pytest.mark.parametrize("words", [["--to", "pickle"], ["--to", "onnx", "-o", "x.safetensors"]])
def test_an_unknown_format_is_wrong_usage(words: list[str]) -> None:
    with pytest.raises(UsageError):
        app(["export", "run", *words], standalone_mode=False)


@needs_safetensors
def test_a_toy_and_an_existing_file_are_refused(make_run, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="toy"):
        app(["export", str(make_run("vanilla", size=(0, 0), channels=2))], standalone_mode=False)
    (tmp_path / "x.safetensors").write_text("mine")
    with pytest.raises(GanError, match="--force"):
        app(["export", "run", "-o", str(tmp_path / "x.safetensors")], standalone_mode=False)
    assert (tmp_path / "x.safetensors").read_text() == "mine"
