"""Build step of the package: compiles the agent (C) and the Vulkan kernels (GLSL) before files are collected.

Metadata is in pyproject.toml. The results lie in the source tree (`agent/built`, `benchmarks/vulkan/built`,
not in git) for a wheel and for an editable install alike, and are rebuilt only where a source changed.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import ClassVar

from setuptools import Command, find_packages, setup
from setuptools.command.build import build
from setuptools.errors import CompileError

ROOT = Path(__file__).resolve().parent


def _import_from_tree() -> None:
    """Make the source tree importable under the package's name, which no installation gives it yet."""
    spec = importlib.util.spec_from_file_location(
        "gemmafit", ROOT / "__init__.py", submodule_search_locations=[str(ROOT)]
    )
    if spec is None or spec.loader is None:
        raise CompileError(f"{ROOT} is not the source tree of gemmafit")
    package = importlib.util.module_from_spec(spec)
    sys.modules["gemmafit"] = package
    spec.loader.exec_module(package)


class BuildNative(Command):
    """A sub-command of `build`; from an override of build_py an editable install only gets a warning."""

    description = "compile the agent and the Vulkan kernels"
    user_options: ClassVar[list[tuple[str, str | None, str]]] = []
    editable_mode = False

    def initialize_options(self) -> None:
        """Nothing to choose."""

    def finalize_options(self) -> None:
        """Nothing to choose."""

    def run(self) -> None:
        """Compile. A missing compiler ends the installation with what to install."""
        _import_from_tree()
        toolchain_error = importlib.import_module("gemmafit.base.errors").ToolchainError
        try:
            for module in ("gemmafit.agent.build", "gemmafit.benchmarks.vulkan.build"):
                importlib.import_module(module).build()
        except toolchain_error as error:
            raise CompileError("\n".join(filter(None, (str(error), error.hint)))) from error

    def get_outputs(self) -> list[str]:
        """None of its own: build_py collects the files as package data."""
        return []

    def get_output_mapping(self) -> dict[str, str]:
        """See `get_outputs`."""
        return {}

    def get_source_files(self) -> list[str]:
        """What a source distribution must carry; see MANIFEST.in."""
        found = [*ROOT.glob("agent/src/**/*.[chs]"), *ROOT.glob("agent/src/**/*.syms")]
        return [str(path.relative_to(ROOT)) for path in found]


build.sub_commands.insert(0, ("build_native", None))
folders = find_packages(str(ROOT), exclude=["tests*", "tools*"])
setup(
    cmdclass={"build_native": BuildNative},
    packages=["gemmafit", *(f"gemmafit.{name}" for name in folders)],
)
