"""An allowlist of the AI Edge Gallery, made up in its own form, against the tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gemmafit.profiles.loader import load
from gemmafit.tools import gallery

E2B = load().models["gemma-4-E2B-it"]


def listed(**other: Any) -> dict[str, Any]:
    """A model of the list that agrees with its row, but for what is given."""
    return {
        "name": "Gemma-4-E2B-it",
        "modelId": E2B.repository,
        "modelFile": E2B.file,
        "description": "made up",
        "sizeInBytes": E2B.bytes,
        "minDeviceMemoryInGb": 8,
        "commitHash": "6e5c4f1e395deb959c494953478fa5cec4b8008f",
        "llmSupportImage": True,
        "llmSupportAudio": True,
        "capabilities": ["llm_thinking", "speculative_decoding"],
        "defaultConfig": {
            "topK": 64,
            "topP": 0.95,
            "temperature": 1.0,
            "maxContextLength": 32000,
            "maxTokens": 4000,
            "accelerators": "gpu,cpu",
            "visionAccelerator": "gpu",
        },
        "taskTypes": ["llm_chat", "llm_ask_image"],
        "bestForTaskTypes": ["llm_chat"],
        "updatableModelFiles": [
            {"fileName": E2B.file, "commitHash": "7fa1d78473894f7e736a21d920c3aa80f950c0db"}
        ],
        "updateInfo": "faster",
        **other,
    }


def lines(tmp_path: Path, *models: dict[str, Any]) -> list[str]:
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"models": models}), "utf-8")
    said: list[str] = []
    status = gallery.main([str(path)], said.append)
    assert status == (1 if len(said) > 1 else 0)
    assert said[-1] == f"{len(models)} models of the list, {len(said) - 1} lines that the tables lack"
    return said[:-1]


def test_what_the_tables_have_is_not_told(tmp_path: Path) -> None:
    aicore = {"name": "Gemini Nano", "runtimeType": "AICORE", "taskTypes": ["llm_chat"]}
    assert lines(tmp_path, listed(), aicore) == []


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (
            {"modelFile": "new.litertlm", "updatableModelFiles": []},
            ["new.litertlm: no row (litert-community/gemma-4-E2B-it-litert-lm@6e5c4f1e, 2588147712 bytes, "
             "opencl,cpu, context 32000)"],
        ),
        ({"sizeInBytes": 7}, ["gemma-4-E2B-it: 7 bytes in the list, 2588147712 in the row"]),
        ({"sizeInBytes": 2583085056}, []),  # an earlier revision
        ({"commitHash": "0" * 40}, ["gemma-4-E2B-it: revision 00000000 in the list, 6e5c4f1e in the row"]),
        ({"minDeviceMemoryInGb": 6}, ["gemma-4-E2B-it: offered from 6 GB, the row has 8 GB"]),
        ({"capabilities": []}, ["gemma-4-E2B-it: speculative is not offered, the row says otherwise"]),
        (
            {"defaultConfig": {"accelerators": "cpu"}},
            ["gemma-4-E2B-it: offered on cpu, the row has cpu,opencl"],
        ),
        (
            {"updatableModelFiles": [{"fileName": E2B.file, "commitHash": "1" * 40}]},
            ["gemma-4-E2B-it.litertlm: the earlier revision 11111111 is in no row"],
        ),
        (
            {"socToModelFiles": {"sm8750": {"modelFile": "x_sm8750.litertlm", "sizeInBytes": 5}}},
            ["x_sm8750.litertlm: no row (litert-community/gemma-4-E2B-it-litert-lm@, 5 bytes, opencl,cpu, "
             "context 32000)"],
        ),
        (
            {"socToModelFiles": {"sm8650": {"modelFile": "gemma-4-E2B-it_qualcomm_sm8750.litertlm"}}},
            ["gemma-4-E2B-it-sm8750: the list has it for sm8650, the row for SM8750"],
        ),
    ],
)  # fmt: skip
def test_each_lack_is_a_line(tmp_path: Path, other: dict[str, Any], expected: list[str]) -> None:
    assert lines(tmp_path, listed(**other)) == expected


def test_what_is_no_list_is_told(tmp_path: Path) -> None:
    (tmp_path / "list.json").write_text('{"models": [{"name": 1', "utf-8")
    said: list[str] = []
    assert gallery.main([str(tmp_path / "list.json")], said.append) == 2
    assert "no allowlist" in said[0]
