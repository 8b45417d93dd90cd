"""Properties of every parser: any text gives a value or a ParseError, the same each time, and bounded."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemmafit.base import limits
from gemmafit.probes import parsers
from gemmafit.probes.capture import Answer, Capture
from gemmafit.probes.parsers import ParseError
from gemmafit.probes.parsers.libraries import PublicLibrary, parse_public_libraries
from gemmafit.probes.parsers.proc import parse_meminfo
from gemmafit.probes.parsers.properties import parse_getprop
from gemmafit.probes.parsers.sysfs import parse_cpu_list
from gemmafit.probes.parsers.text import integer, lines
from gemmafit.probes.read import read


def load_fuzzer() -> ModuleType:
    path = Path(__file__).parents[1] / "fuzz" / "parsers.py"
    spec = importlib.util.spec_from_file_location("fuzz_parsers", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


fuzzer = load_fuzzer()


def test_mutated_answers() -> None:
    """A short run; a million and more are done with `python tests/fuzz/parsers.py`."""
    count, slowest = fuzzer.fuzz(6000, seed=5)
    assert count == 6000
    assert slowest < 5


def test_every_parser_of_text_is_fuzzed() -> None:
    fuzzed = {parser.__name__ for parser in fuzzer.PARSERS.values()}
    for info in pkgutil.iter_modules(parsers.__path__):
        module = importlib.import_module(f"{parsers.__name__}.{info.name}")
        for name, value in vars(module).items():
            if name.startswith("parse_") and value.__module__ == module.__name__:
                takes = next(iter(inspect.signature(value).parameters.values()))
                assert name in fuzzed or takes.annotation != "str", f"{info.name}.{name}"


@pytest.mark.parametrize("name", sorted(fuzzer.PARSERS))
@settings(max_examples=40)
@given(data=st.data())
def test_any_text_gives_a_value_or_a_parse_error(name: str, data: st.DataObject) -> None:
    sample = fuzzer.SAMPLES[name]
    pieces = st.sampled_from([sample, *sample.splitlines(keepends=True), *fuzzer.TOKENS]) | st.text(
        max_size=30
    )
    text = "".join(data.draw(st.lists(pieces, max_size=8)))
    results = []
    for _ in range(2):
        try:
            results.append(fuzzer.PARSERS[name](text))
        except ParseError as error:
            results.append(str(error))
    assert results[0] == results[1] or "nan" in str(results[0]).lower()


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9._-]{0,20}", fullmatch=True), st.text("ab[]:, \t=", max_size=30)
    )
)
def test_getprop_round_trip(values: dict[str, str]) -> None:
    # A line end in a value that is followed by what looks like an entry cannot be told from a new entry.
    text = "".join(f"[{key}]: [{value}]\n" for key, value in values.items())
    assert not values or parse_getprop(text) == values


@given(st.sets(st.integers(0, limits.CPUS - 1), max_size=40))
def test_cpu_list_round_trip(cpus: set[int]) -> None:
    assert parse_cpu_list(",".join(map(str, sorted(cpus)))) == tuple(sorted(cpus))


@given(
    st.dictionaries(st.from_regex(r"[A-Z][A-Za-z]{0,12}", fullmatch=True), st.integers(0, 10**12), min_size=1)
)
def test_meminfo_round_trip(values: dict[str, int]) -> None:
    text = "".join(f"{key}: {value:8} kB\n" for key, value in values.items())
    assert parse_meminfo(text) == {key: value * 1024 for key, value in values.items()}


@given(
    st.lists(st.tuples(st.from_regex(r"lib[a-z]{1,9}\.so", fullmatch=True), st.sampled_from([None, 32, 64])))
)
def test_public_libraries_round_trip(entries: list[tuple[str, int | None]]) -> None:
    text = "".join(f"{name} {bits or ''}\n" for name, bits in entries)
    assert parse_public_libraries(text) == tuple(PublicLibrary(name, bits) for name, bits in entries)


@given(st.text(max_size=40))
def test_integers_are_bounded(text: str) -> None:
    value = integer(text)
    assert value is None or abs(value) < 1 << limits.INTEGER_BITS


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("getprop", "[a]: [b]\n" * 400_000),
        ("getprop", "[a]: [" + "x" * 3_000_000),
        ("getprop", "".join(f"[p{n}]: [v]\n" for n in range(200_000))),
        ("cpuinfo", "".join(f"processor\t: {n}\n" for n in range(200_000))),
        (
            "cpu_topology",
            "".join(f"/sys/devices/system/cpu/cpu{n}/cpufreq/cpuinfo_max_freq:1\n" for n in range(99_999)),
        ),
        ("surfaceflinger", "GLES: " + "(" * 1_000_000),
        ("surfaceflinger", "GLES: " + ", Inc" * 300_000),
        ("clinfo", "".join(f"  Device Name    d{n}\n" for n in range(100_000))),
        ("opencl_files", "u:object_r:" + "a" * 2_000_000),
        ("public_libraries", "lib.so\n" * 300_000),
        ("vkjson", '{"devices": [' + "{}," * 200_000 + "{}]}"),
        ("package", "Package [x]:\n  usesNativeLibraries:\n" + "    lib.so\n" * 200_000),
        ("adb_devices", "List of devices attached\n" + "a\tdevice\n" * 200_000),
        ("storage", "Filesystem 1K-blocks\n" + "a b c d /x\n" * 200_000),
    ],
)
def test_megabytes_are_cut_not_kept(name: str, text: str) -> None:
    """What is kept is bounded whatever was sent; each takes a second at most on a slow machine."""
    try:
        result = fuzzer.PARSERS[name](text)
    except ParseError:
        return
    sized = result if isinstance(result, dict | tuple | list) else getattr(result, "processors", ())
    assert len(sized) <= max(limits.PROPERTIES, limits.ITEMS)


def test_lines_are_bounded() -> None:
    assert sum(1 for _ in lines("x\n" * (limits.LINES + 10))) == limits.LINES
    assert max(map(len, lines("y" * (limits.LINE_CHARS * 2)))) == limits.LINE_CHARS
    assert list(lines("a\r\nb\x85c\u2028d\n")) == ["a", "b\x85c\u2028d", ""]


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(sorted(fuzzer.PARSERS)), st.text(max_size=200)))
def test_the_reader_never_raises(texts: dict[str, str]) -> None:
    capture = Capture("assembled", {}, {key: Answer(0, text) for key, text in texts.items()})
    assert read(capture) == read(capture)
