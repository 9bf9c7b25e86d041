"""What a person installs is the whole house: the wheel builds, holds every file, and runs outside the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

import gancli

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "gancli"


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)]
    subprocess.run(command, check=True, timeout=300)
    return next(folder.glob("gancli-*.whl"))


def package_files() -> set[str]:
    """Every file of the package, pages and py.typed included, without what Python leaves behind."""
    files = (path for path in PACKAGE.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(ROOT).as_posix() for path in files}


def test_every_folder_of_the_package_is_importable() -> None:
    folders = {path.parent for path in PACKAGE.rglob("*.py")}
    assert all((folder / "__init__.py").is_file() for folder in folders)
    assert (PACKAGE / "py.typed").is_file()


def test_the_top_level_holds_nothing_else() -> None:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout")
    top = {line.split("/")[0] for line in done.stdout.splitlines()}
    allowed = {"pyproject.toml", "gancli", "tests", "examples", "README.md", "LICENSE", ".gitignore", ".ci", ".github"}
    assert top <= allowed


def test_dependencies_have_floors_and_no_upper_caps(project: dict[str, Any]) -> None:
    everything = [*project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        everything += extra
    assert project["requires-python"] == ">=3.11"
    assert "torch>=2.9" in project["dependencies"]
    assert not [line for line in everything if "<" in line or "==" in line or "~=" in line]


def test_the_licence_is_mit(project: dict[str, Any]) -> None:
    assert project["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_package(wheel: Path, project: dict[str, Any]) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (entry_points,) = (name for name in names if name.endswith("entry_points.txt"))
        assert "gan = gancli.cli.app:main" in archive.read(entry_points).decode()
    assert package_files() <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if name.startswith(("tests/", "examples/"))]


@pytest.mark.slow
def test_the_wheel_runs_outside_the_checkout(wheel: Path, project: dict[str, Any], tmp_path: Path) -> None:
    place = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(place), str(wheel)]
    subprocess.run(pip, check=True, timeout=120)
    environment = os.environ | {"PYTHONPATH": str(place)}

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert Path(run("-c", "import gancli; print(gancli.__file__)")).is_relative_to(place)
    assert run("-m", "gancli", "--version") == f"gan {project['version']}"
    assert "Usage" in run("-m", "gancli", "--help")


def test_the_package_says_where_it_is_from() -> None:
    assert Path(gancli.__file__).parent == PACKAGE, "the tests run against another copy of the package"
