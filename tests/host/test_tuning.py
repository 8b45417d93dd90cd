"""The fastest variant is searched for once: on a real driver, through what the next run measures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gemmafit.base.names import Backend, Status
from gemmafit.benchmarks import notes, tuning
from gemmafit.benchmarks.backends import lowerer
from gemmafit.benchmarks.block.dims import SMALL, Block, Scheme, decode
from gemmafit.benchmarks.measurements import Measurement
from gemmafit.benchmarks.run import BlockOptions, measure
from gemmafit.benchmarks.timing import DEFAULT
from gemmafit.benchmarks.tuning import Tuning
from gemmafit.probes.collect import collect
from gemmafit.probes.local import LocalSession, LocalTarget
from gemmafit.probes.read import read
from gemmafit.probes.snapshot import Conditions, Snapshot
from gemmafit.probes.target import AgentRun, AgentSession

OPTIONS = BlockOptions(
    backends=("opencl",),
    dims=SMALL,
    limits=False,
    schemes=(Scheme.INT8,),
    phases=("decode",),
    chunk=8,
    tuning=Tuning.USE,
)


@pytest.fixture(scope="module")
def gpu() -> Snapshot:
    """This computer's driver, tried with all the variants that a GPU would be."""
    found = read(collect(LocalTarget()))
    if not found.opencl.present:
        pytest.skip(f"needs an OpenCL driver: {found.opencl.error}")
    return replace(found, opencl=replace(found.opencl, device_type="gpu"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GEMMAFIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "tuning"


def run(gpu: Snapshot, options: BlockOptions = OPTIONS, target: Any = None) -> list[Measurement]:
    return measure(target or LocalTarget(), gpu, options)


def variants(rows: list[Measurement], phase: str = "decode") -> list[str]:
    return [row.variant for row in rows if row.phase == phase]


def tuned(rows: list[Measurement]) -> set[str]:
    return {row.variant for row in rows if "tuned" in row.details}


def test_the_second_run_measures_the_choice_alone_and_says_so(gpu: Snapshot, cache: Path) -> None:
    both = replace(OPTIONS, phases=("decode", "prefill"))
    first, second = run(gpu, both), run(gpu, both)
    assert len(variants(first)) > 2 and not tuned(first)
    again = set(variants(second))
    engine = {row.variant for row in first if row.details["engine_layout"]}
    assert again < set(variants(first)) and engine & again and tuned(second) == again
    assert all(row.status is Status.OK and row.deviation and row.deviation.ok for row in second)
    made = {row.details["tuned"] for row in second if row.phase == "decode"}
    assert len(made) == 1 and made.pop() in "".join(notes.notes(second, Conditions()))
    assert len(list(cache.iterdir())) == 1


def test_no_cache_neither_reads_nor_writes(gpu: Snapshot, cache: Path) -> None:
    run(gpu, replace(OPTIONS, tuning=Tuning.OFF))
    assert not cache.exists()
    run(gpu)
    assert not tuned(run(gpu, replace(OPTIONS, tuning=Tuning.OFF)))


def test_retune_searches_again_and_remembers(gpu: Snapshot, cache: Path) -> None:
    first = run(gpu)
    again = run(gpu, replace(OPTIONS, tuning=Tuning.RETUNE))
    assert variants(again) == variants(first) and not tuned(again)
    assert tuned(run(gpu))


def test_a_quick_search_does_not_stand_for_a_full_one(gpu: Snapshot) -> None:
    run(gpu, replace(OPTIONS, quick=True))
    full = run(gpu)
    assert not tuned(full)
    assert set(variants(run(gpu, replace(OPTIONS, quick=True)))) <= set(variants(full))


def test_another_driver_is_searched(gpu: Snapshot) -> None:
    run(gpu)
    assert not tuned(run(replace(gpu, opencl=replace(gpu.opencl, driver="another"))))


def test_what_a_choice_holds_for(gpu: Snapshot) -> None:
    def file(**change: Any) -> str | None:
        snapshot = replace(gpu, opencl=replace(gpu.opencl, **change))
        found = tuning.memory(snapshot, lowerer(Backend.OPENCL, snapshot), SMALL, 128, Tuning.USE)
        return None if found is None else found.path.name

    assert file() == file() is not None
    changes = ({"driver": "2"}, {"version": "OpenCL 9"}, {"device": "2"}, {"vendor": "2"})
    assert len({file(), *(file(**change) for change in changes)}) == 5
    assert file(driver=None) is None, "a driver that does not say its version is not known again"


def test_other_kernels_are_searched(gpu: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gemmafit.benchmarks.opencl import plan

    run(gpu)
    sources = tmp_path / "kernels"
    sources.mkdir()
    for file in plan.SOURCES.glob("*.cl"):
        (sources / file.name).write_text(file.read_text() + "\n// changed\n")
    monkeypatch.setattr(plan, "SOURCES", sources)
    assert not tuned(run(gpu))


def test_other_lowering_is_another_program(gpu: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    from gemmafit.benchmarks.opencl import plan

    lower = lowerer(Backend.OPENCL, gpu)
    before = tuning.programs(lower, SMALL, 128)
    assert tuning.programs(lower, SMALL, 128) == before != tuning.programs(lower, SMALL, 256)
    monkeypatch.setattr(plan, "KEYS_AT_ONCE", 16)
    assert tuning.programs(lower, SMALL, 128) != before


def test_a_damaged_file_is_searched_past_and_written_anew(gpu: Snapshot, cache: Path) -> None:
    run(gpu)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert not tuned(run(gpu))
    assert tuned(run(gpu))


class Spoiled(LocalTarget):
    """This computer, on which one variant computes something else now, or dies."""

    def __init__(self, weight: str, crash: bool) -> None:
        super().__init__()
        self.weight, self.crash = weight, crash

    @contextmanager
    def session(self, on_event: Any = None, *, awake: bool = False) -> Iterator[AgentSession]:
        with super().session() as session:
            assert isinstance(session, LocalSession)
            honest = session.run

            def run(backend: str, args: Sequence[str], **more: Any) -> AgentRun:
                answer = honest(backend, args, **more)
                plan = (session._directory / "plan.txt").read_text()
                weight = next(line for line in plan.splitlines() if line.startswith("buffer wo "))
                if self.weight == weight and self.crash:
                    return AgentRun(None, 11, False, {})
                if self.weight == weight:
                    file = answer.files["result.bin"]
                    file.write_bytes(b"\x3f" * file.stat().st_size)
                return answer

            session.run = run  # type: ignore[method-assign]
            yield session


@pytest.mark.parametrize("crash", [False, True])
def test_a_choice_that_fails_now_is_searched_for_again(gpu: Snapshot, cache: Path, crash: bool) -> None:
    first = run(gpu)
    (file,) = cache.iterdir()
    chosen = json.loads(file.read_bytes())["choices"]["int8/decode"]["best"]
    block = Block(SMALL, Scheme.INT8, decode(128))
    plan = lowerer(Backend.OPENCL, gpu).lower(block, chosen, DEFAULT, logits=False)
    weight = next(line for line in plan.to_text().splitlines() if line.startswith("buffer wo "))
    third = run(gpu, target=Spoiled(weight, crash))
    assert set(variants(third)) == set(variants(first))
    assert chosen not in variants(run(gpu))
