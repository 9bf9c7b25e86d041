"""A generator for other programs: safetensors and ONNX, each with what it is and where it came from inside.

Both carry the same facts as text: recipe, config, position, data card. Reading them runs no code.
"""

from __future__ import annotations

import contextlib
import io
import json
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gancli.config import TrainConfig
from gancli.errors import CheckpointError, ConfigError, MissingExtraError, UsageError
from gancli.files import atomic_file
from gancli.models.devices import pick_device
from gancli.models.load import LoadedGenerator
from gancli.models.registry import build_networks, network_spec
from gancli.text import clean

__all__ = ["FORMATS", "check_extra", "describe_export", "export_onnx", "export_safetensors", "load_safetensors"]

FORMATS = {"safetensors": ("safetensors",), "onnx": ("onnx", "onnxscript", "onnxruntime")}
_TOLERANCE = 1e-4
_MAX_HEADER = 10_000_000


def check_extra(kind: str) -> None:
    """Are the packages for `kind` here? Raises `MissingExtraError`, or `UsageError` for another kind."""
    if kind not in FORMATS:
        raise UsageError(f"--to '{clean(kind, 40)}': choose onnx or safetensors.")
    if any(find_spec(name) is None for name in FORMATS[kind]):
        raise MissingExtraError(f"Exporting to {kind}", "export")


def export_safetensors(loaded: LoadedGenerator, path: Path) -> None:
    """Writes the generator's weights and facts to `path`. Raises `MissingExtraError`, `DiskError`."""
    check_extra("safetensors")
    from safetensors.torch import save

    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in loaded.module.state_dict().items()}
    data = save(tensors, metadata=_facts(loaded))
    with atomic_file(path) as file:
        file.write(data)


def load_safetensors(path: Path, *, device: str = "cpu") -> LoadedGenerator:
    """The generator in a file that `export_safetensors` wrote. Raises `CheckpointError` saying what is wrong."""
    check_extra("safetensors")
    from safetensors import SafetensorError, safe_open

    where = pick_device(device)
    try:
        with safe_open(path, framework="pt") as file:
            facts = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
        config = TrainConfig.from_dict(json.loads(facts["config"]))
        card, nimg = json.loads(facts["data_card"]), int(facts["nimg"])
    except (OSError, SafetensorError, KeyError, ValueError, ConfigError) as error:
        raise CheckpointError(f"'{clean(path)}' is no generator that gan exported ({clean(error, 160)}).") from error
    with torch.random.fork_rng(devices=[]):
        module = build_networks(config.networks, network_spec(config)).generator
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise CheckpointError(f"'{clean(path)}': its weights do not fit its own config.") from error
    return LoadedGenerator(
        module=module.requires_grad_(False).eval().to(where),
        config=config,
        path=path,
        nimg=nimg,
        device=where,
        data_card=card if isinstance(card, dict) else {},
        net=facts.get("net", "ema"),
        extra={},
    )


def export_onnx(loaded: LoadedGenerator, path: Path) -> float:
    """Writes the generator as an ONNX graph: `z` fp32 [N, latent_dim] (and `labels` int64 [N]) to `images`.

    `images` are fp32 [N, C, H, W] in [-1, 1]; N is free. The file is run in onnxruntime and compared with torch before
    it gets its name. Returns the largest difference. Raises `CheckpointError` when that is above 1e-4.
    """
    check_extra("onnx")
    import onnx

    wrapped = _Clamped(loaded.module).eval().cpu()
    try:
        graph = _graph(wrapped, loaded.config)
    finally:
        loaded.module.to(loaded.device)
    for name, value in _facts(loaded).items():
        graph.metadata_props.append(onnx.StringStringEntryProto(key=name, value=value))
    data = graph.SerializeToString()
    difference = _largest_difference(loaded, data)
    if not difference <= _TOLERANCE:
        raise CheckpointError(
            f"'{clean(loaded.path)}' as ONNX differs from torch by {difference:.2g}, "
            f"and at most {_TOLERANCE:g} is allowed; nothing was written."
        )
    with atomic_file(path) as file:
        file.write(data)
    return difference


