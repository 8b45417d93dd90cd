"""A capture -> a Snapshot. Pure: the same capture gives the same snapshot, on any machine, at any time."""

from __future__ import annotations

from dataclasses import replace

from ..base import limits
from ..base.names import AnswerStatus
from ..profiles.loader import load
from ..profiles.tables import Tables
from .capture import Capture
from .parsers.dumpsys import parse_aicore, parse_features, parse_package
from .parsers.gles import parse_gles
from .parsers.libraries import parse_public_libraries
from .parsers.proc import parse_cpuinfo
from .readers.agent import agent_problem, read_sections
from .readers.android import read_android, read_identity
from .readers.cpu import read_cpu, shown_cpus
from .readers.emulator import emulator_facts, recognise
from .readers.facts import Readout
from .readers.gpu import read_gpu, shown_gpu
from .readers.opencl import opencl_files, read_opencl, section_differences
from .readers.soc import Shown, makers, read_soc
from .readers.state import read_conditions, read_memory
from .readers.visibility import app_visibility
from .readers.vulkan import read_vulkan
from .snapshot import Snapshot


def read(capture: Capture, tables: Tables | None = None) -> Snapshot:
    """All that the capture tells. No content makes this raise: what cannot be read is unknown, and
    `Snapshot.answers` and `warnings` say why."""
    facts = Readout(capture, tables or load().tables)
    services = facts.services()
    cpuinfo = facts.parse("cpuinfo", parse_cpuinfo)
    gles = facts.parse("surfaceflinger", parse_gles)
    if gles is not None and gles.others:
        facts.warnings.append(
            f"surfaceflinger: {len(gles.others)} more lines look like the one that names the GPU, "
            f"e.g. {gles.others[0][: limits.QUOTE_CHARS]!r}: an app may have written them"
        )
    libraries = facts.parse("public_libraries", parse_public_libraries)
    package = facts.parse("package", parse_package)
    if package is None and facts.answers.get("package") is AnswerStatus.MISSING:
        facts.warnings.append("the package asked for is not installed: what apps see is inferred for any app")

    identity = read_identity(facts)
    android = read_android(facts)
    opencl = read_opencl(facts, libraries)
    vulkan = read_vulkan(facts)
    shown = Shown(shown_gpu(facts, gles, opencl, vulkan), *shown_cpus(facts, cpuinfo))
    soc, row = read_soc(facts, cpuinfo, shown)
    cpu = read_cpu(facts, cpuinfo, row)
    gpu = read_gpu(facts, gles, opencl, vulkan, row)
    opencl = replace(opencl, app=app_visibility(android, libraries, opencl_files(facts), package))
    of = makers(facts, cpuinfo)
    signs = emulator_facts(facts, identity, android, cpu, cpuinfo, gles, gpu, vulkan, of)
    # A computer that is asked for itself presents nothing else.
    emulator, kind = recognise(facts.tables, signs) if capture.origin.android else (None, None)
    facts.warnings += section_differences(opencl.attempts) + read_sections(facts)
    return Snapshot(
        kind=capture.kind,
        identity=replace(identity, emulator=emulator, emulator_kind=kind),
        android=android,
        soc=soc,
        cpu=cpu,
        memory=read_memory(facts),
        gpu=gpu,
        opencl=opencl,
        vulkan=vulkan,
        conditions=read_conditions(facts),
        public_libraries=tuple(library.name for library in libraries) if libraries is not None else None,
        features=facts.parse("features", parse_features),
        aicore=facts.optional("aicore", parse_aicore),
        services=services,
        answers=dict(sorted(facts.answers.items())),
        sources=facts.sources,
        disagreements=tuple(facts.disagreements),
        warnings=tuple(dict.fromkeys(facts.warnings)),
        agent_problem=agent_problem(capture),
    )
