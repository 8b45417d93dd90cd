from hypothesis import given
from hypothesis import strategies as st

from gemmafit.cli.console import plain, safe


@given(st.text())
def test_nothing_that_a_terminal_acts_on_survives(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    assert not any(c in shown for c in "\x1b\x07\r\n\u202e\u2066\x9b")


def test_cut_is_marked() -> None:
    assert plain("x" * 1000, 10) == "x" * 10 + "…"


def test_markup_is_escaped() -> None:
    from rich.text import Text

    assert Text.from_markup(safe("[red]not red[/red]")).plain == "[red]not red[/red]"
