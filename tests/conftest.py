"""Options of the whole test suite."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

DOCS = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists()) / "docs"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files anew instead of comparing with them; read the diff before committing it",
    )


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden"))


@pytest.fixture(scope="session", autouse=True)
def _no_cache_of_the_users() -> Iterator[None]:
    """What tests remember about devices is theirs alone."""
    with tempfile.TemporaryDirectory(prefix="gemmafit-tests-") as folder:
        os.environ["GEMMAFIT_CACHE"] = folder
        yield
        del os.environ["GEMMAFIT_CACHE"]


@pytest.fixture(scope="session")
def documented() -> Callable[[str, str], str]:
    """Called with a page and a test: the Python block of a page under docs/ that says that this test runs it."""

    def find(page: str, test: str) -> str:
        block = re.escape(f"<!-- run: {test} -->") + r"\n```python\n(.*?)```"
        (code,) = re.findall(block, (DOCS / page).read_text("utf-8"), re.DOTALL)
        return str(code)

    return find
