"""gan explore: a local page with seeds, sliders along the main directions, and what is kept saved."""

from __future__ import annotations

from typing import Annotated

import typer

from gancli.cli.inputs import RUN, input_path
from gancli.cli.options import DeviceOption, JsonOption, OutOption, QuietOption, VerboseOption
from gancli.cli.output import Output
from gancli.cli.places import beside
from gancli.cli.sample import NetOption, RunArgument
from gancli.text import clean

__all__ = ["explore"]


def explore(
    source: RunArgument = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="The page's port; 0: any free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Print the address, open no browser.")] = False,
    net: NetOption = "ema",
    device: DeviceOption = "auto",
    out: OutOption = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
) -> None:
    """A local page: seeds, sliders along the main directions, truncation; save seeds or a walk."""
    output = Output(json=json, quiet=quiet, verbose=verbose)
    from gancli.web import require_web

    require_web("The explore page")
    path = input_path(source, RUN, output)
    from gancli.render.explore import Explorer, open_explorer
    from gancli.render.generator import load

    generator = load(str(path), net=net, device=device)
    generator.need_images("Exploring")
    output.note("finding the main directions …")
    explorer = Explorer(generator, out or beside(generator.path, "-explored"))
    server = open_explorer(explorer, port)
    output.note(f"Explore: {server.url}")
    output.note(f"From another computer: ssh -L {server.port}:127.0.0.1:{server.port} this-one, then the same address.")
    output.note("Done on the page (or Ctrl-C here) ends it.")
    if not no_browser:
        import webbrowser

        webbrowser.open(server.url)
    try:
        server.serve()
    except KeyboardInterrupt:
        _end(explorer, output)
        raise
    finally:
        server.close()
    _end(explorer, output)


def _end(explorer: object, output: Output) -> None:
    from gancli.render.explore import Explorer

    assert isinstance(explorer, Explorer)
    if explorer.saved:
        output.artefact(explorer.place, saved=[str(path) for path in explorer.saved])
    else:
        output.note(f"Nothing was saved; '{clean(explorer.place)}' was not made.")
