"""The axis "which backend": one table says what each is, one registry a room what it does; nowhere a second list."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gemmafit.base.bounds import require
from gemmafit.base.errors import UsageError
from gemmafit.base.names import MEASURED, Backend, CheckStatus
from gemmafit.base.options import Options
from gemmafit.benchmarks.backends import LOWERERS
from gemmafit.benchmarks.interpreter.worker import EXECUTORS
from gemmafit.benchmarks.measurements import Measurement
from gemmafit.judge.judge import judge
from gemmafit.judge.references import load
from gemmafit.judge.rules.backends import RULES
from gemmafit.probes.collect import PARTS
from gemmafit.probes.snapshot import Soc
from gemmafit.profiles.knowledge import KernelClass
from gemmafit.tests.judge.test_judge_rules import PHONE, row
from gemmafit.tests.trees import parsed

ROOT = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())


def test_every_room_knows_every_backend_that_it_needs() -> None:
    assert all(backend.about.title for backend in Backend)
    assert list(RULES) == list(Backend), "the judge's rules, in the order of the sheet"
    assert set(LOWERERS) == set(PARTS) == set(MEASURED), "what lowers the block, what the agent looks at"
    accelerators = {backend for backend in MEASURED if backend.about.accelerator}
    assert set(EXECUTORS) == accelerators, "who runs plans on this computer; the CPU's is the agent"
    assert set(KernelClass.__struct_fields__) >= accelerators, "what a class of GPU may change"
    assert {rules.backend for rules in RULES.values()} == set(Backend)
    codes = {code.split(".")[0] for code in load().reasons}
    assert codes >= set(Backend), "each has reasons of its own (profiles/reasons.yaml)"


def test_a_name_means_one_backend() -> None:
    names = [name for b in Backend for name in {b, *b.about.spellings}]
    assert len(names) == len(set(names))
    assert len({b.about.rank for b in Backend}) == len(Backend)
    assert [Backend.of(name) for name in ("gpu", "cpu", "npu", "gpu_artisan", "tpu")] == [
        Backend.OPENCL,
        Backend.CPU,
        Backend.NPU,
        Backend.OPENCL,
        None,
    ]
    assert Backend.spoken("tpu") == "tpu", "of a report that a later gemmafit wrote"


TABLE = Path("base/names.py")
NAMES = {str(backend) for backend in Backend if backend.about.accelerator}


def _lists(tree: ast.AST) -> Iterator[ast.expr]:
    """Names of backends that something is compared with, matched with, looked up by or listed as."""
    for node in ast.walk(tree):
        found: list[ast.expr | None] = []
        match node:
            case ast.Compare():
                found = [node.left, *node.comparators]
            case ast.MatchValue():
                found = [node.value]
            case ast.Dict():
                found = list(node.keys)
            case ast.Tuple() | ast.List() | ast.Set():
                found = list(node.elts)
            case ast.Assign(targets=[ast.Name()]):
                found = [node.value]
            case _:
                pass
        yield from (one for one in found if isinstance(one, ast.Constant) and one.value in NAMES)


def test_no_room_has_a_list_of_its_own() -> None:
    rooms = [path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] not in ("tests", "tools")]
    assert len(rooms) > 150
    for path in rooms:
        found = [node.lineno for node in _lists(parsed(path))]
        name = path.relative_to(ROOT)
        assert not found or name == TABLE, (
            f"{name}: lines {found}: ask Backend.about, or a registry of the room"
        )


@pytest.mark.parametrize(
    "line",
    ['b == "opencl"', 'b in ("cpu", "npu")', '{"vulkan": 1}', "match b:\n    case 'npu':\n        pass"],
)
def test_such_a_list_would_be_found(line: str) -> None:
    assert list(_lists(ast.parse(line)))


@pytest.mark.parametrize("backend", [backend for backend in Backend if backend not in MEASURED])
def test_what_nothing_runs_on_is_judged_and_refused(backend: Backend) -> None:
    with pytest.raises(UsageError, match=f"{backend} is judged by what is known of the device"):
        require({"backends": ("cpu", str(backend))})
    with pytest.raises(ValueError, match=f"nothing runs on {backend}"):
        Measurement.from_dict(row("cpu", "decode").to_dict() | {"backend": str(backend)})
    assert backend in judge(PHONE, (), load()).backends


SM8750 = Soc("QTI", "SM8750", "Snapdragon 8 Elite")


@pytest.mark.parametrize(
    ("soc", "kind", "status", "code"),
    [
        (SM8750, "adb", CheckStatus.UNKNOWN, "npu.untested"),
        (PHONE.soc, "adb", CheckStatus.SKIP, "npu.no-file"),
        (Soc(), "adb", CheckStatus.UNKNOWN, "npu.soc-unknown"),
        (Soc(), "local", CheckStatus.SKIP, "npu.no-file"),
    ],
)
def test_the_npu_is_judged_by_the_soc(soc: Soc, kind: str, status: CheckStatus, code: str) -> None:
    """The line of the sheet and the files say the same of it, and no verdict of another file hears of it."""
    report = judge(replace(PHONE, soc=soc, kind=kind), (), load(), Options(family="gemma3-1b"))
    line = report.backends["npu"]
    assert (line.status, line.visible, line.correct) == (status, status, CheckStatus.SKIP)
    assert line.reasons[0] == code
    own = next(v for v in report.variants if v.id == "gemma3-1b-it-q4-sm8750")
    here = CheckStatus.UNKNOWN if status is CheckStatus.UNKNOWN else CheckStatus.FAIL
    assert own.status is here
    assert (code if here is CheckStatus.UNKNOWN else "npu.other-soc") in own.reasons
    others = [v for v in report.variants if v.backend != "npu"]
    assert others and not any(reason.startswith("npu.") for v in others for reason in v.reasons)
