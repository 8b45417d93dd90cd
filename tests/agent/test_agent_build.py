"""The agent's binaries are real Android executables, and what is installed is what was built."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection
from elftools.elf.sections import NoteSection, SymbolTableSection

from gemmafit import __version__, agent
from gemmafit.agent import build
from gemmafit.base.errors import ToolchainError

ANDROID = {
    "arm64-v8a": ("EM_AARCH64", "/system/bin/linker64"),
    "armeabi-v7a": ("EM_ARM", "/system/bin/linker"),
    "x86_64": ("EM_X86_64", "/system/bin/linker64"),
}
LINUX = {
    "linux-x86_64": ("EM_X86_64", "/lib64/ld-linux-x86-64.so.2"),
    "linux-aarch64": ("EM_AARCH64", "/lib/ld-linux-aarch64.so.1"),
}


@pytest.fixture(params=[*ANDROID, *LINUX])
def elf(request: pytest.FixtureRequest) -> tuple[str, ELFFile]:
    try:
        path = agent.binary(request.param)
    except ToolchainError as error:
        pytest.skip(f"{error} {error.hint}")
    return request.param, ELFFile(path.open("rb"))


def _tags(image: ELFFile) -> list[tuple[str, object]]:
    dynamic = image.get_section_by_name(".dynamic")
    assert isinstance(dynamic, DynamicSection)
    return [(t.entry.d_tag, getattr(t, "needed", t.entry.d_val)) for t in dynamic.iter_tags()]


def test_header_and_interpreter(elf: tuple[str, ELFFile]) -> None:
    abi, image = elf
    machine, interpreter = (ANDROID | LINUX)[abi]
    assert image["e_machine"] == machine
    assert image["e_type"] == "ET_DYN"  # position-independent: Android refuses anything else
    if machine == "EM_ARM":
        assert image["e_flags"] & 0x600 == 0x200  # floats in core registers, as bionic on 32 bits
    interp = next(s for s in image.iter_segments() if s["p_type"] == "PT_INTERP")
    assert interp.data().rstrip(b"\0").decode() == interpreter


def test_segments(elf: tuple[str, ELFFile]) -> None:
    _, image = elf
    segments = list(image.iter_segments())
    kinds = {s["p_type"] for s in segments}
    assert "PT_TLS" not in kinds  # silently wrong on arm64 before API 29
    assert "PT_GNU_RELRO" in kinds
    loads = [s for s in segments if s["p_type"] == "PT_LOAD"]
    assert loads and all(s["p_align"] >= build.PAGE_SIZE for s in loads)
    assert all((s["p_vaddr"] - s["p_offset"]) % build.PAGE_SIZE == 0 for s in loads)
    assert not any(s["p_flags"] & 1 and s["p_flags"] & 2 for s in loads), "writable and executable"
    stack = next(s for s in segments if s["p_type"] == "PT_GNU_STACK")
    assert not stack["p_flags"] & 1


def test_android_needs_only_libraries_that_every_phone_has(elf: tuple[str, ELFFile]) -> None:
    abi, image = elf
    tags = _tags(image)
    needed = {value for tag, value in tags if tag == "DT_NEEDED"}
    if abi in ANDROID:
        assert needed == {"libc.so", "libdl.so"}
        names = {tag for tag, _ in tags}
        assert {"DT_HASH", "DT_GNU_HASH"} <= names
        assert not {"DT_RELR", "DT_ANDROID_RELR", "DT_TEXTREL", "DT_RUNPATH", "DT_RPATH"} & names
        notes = [n for s in image.iter_sections() if isinstance(s, NoteSection) for n in s.iter_notes()]
        android = [n for n in notes if n["n_name"] == "Android"]
        assert [int.from_bytes(n["n_descdata"][:4], "little") for n in android] == [build.ANDROID_API]
    else:
        allowed = {"libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0"}
        assert needed <= allowed | {"ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


def test_undefined_symbols_are_the_listed_ones(elf: tuple[str, ELFFile]) -> None:
    abi, image = elf
    symbols = image.get_section_by_name(".dynsym")
    assert isinstance(symbols, SymbolTableSection)
    undefined = {s.name for s in symbols.iter_symbols() if s["st_shndx"] == "SHN_UNDEF" and s.name}
    if abi in ANDROID:
        assert undefined <= _listed()
    else:
        assert "dlopen" in undefined


@pytest.mark.parametrize("elf", LINUX, indirect=True)
def test_linux_runs_on_debian_10_and_newer(elf: tuple[str, ELFFile]) -> None:
    _, image = elf
    section = image.get_section_by_name(".gnu.version_r")
    assert isinstance(section, GNUVerNeedSection)
    versions = {v.name for _, needs in section.iter_versions() for v in needs if v.name.startswith("GLIBC_")}
    assert versions and max(tuple(map(int, v[6:].split("."))) for v in versions) <= (2, 28)


def _listed() -> set[str]:
    return {name for path in build.SOURCES.glob("android/*.syms") for name in path.read_text().split()}


def test_the_symbol_lists_are_what_the_header_declares() -> None:
    """A symbol that is listed but not declared would be called through an implicit, wrong declaration."""
    header = (build.SOURCES / "platform.h").read_text("utf-8")
    android = header[header.index("#else /* __ANDROID__ */") :]
    declared = set(re.findall(r"\b\**([A-Za-z_]\w*)\)?\((?!\()", android))
    start_up = {"__libc_init", "__stack_chk_fail", "__stack_chk_guard"}
    assert _listed() - declared == start_up


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private `built` folder with one made-up binary."""
    monkeypatch.setattr(agent, "BUILT", tmp_path)
    (tmp_path / "arm64-v8a").mkdir()
    (tmp_path / "arm64-v8a" / "gemmafit-agent").write_bytes(b"abc")
    sha = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    rows = {"arm64-v8a": {"sha256": sha, "size": 3}}
    (tmp_path / "manifest.json").write_text(json.dumps({"version": __version__, "binaries": rows}))
    return tmp_path


