"""The file of remembered choices: who may read it, and that many may write it at once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gemmafit.base.errors import UsageError
from gemmafit.benchmarks.backends import Candidate
from gemmafit.benchmarks.tuning import Choices, Key, Tuning, folder

KEY = Key("opencl", {"device": "GPU", "units": 4}, "1.0", "abc")
FAST, SLOW, ENGINE = (
    Candidate(n, "fp16", engine=n == "engine", fused=True) for n in ("fast", "slow", "engine")
)
ALL = (FAST, SLOW, ENGINE)


def recalled(folder: Path, key: Key = KEY, among: Sequence[Candidate] = ALL) -> set[str]:
    choice = Choices(folder, key, Tuning.USE).recall("int8", "decode", among)
    return set(choice.names) if choice else set()


def keep(folder: Path, key: Key = KEY) -> None:
    Choices(folder, key, Tuning.USE).keep("int8", "decode", FAST, ENGINE, ALL)


def test_a_choice_is_recalled_for_the_same_key_only(tmp_path: Path) -> None:
    keep(tmp_path)
    assert recalled(tmp_path) == {"fast", "engine"}
    assert Choices(tmp_path, KEY, Tuning.USE).recall("int4", "decode", ALL) is None
    assert Choices(tmp_path, KEY, Tuning.USE).recall("int8", "prefill", ALL) is None
    for other in (
        Key("vulkan", KEY.device, KEY.driver, KEY.programs),
        Key("opencl", {"device": "GPU", "units": 5}, KEY.driver, KEY.programs),
        Key("opencl", KEY.device, "1.1", KEY.programs),
        Key("opencl", KEY.device, KEY.driver, "abd"),
    ):
        assert not recalled(tmp_path, other)
        (tmp_path / KEY.file).replace(tmp_path / other.file)  # as if the names had collided
        assert not recalled(tmp_path, other)
        (tmp_path / other.file).replace(tmp_path / KEY.file)


def test_a_choice_among_fewer_is_none(tmp_path: Path) -> None:
    keep(tmp_path)
    new = Candidate("new", "fp16", engine=False, fused=True)
    assert not recalled(tmp_path, among=(*ALL, new))
    assert not recalled(tmp_path, among=(SLOW, ENGINE)), "the best is no candidate any more"
    assert not recalled(tmp_path, among=(FAST, ENGINE)), "nothing is left out"


def test_two_phases_share_a_file(tmp_path: Path) -> None:
    memory = Choices(tmp_path, KEY, Tuning.USE)
    memory.keep("int8", "decode", FAST, ENGINE, ALL)
    memory.keep("int8", "prefill", SLOW, None, ALL)
    prefill = memory.recall("int8", "prefill", ALL)
    assert recalled(tmp_path) == {"fast", "engine"} and prefill and prefill.names == {"slow"}


def test_every_half_written_file_is_nothing(tmp_path: Path) -> None:
    keep(tmp_path)
    file = tmp_path / KEY.file
    whole = file.read_bytes()
    for size in range(len(whole)):
        file.write_bytes(whole[:size])
        assert not recalled(tmp_path)
    file.write_bytes(whole)
    assert recalled(tmp_path)


def test_forty_phones_at_once(tmp_path: Path) -> None:
    """Writers of the same and of other keys; a reader sees a whole file or none."""
    keys = [Key("opencl", KEY.device, str(n % 4), "abc") for n in range(40)]

    def work(key: Key) -> bool:
        for _ in range(20):
            keep(tmp_path, key)
            if recalled(tmp_path, key) != {"fast", "engine"}:
                return False
        return True

    with ThreadPoolExecutor(40) as pool:
        assert all(pool.map(work, keys))
    assert {f.name for f in tmp_path.iterdir()} == {key.file for key in keys}, "no part files stay"


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        keep(tmp_path / "file" / "below")
    assert not recalled(tmp_path / "file" / "below")


@pytest.mark.skipif("sys.platform != 'linux'")
def test_the_folder_is_the_users_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GEMMAFIT_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert folder() == tmp_path / ".cache" / "gemmafit" / "tuning"
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    assert folder() == Path("/c/gemmafit/tuning")
    monkeypatch.setenv("GEMMAFIT_CACHE", "/own")
    assert folder() == Path("/own/tuning")
