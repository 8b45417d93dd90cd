"""The `.task` bundle: a ZIP archive whose members are stored, because the runtime maps them from the file.

Members: MediaPipe tasks/python/genai/bundler/llm_bundler.py (TF_LITE_PREFILL_DECODE, TOKENIZER_MODEL and
METADATA are mandatory).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from .model import Finding, ModelFile, Section, Severity, Tflite, error
from .source import BadContentError, Source
from .strangers import GET, MODEL_ENDINGS
from .tflite import read_tflite
from .zipdir import Member, read_members

MAIN = "TF_LITE_PREFILL_DECODE"
MANDATORY = (MAIN, "TOKENIZER_MODEL", "METADATA")
STORED = 0

OTHERS: tuple[tuple[Callable[[list[str]], bool], str, str], ...] = (
    (
        lambda names: any(name.rsplit("/")[-1].startswith("adapter_") for name in names),
        "a LoRA adapter",
        "Merge it into its model and convert that.",
    ),
    (lambda names: "AndroidManifest.xml" in names, "an Android application (APK)", GET),
    (
        lambda names: any(name.endswith("data.pkl") for name in names),
        "a PyTorch checkpoint",
        f"Convert the model. Or: {GET}",
    ),
    (lambda names: any(name.endswith(".npy") for name in names), "arrays of NumPy", GET),
    (
        lambda names: any(name.endswith(".h5") for name in names),
        "a Keras model",
        f"Convert the model. Or: {GET}",
    ),
)
"""What a ZIP archive is by the names in it, if it is no bundle: test, what, remedy."""
MAX_RATIO = 1000
"""Deflate reaches 1032; nothing in a model bundle compresses like that."""


def read_task(source: Source, base: ModelFile) -> ModelFile:
    """Read an archive. Everything wrong is in `findings`."""
    base = replace(base, what="ZIP archive")
    try:
        members = read_members(source)
    except BadContentError as problem:
        return replace(base, complete=False, findings=(error("archive", f"the archive {problem}"),))
    if (other := _other([member.name for member in members], base.extension)) is not None:
        what, finding = other
        sections = [Section(m.name, m.begin, m.end, {"size": m.size}) for m in members]
        return replace(base, what=what, sections=tuple(sections), complete=True, findings=(finding,))
    findings = _missing(members)
    broken = False
    sections = []
    for member in members:
        findings += _storage(member)
        tflite: Tflite | None = None
        if member.name.startswith("TF_LITE_") and member.method == STORED and not member.encrypted:
            try:
                tflite = read_tflite(source, member.begin, member.end)
            except BadContentError as problem:
                broken = True
                findings.append(error("member", f"the member {member.name} {problem}"))
        properties = {"size": member.size, "method": "stored" if member.method == STORED else member.method}
        sections.append(Section(member.name, member.begin, member.end, properties, tflite))
    main = next((s.tflite for s in sections if s.name == MAIN and s.tflite), None)
    return replace(
        base,
        sections=tuple(sections),
        npu=main.npu if main else None,
        complete=not broken,
        findings=tuple(findings),
    )


def _other(names: list[str], extension: str) -> tuple[str, Finding] | None:
    """What an archive is that has nothing of a bundle: its name and the finding."""
    if not set(MANDATORY).isdisjoint(names):
        return None
    for test, what, remedy in OTHERS:
        if test(names):
            return f"{what} (ZIP)", error(
                "not-a-model", f"this is {what}, not a model for these runtimes", remedy
            )
    models = [name for name in names if name.lower().endswith(MODEL_ENDINGS)]
    if models and extension == ".task" and all(name.endswith(".tflite") for name in models):
        text = f"a MediaPipe bundle of another task than language ({', '.join(models[:3])})"
        return "a MediaPipe bundle", error("not-a-model", text, "Get the .task of a language model.")
    if models:
        more = f" and {len(models) - 3} more" if len(models) > 3 else ""
        text = f"a ZIP archive that holds {', '.join(models[:3])}{more}: no runtime looks into it"
        return "a ZIP archive around a model", error("not-a-model", text, f"Unpack it and use {models[0]}.")
    text = f"a ZIP archive that holds no model ({', '.join(names[:3]) or 'nothing'})"
    return "a ZIP archive", error("not-a-model", text, GET)


def _missing(members: list[Member]) -> list[Finding]:
    names = [member.name for member in members]
    findings = [
        error(
            "member-missing",
            f"the mandatory member {name} is missing",
            "Get the published file, or pack yours with the official bundler.",
        )
        for name in MANDATORY
        if name not in names
    ]
    twice = sorted({name for name in names if names.count(name) > 1})[:5] if len(names) < 100 else []
    return findings + [error("member-twice", f"the member {name} is there twice") for name in twice]


def _storage(member: Member) -> list[Finding]:
    findings = []
    if member.encrypted:
        findings.append(error("encrypted", f"the member {member.name} is encrypted"))
    if member.method != STORED and member.name.startswith("TF_LITE_"):
        findings.append(
            error(
                "compressed",
                f"the member {member.name} is compressed; the runtime maps it from the file as it is",
                "Pack it again without compression.",
            )
        )
    if member.size > MAX_RATIO * max(member.stored, 1):
        findings.append(
            Finding(
                "bomb",
                Severity.WARNING,
                f"the member {member.name} claims {member.size} bytes in {member.stored}: do not unpack it",
            )
        )
    if member.method == STORED and member.size != member.stored:
        findings.append(error("member-size", f"the member {member.name} has two different sizes"))
    return findings