def test_binary_is_checked(built: Path) -> None:
    assert agent.abis() == ("arm64-v8a",)
    assert agent.binary("arm64-v8a") == built / "arm64-v8a" / "gemmafit-agent"
    (built / "arm64-v8a" / "gemmafit-agent").write_bytes(b"abd")
    with pytest.raises(ToolchainError, match="SHA-256 differs"):
        agent.binary("arm64-v8a")
    (built / "arm64-v8a" / "gemmafit-agent").unlink()
    with pytest.raises(ToolchainError, match="built without the agent for arm64-v8a"):
        agent.binary("arm64-v8a")
    with pytest.raises(ToolchainError, match="built without the agent for mips"):
        agent.binary("mips")


@pytest.mark.parametrize("text", [None, "{", "[]", "{}", '{"version": "0.0.1", "binaries": {}}'])
def test_a_manifest_that_is_missing_damaged_or_old(built: Path, text: str | None) -> None:
    manifest = built / "manifest.json"
    manifest.unlink() if text is None else manifest.write_text(text)
    with pytest.raises(ToolchainError) as caught:
        agent.abis()
    assert caught.value.hint is not None and "gemmafit.agent.build" in caught.value.hint


def test_a_missing_compiler_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ziglang", None)
    with pytest.raises(ToolchainError) as caught:
        build.build(tmp_path)
    assert caught.value.hint == "Install it with `pip install ziglang`."


def test_only_what_changed_is_compiled_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ziglang")
    tool = build.Toolchain(tmp_path / "cache")
    calls: list[str] = []
    run = tool._run

    def counted(command: Sequence[str]) -> str:
        calls.append(command[-1])
        return run(command)

    monkeypatch.setattr(tool, "_run", counted)
    source = tmp_path / "x.c"
    source.write_text("int x;\n")

    def make() -> Path:
        return tool.make("x", ".o", ["cc", "-target", "aarch64-linux-android", "-c", str(source)], [source])

    first = make()
    assert make() == first and len(calls) == 1
    source.write_text("int y;\n")
    second = make()
    assert second != first and len(calls) == 2 and not first.exists()
    source.write_text("this is no C\n")
    with pytest.raises(ToolchainError, match=r"x\.c"):
        make()
    assert second.exists() and not list((tmp_path / "cache").glob("*.part*"))


def test_the_package_carries_everything() -> None:
    """Every folder of code is a package, so that setup.py finds it, and the wheel gets every kind of file."""
    import tomllib

    from setuptools import find_packages

    root = build.HERE.parent
    if not (root / "pyproject.toml").exists():
        pytest.skip("not a checkout")
    tools = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]
    folders = {path.parent for path in root.rglob("*.py")} - {root}
    packages = {root / name.replace(".", "/") for name in find_packages(str(root))}
    bare = {path for path in folders - packages if "tests" not in path.parts and path.name != ".ci"}
    assert not bare, bare
    data = tools["package-data"]
    for pattern in data["gemmafit.agent"]:
        assert list(build.HERE.glob(pattern)), pattern
