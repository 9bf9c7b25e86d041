"""The documentation cannot drift: every command and flag has help and stands in the README, every public name is said.

`python tests/test_docs.py` writes the commands and the recipes anew into the README.
"""

from __future__ import annotations

import ast
import inspect
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

import gancli
from gancli.cli.app import app
from gancli.cli.commands import COMMANDS
from gancli.recipes import RECIPES

README = Path(__file__).parent.parent / "README.md"
PACKAGE = Path(gancli.__file__).parent
BEGIN, END = "<!-- {}: written by tests/test_docs.py -->", "<!-- /{} -->"
ROOT: Any = typer.main.get_command(app)
NAMED: dict[str, Any] = {entry.name: ROOT.get_command(None, entry.name) for entry in COMMANDS}


def flags(command: Any) -> list[Any]:
    return [p for p in command.params if p.param_type_name == "option" and p.name != "help" and not p.hidden]


def commands() -> str:
    """The commands and their options as Markdown."""
    return "\n\n".join(_section(name, command) for name, command in NAMED.items())


def recipes() -> str:
    """The recipes as a Markdown table."""
    rows = [f"| `{r.name}` | {_plain(r.summary)} | {_plain(r.source)} |" for r in RECIPES.values()]
    return "\n".join(["| `--model` | | after |", "| --- | --- | --- |", *rows])


WRITTEN = {"commands": commands, "recipes": recipes}


def renewed(text: str) -> str:
    """The README with its written parts as they should be."""
    for name, write in WRITTEN.items():
        begin, end = BEGIN.format(name), END.format(name)
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n\n{write()}\n\n{end}{rest.partition(end)[2]}"
    return text


def _section(name: str, command: Any) -> str:
    arguments = [p.metavar or p.name.upper() for p in command.params if p.param_type_name == "argument"]
    usage = " ".join(["gan", name, *arguments]).replace("<", "&lt;")
    first_line = re.split(r"\n\n|(?<=\.)\s", (command.help or "").strip())[0].replace("\n", " ")
    rows = [f"| {_names(p)} | {_plain(p.help)} | {_default(p)} |" for p in flags(command)]
    table = "\n".join(["| option | | default |", "| --- | --- | --- |", *rows])
    return f"<details><summary><code>{usage}</code>: {first_line}</summary>\n\n{table}\n\n</details>"


def _names(option: Any) -> str:
    every = [*sorted(option.opts, key=len), *option.secondary_opts]
    return ", ".join(f"`{name}`" for name in every)


def _plain(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|").replace("<", "&lt;")


def _default(option: Any) -> str:
    value = option.default
    if value is None or callable(value) or value is False or value in ("", (), []):
        return ""
    if value is True:
        return "on"
    value = getattr(value, "value", value)
    return f"`{' '.join(map(str, value)) if isinstance(value, list | tuple) else value}`"


def test_the_readme_is_up_to_date() -> None:
    text = README.read_text(encoding="utf-8")
    assert all(f"\n{BEGIN.format(name)}\n" in text for name in WRITTEN)
    assert text == renewed(text), "run: python tests/test_docs.py"


@pytest.mark.parametrize("command", NAMED.values(), ids=list(NAMED))
def test_every_command_and_flag_has_help(command: Any) -> None:
    assert command.help
    assert command.rich_help_panel
    for parameter in command.params:
        assert parameter.help or parameter.name == "help", f"gan {command.name}: {parameter.name} has no help"


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_the_list_of_commands_says_what_the_command_says(entry: Any) -> None:
    function = entry.load()
    assert entry.help == " ".join(inspect.getdoc(function).split("\n\n")[0].split())
    assert function.__module__ == f"gancli.cli.{entry.name}"


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_every_example_parses(entry: Any) -> None:
    assert entry.examples, f"gan {entry.name} shows no example"
    assert any(entry.name in line for line in entry.examples)
    for line in entry.examples:
        for words in split_commands(line):
            assert words[0] == "gan", line
            NAMED[words[1]].make_context(words[1], words[2:])


def split_commands(line: str) -> list[list[str]]:
    """The commands of a shell line with pipes and semicolons, without its redirections."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|;&<>")
    lexer.whitespace_split = True
    parts: list[list[str]] = [[]]
    skip = False
    for word in lexer:
        if set(word) <= set("|;&"):
            parts.append([])
        elif set(word) <= set("<>"):
            skip = True
        elif skip:
            skip = False
        else:
            parts[-1].append(word)
    return [part for part in parts if part and part[0] not in {"ls", "cat", "cd"}]


def test_every_gan_line_in_the_readme_parses() -> None:
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", README.read_text(encoding="utf-8"), re.M | re.S)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.startswith("gan ")]
    for line in lines:
        for words in split_commands(line.split("  #")[0]):
            NAMED[words[1]].make_context(words[1], words[2:])


@pytest.mark.parametrize("heading", ["Quick start", "Tests"])
def test_a_newcomer_finds_one_command_line(heading: str) -> None:
    section = re.search(rf"^## {heading}\s*$(.*?)(?=^## |\Z)", README.read_text(encoding="utf-8"), re.M | re.S)
    assert section is not None
    block = re.search(r"^```[a-z]*\n(.*?)^```", section[1], re.M | re.S)
    assert block is not None
    assert len(block[1].replace("\\\n", " ").strip().splitlines()) == 1


def test_the_readme_shows_only_pictures_that_exist() -> None:
    text = README.read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)|<img[^>]*src=\"([^\"]+)\"", text)
    local = [name for pair in shown for name in pair if name and "://" not in name]
    assert all((README.parent / name).is_file() for name in local)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: p.relative_to(PACKAGE).as_posix())
def test_modules_and_public_names_have_docstrings(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "the module says nothing of itself"
    public: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            public = set(ast.literal_eval(node.value))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in public:
            assert ast.get_docstring(node), f"{node.name} has no docstring"


if __name__ == "__main__":
    README.write_text(renewed(README.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")
