"""Numbers for people: no exponent, few digits, ordered as the values are, and one place that writes them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gemmafit.base import units
from gemmafit.tests.trees import parsed

ROOT = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())
NUMBERS = st.floats(1e-30, 1e30)
WRITTEN = (units.significant, units.stated, units.seconds, units.percent, units.size)


@given(NUMBERS)
def test_no_exponent_and_no_more_digits_than_are_worth_it(value: float) -> None:
    for write in WRITTEN:
        number = write(value).split()[0]
        assert re.fullmatch(r"\d+(\.\d+)?", number), (write, number)
        digits = number.replace(".", "").strip("0")
        assert len(digits) <= (15 if write is units.stated else 3), (write, number)
    assert abs(float(units.significant(value)) - value) <= 0.00501 * value
    assert float(units.stated(value)) == units.rounded(value, 15)


@given(NUMBERS, st.floats(0, 1), st.floats(1, 1e6))
def test_an_interval_keeps_its_order_as_text(value: float, below: float, above: float) -> None:
    for text in (
        units.interval(value, value * below, value * above),
        units.size_interval(value, value * below, value * above),
    ):
        found = re.match(r"(\S+) \((\S+) to (\S+)\)", text)
        assert found is not None and "e" not in found[0], text
        middle, low, high = map(float, found.groups())
        assert low <= middle <= high, text


def test_as_people_read_them() -> None:
    assert units.interval(393.2, 131.0, 1127.0) == "393 (130 to 1100)"
    assert units.interval(1.04, 1.036, 1.044) == "1.04 (1 to 1.04)", "to 1 would be below the value"
    assert (units.seconds(0.0804), units.seconds(12.51), units.seconds(0)) == ("80.4 ms", "12.5 s", "0 s")
    assert (units.size(2.539e9), units.size(668e6), units.size(1.1e13)) == ("2.54 GB", "668 MB", "11000 GB")
    assert units.size_interval(1.004e9, 0.98e9, 2e9) == "1 (0.98 to 2) GB"
    assert units.percent(0.0000123) == "0.0012 %" and units.significant(float("inf")) == "inf"
    assert [units.power_of_ten(e) for e in (-5, 0, 6)] == ["0.00001", "1", "1,000,000"]


def test_only_units_writes_a_number_whose_exponent_may_show() -> None:
    """`:g` and `:e` in code, `%g` and `%e` in templates."""
    wrong: list[str] = []
    for path in sorted(ROOT.rglob("*")):
        place = path.relative_to(ROOT)
        if place.parts[0] in ("tests", "build") or any(part.startswith(".") for part in place.parts):
            continue
        if path.suffix == ".html" and re.search(r"%[-+0-9.]*[ge]\b|\bround\b", path.read_text("utf-8")):
            wrong.append(str(place))
        if path.suffix != ".py" or place == Path("base/units.py"):
            continue
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.FormattedValue) and node.format_spec is not None:
                spec = "".join(
                    str(v.value) for v in ast.walk(node.format_spec) if isinstance(v, ast.Constant)
                )
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                spec = "".join(re.findall(r"(?:\{[^{}]*:|%)[-+0-9.]*[geGE]\b", node.value))
            else:
                continue
            if spec[-1:] in tuple("geGE") and spec:
                wrong.append(f"{place}:{node.lineno}: {spec}")
    assert not wrong, wrong
