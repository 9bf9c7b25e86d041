"""The command line: the only rooms that know typer and rich. One file per command."""
