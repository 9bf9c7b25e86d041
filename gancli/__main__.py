"""`python -m gancli`: the same as `gan`."""

from gancli.cli.app import main

if __name__ == "__main__":
    try:
        main()
    finally:
        # Ctrl-C within a string that some library executes leaves a mark, by which CPython would end `python -m` with
        # a signal instead of main's status; the next executed string takes the mark away.
        exec("")