def describe_export(path: Path) -> dict[str, Any]:
    """What an exported file (or the folder it lies in) is: format, recipe, config, kimg, data. Reads its facts alone.

    Raises `CheckpointError` when it is no export of ours.
    """
    if path.is_dir():
        found = [path / name for name in ("model.safetensors", "model.onnx") if (path / name).is_file()]
        if not found:
            raise CheckpointError(f"'{clean(path)}' holds no model.safetensors and no model.onnx.")
        path = found[0]
    try:
        facts = _onnx_facts(path) if path.suffix == ".onnx" else _safetensors_facts(path)
        return {
            "kind": f"exported generator ({path.suffix[1:]})",
            "path": str(path),
            "recipe": facts["recipe"],
            "kimg": int(facts["nimg"]) / 1000,
            "net": facts["net"],
            "config": TrainConfig.from_dict(json.loads(facts["config"])).to_dict(),
            "data": json.loads(facts["data_card"]),
        }
    except (OSError, KeyError, ValueError, ConfigError) as error:
        raise CheckpointError(f"'{clean(path)}' is no generator that gan exported ({clean(error, 160)}).") from error


class _Clamped(nn.Module):
    """Some recipes end without tanh; what leaves the house is in [-1, 1] as the card says."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        images: Tensor = self.module(z, labels)
        return images.clamp(-1, 1)


def _graph(module: nn.Module, config: TrainConfig) -> Any:
    """The ONNX model of `module` with a free batch dimension."""
    batch = torch.export.Dim("batch")
    inputs: tuple[Tensor, ...] = (torch.zeros(2, config.latent_dim),)
    shapes: tuple[dict[int, Any], ...] = ({0: batch},)
    names = ["z"]
    if config.num_classes:
        inputs, shapes, names = (*inputs, torch.zeros(2, dtype=torch.int64)), (*shapes, {0: batch}), ["z", "labels"]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            inputs,
            input_names=names,
            output_names=["images"],
            dynamic_shapes=shapes,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def _largest_difference(loaded: LoadedGenerator, data: bytes) -> float:
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    largest = 0.0
    for count in (1, 5):
        z = torch.randn(count, loaded.config.latent_dim, generator=torch.Generator().manual_seed(count))
        labels = torch.arange(count) % loaded.config.num_classes if loaded.config.num_classes else None
        feed = {"z": z.numpy()} | ({} if labels is None else {"labels": labels.numpy()})
        with torch.inference_mode():
            own = labels if labels is None else labels.to(loaded.device)
            expected = loaded.module(z.to(loaded.device), own).clamp(-1, 1).cpu().numpy()
        largest = max(largest, float(np.abs(session.run(None, feed)[0] - expected).max()))
    return largest


def _facts(loaded: LoadedGenerator) -> dict[str, str]:
    return {
        "format": "gancli",
        "recipe": loaded.config.recipe,
        "config": json.dumps(loaded.config.to_dict()),
        "nimg": str(loaded.nimg),
        "net": loaded.net,
        "data_card": json.dumps(loaded.data_card),
    }


def _safetensors_facts(path: Path) -> dict[str, str]:
    """The text in the header: a little-endian length, then JSON (the safetensors format)."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= _MAX_HEADER:
            raise ValueError("not a safetensors file")
        header = json.loads(file.read(length))
    return dict(_texts(header.get("__metadata__", {}).items()))


def _onnx_facts(path: Path) -> dict[str, str]:
    if find_spec("onnx") is None:
        raise MissingExtraError("Reading an .onnx", "export")
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError as error:
        raise ValueError("not an ONNX file") from error
    return dict(_texts((entry.key, entry.value) for entry in model.metadata_props))


def _texts(pairs: Any) -> Iterator[tuple[str, str]]:
    for name, value in pairs:
        if isinstance(name, str) and isinstance(value, str):
            yield name, value
