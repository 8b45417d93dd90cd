"""Options of the whole test suite."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest


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
