"""`python -m gancli`: the same as `gan`."""

from gancli.cli.app import main

if __name__ == "__main__":
    main()
