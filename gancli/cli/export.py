"""gan export: the generator for other programs, with a model card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gancli.cli.inputs import RUN, input_path
from gancli.cli.options import DeviceOption, ForceOption, JsonOption, OutOption, QuietOption, VerboseOption
from gancli.cli.output import Output
from gancli.cli.places import beside, output_file, output_folder
from gancli.cli.sample import NetOption, RunArgument
from gancli.errors import UsageError
from gancli.text import clean

__all__ = ["export"]


def export(
    source: RunArgument = None,
    to: Annotated[str, typer.Option("--to", metavar="onnx|safetensors", help="The format.")] = "safetensors",
    net: NetOption = "ema",
    device: DeviceOption = "cpu",
    out: OutOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """A folder with the generator, a sample grid and a model card (README.md); -o x.onnx: that file alone."""
    output = Output(json=json, quiet=quiet, verbose=verbose)
    _check(to, out, force)
    path = input_path(source, RUN, output)
    from gancli.images import write_png
    from gancli.models.export import check_extra, export_onnx, export_safetensors
    from gancli.render.card import write_card
    from gancli.render.generator import load
    from gancli.render.grid import looking_scale, make_grid

    check_extra(to)
    generator = load(str(path), net=net, device=device)
    generator.need_images("An export")
    if out is not None and out.suffix:
        folder, model = None, output_file(out, out, force=force)
    else:
        folder = output_folder(out, beside(generator.path, f"-{to}"))
        model = folder / f"model.{to}"
    figures: dict[str, object] = {"format": to, "recipe": generator.config.recipe, "model": str(model)}
    if to == "onnx":
        output.note("writing the graph and comparing it with torch in onnxruntime …")
        figures["largest_difference"] = export_onnx(generator.loaded, model)
        output.note(f"largest difference to torch: {figures['largest_difference']:.2g} (range -1 to 1)")
    else:
        export_safetensors(generator.loaded, model)
    if folder is not None:
        grid = make_grid(generator.sample(range(16)), columns=4, scale=looking_scale(*generator.size))
        write_png(folder / "samples.png", grid)
        write_card(generator.loaded, model, folder / "README.md", picture="samples.png")
    output.artefact(folder or model, **figures)


def _check(to: str, out: Path | None, force: bool) -> None:
    """What can be known to be wrong before a model is read."""
    if to not in ("onnx", "safetensors"):
        raise UsageError(f"--to '{clean(to, 40)}': choose onnx or safetensors.")
    if out is not None and out.suffix:
        if out.suffix != f".{to}":
            raise UsageError(
                f"-o '{clean(out)}': with --to {to} the name of a file ends in .{to}; a folder has no ending."
            )
        output_file(out, out, force=force)
