"""The house stands: imports run downwards only, the core is silent, and what does not compute imports nothing heavy."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import gancli
from gancli.cli.commands import COMMANDS

PACKAGE = Path(gancli.__file__).parent
LEVELS = {"cli": 4, "scrape": 3, "curate": 3, "training": 3, "metrics": 2, "render": 2, "models": 1, "data": 1}
GROUND = 0
HEAVY = ("torch", "torchvision", "numpy", "scipy", "PIL", "requests", "bs4", "imagehash", "matplotlib", "flask")
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
}
DOORS = ("gancli", "gancli.__main__")  # the package's own face and `python -m gancli`: they may open every room


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] in LEVELS else "ground"


def level(module: str) -> int:
    return LEVELS.get(room(module), GROUND)


def imports(tree: ast.AST, module: str, *, top_only: bool = False) -> Iterator[str]:
    """The absolute names that a module imports, as deep as it names them (`from a import b` is a.b if that is one)."""
    package = module if MODULES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in _statements(tree) if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                anchor = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*anchor, *([base] if base else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield full if full in MODULES else base


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """What runs at import: everything outside functions and outside `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        yield node
        yield from _statements(node)


def parse(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", [m for m in MODULES if m not in DOORS])
def test_imports_run_downwards_only(module: str) -> None:
    for target in imports(parse(module), module):
        if target.split(".")[0] != "gancli":
            continue
        inside = room(target) == room(module)
        assert inside or level(target) < level(module), f"{module} imports {target}"
    for target in imports(parse(module), module, top_only=True):
        assert target not in DOORS or room(module) == "cli", f"{module} imports the package's face"


@pytest.mark.parametrize("module", [m for m in MODULES if room(m) != "cli" and m not in DOORS])
def test_the_core_never_speaks_or_leaves(module: str) -> None:
    tree = parse(module)
    names = {name.split(".")[0] for name in imports(tree, module)}
    assert not names & {"typer", "rich", "click"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"print", "input", "exit", "quit", "sys.exit", "os._exit"}, f"{module}:{node.lineno}"


def test_no_circles_at_import() -> None:
    graph = {m: {t for t in imports(parse(m), m, top_only=True) if t in MODULES and t != m} for m in MODULES}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path, module])
        if module not in done:
            for target in sorted(graph[module]):
                visit(target, (*path, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("room_name", ["cli"])
def test_command_files_import_nothing_heavy(room_name: str) -> None:
    for module in (m for m in MODULES if room(m) == room_name):
        names = {name.split(".")[0] for name in imports(parse(module), module, top_only=True)}
        assert not names & set(HEAVY), f"{module} imports {sorted(names & set(HEAVY))} at its top"


def loaded(code: str, *arguments: str) -> set[str]:
    """The top-level packages in sys.modules after `code` ran in a fresh Python."""
    script = f"import sys\ntry:\n    {code}\nfinally:\n    print('LOADED', *{{m.split('.')[0] for m in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("LOADED")]
    assert lines, done.stderr
    return set(lines[-1].split()[1:])


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([c.name, "--help"] for c in COMMANDS)], ids=" ".join
)
def test_help_and_version_import_nothing_heavy(arguments: list[str]) -> None:
    heavy = loaded("from gancli.cli.app import main; main()", *arguments) & set(HEAVY)
    assert not heavy, f"gan {' '.join(arguments)} imports {sorted(heavy)}"


def test_a_wrong_option_imports_nothing_heavy() -> None:
    assert not loaded("from gancli.cli.app import main; main()", "--nonsense") & set(HEAVY)


def test_the_package_itself_is_light() -> None:
    assert not loaded("import gancli") & set(HEAVY)


@pytest.mark.parametrize(
    ("rooms", "without"),
    [
        (("scrape", "curate"), ("torch", "torchvision", "matplotlib")),
        (("training", "render", "models", "data"), ("requests", "bs4", "imagehash", "matplotlib", "flask")),
    ],
)
def test_rooms_do_without_what_they_have_no_use_for(rooms: tuple[str, ...], without: tuple[str, ...]) -> None:
    modules = [m for m in MODULES if room(m) in rooms]
    got = loaded(f"import {', '.join(modules)}") & set(without)
    assert not got, f"{', '.join(rooms)} import {sorted(got)}"


def test_no_module_is_called_after_nothing() -> None:
    assert not {m.rpartition(".")[2] for m in MODULES} & {"utils", "util", "helpers", "common", "misc"}
