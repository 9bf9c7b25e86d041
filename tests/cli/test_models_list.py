"""`gan models`: every recipe with every number that has a meaning for it."""

from __future__ import annotations

import json
import subprocess
import sys

from typer.testing import CliRunner

from gancli.cli.app import app
from gancli.cli.models import describe
from gancli.recipes import RECIPES, TUNABLE

runner = CliRunner()


def test_every_recipe_is_listed_on_stdout_with_its_numbers() -> None:
    result = runner.invoke(app, ["models"])
    assert result.exit_code == 0
    for name, recipe in RECIPES.items():
        assert f"{name}: {recipe.summary}" in result.stdout
    assert "--gp 10" in result.stdout
    assert all(len(line) <= 120 for line in result.stdout.splitlines())


def test_json_holds_every_number_of_every_recipe() -> None:
    result = runner.invoke(app, ["models", "--json", "-q"])
    recipes = json.loads(result.stdout)
    assert [recipe["name"] for recipe in recipes] == list(RECIPES)
    for recipe in recipes:
        for field in TUNABLE:
            value = getattr(RECIPES[recipe["name"]], field)
            assert recipe[field] == (list(value) if isinstance(value, tuple) else value)


def test_a_number_without_meaning_is_not_shown() -> None:
    assert "--gp" not in describe(RECIPES["dcgan"], whole=True)
    assert "--label-smoothing" not in describe(RECIPES["wgan-gp"], whole=True)


def test_an_unknown_recipe_names_those_there_are() -> None:
    result = runner.invoke(app, ["models", "r4gan"])
    assert result.exit_code == 1
    assert "r3gan-s" in str(result.exception)
    assert result.stdout == ""


def test_listing_imports_no_torch() -> None:
    code = "import sys, gancli.cli.models; gancli.cli.models.models(None, True, True); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
