"""No number is taken that nobody can mean: options, LAB.yaml and the API refuse it at the door."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st
from typer.models import ArgumentInfo, OptionInfo
from typer.testing import CliRunner

from gemmafit.base.bounds import BOUNDS, require
from gemmafit.base.errors import GemmafitError, UsageError
from gemmafit.base.options import Options, Request
from gemmafit.benchmarks.sweeps.bench import Wish
from gemmafit.cli import main
from gemmafit.cli.app import app
from gemmafit.judge.estimate import stated
from gemmafit.judge.references import load as knowledge
from gemmafit.lab.compare import compare_all
from gemmafit.lab.inventory import load

NEVER = ("nan", "-nan", "inf", "-inf", "1e400", "-5", "99999999999999999999999", "-1e-9", "", "five")


@dataclass(frozen=True)
class Number:
    """A numeric parameter of a command, as it was declared."""

    command: str
    name: str
    info: OptionInfo | ArgumentInfo


def numeric(group: typer.Typer = app, prefix: str = "") -> Iterator[Number]:
    """Every parameter of every command whose value is a number."""
    for nested in group.registered_groups:
        assert nested.typer_instance is not None
        yield from numeric(nested.typer_instance, f"{nested.name} ")
    for registered in group.registered_commands:
        assert registered.callback is not None
        for name, hint in get_type_hints(registered.callback, include_extras=True).items():
            if get_origin(hint) is not Annotated:
                continue
            kind, info = get_args(hint)[:2]
            if {int, float} & {kind, *get_args(kind)}:
                command = registered.name or registered.callback.__name__
                yield Number(prefix + command, name, info)


assert main.COMMANDS, "importing it registers the commands"
NUMERIC = list(numeric())


def test_the_numeric_options_are_found() -> None:
    found = {number.name for number in NUMERIC}
    assert found >= {"min_decode", "max_ttft", "prompt_tokens", "context", "ram", "sustained", "threshold"}
    assert found >= {"limit", "parallel", "identifier"}


@pytest.mark.parametrize("number", NUMERIC, ids=lambda number: f"{number.command} {number.name}")
def test_an_option_is_bounded_and_says_by_what(number: Number) -> None:
    low, high = number.info.min, number.info.max
    assert low is not None and high is not None and math.isfinite(low) and math.isfinite(high)
    assert number.info.callback is not None
    with pytest.raises(typer.BadParameter):  # the range itself lets NaN pass in some releases of Typer
        number.info.callback(math.nan)
    option = f"--{number.name.replace('_', '-')}"
    others = {"estimate": ["--gpu=Adreno 740", "--ram=8"], "compare": ["a", "b"]}.get(number.command, [])
    for text in NEVER:
        words = ["--", text] if isinstance(number.info, ArgumentInfo) else [f"{option}={text}"]
        kept = [word for word in others if not word.startswith(option)]
        ran = CliRunner().invoke(app, [*number.command.split(), *kept, *words])
        assert ran.exit_code == 2, (text, ran.output)
        assert "Invalid value" in ran.output, ran.output


@given(st.floats(allow_nan=True) | st.integers() | st.booleans() | st.text(max_size=3))
def test_a_number_passes_only_within_its_bound(value: object) -> None:
    for name, bound in BOUNDS.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and bound.low <= value <= bound.high:  # type: ignore[operator]
            require({name: value})
        else:
            with pytest.raises(UsageError, match=name):
                require({name: value})


@pytest.mark.parametrize("value", [math.nan, math.inf, -5, 0.5j, True, "7"])
@pytest.mark.parametrize("field", ["decode_tok_s", "ttft_s", "prompt_tokens", "context"])
@pytest.mark.parametrize("kind", [Request, Options])
def test_the_api_refuses_what_the_options_do(kind: type[Any], field: str, value: object) -> None:
    with pytest.raises(UsageError, match=field):
        kind(**{field: value})


def test_other_numbers_of_the_api() -> None:
    for asked in (
        lambda: Wish(sustained=math.nan),
        lambda: stated("Adreno 740", math.nan, knowledge()),
        lambda: stated("Adreno 740", -8, knowledge()),
        lambda: compare_all([], [], math.nan),
    ):
        with pytest.raises(GemmafitError) as caught:
            asked()
        assert caught.value.exit_code == 2 and "wanted" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("parallel: 0", "parallel"),
        ("parallel: 1000000000", "parallel"),
        ("groups: [{deadline_s: -1}]", r"groups\[0\]"),
        ("groups: [{retries: 1000000000}]", r"groups\[0\]"),
        ("groups: [{gate: {temperature_max_c: .nan}}]", r"groups\[0\].gate"),
        ("groups: [{gate: {battery_min_percent: 101}}]", r"groups\[0\].gate"),
        ("groups: [{options: {decode_tok_s: .nan}}]", r"groups\[0\].options"),
        ("groups: [{options: {ttft_s: .inf}}]", r"groups\[0\].options"),
        ("groups: [{options: {prompt_tokens: -5}}]", r"groups\[0\].options"),
        ("groups: [{options: {context: 0}}]", r"groups\[0\].options"),
    ],
)
def test_an_inventory_is_refused_with_the_place(text: str, where: str, tmp_path: Path) -> None:
    path = tmp_path / "lab.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=where) as caught:
        load(path)
    assert "wanted" in str(caught.value)
