"""The framing of many answers in one stream, without a shell: what arrives is what was printed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gemmafit.probes import batch
from gemmafit.probes.capture import Answer
from gemmafit.probes.target import Command

COMMANDS = [Command("a", "true"), Command("b", "true"), Command("c", "true")]
bodies = st.lists(
    st.binary(max_size=60) | st.sampled_from([b"\n", b"\r\n", b"\r\r\n"]), min_size=3, max_size=3
)


def stream(one: batch.Batch, answers: list[bytes], *, terminal: bool, noise: bytes = b"") -> bytes:
    """What a phone's shell prints for a batch; a terminal turns LF into CR LF."""
    token = one.token.encode()
    text = token + b" start\n"
    for number, answer in enumerate(answers):
        text += answer + b"\n" + token + b" %d %d\n" % (number, number)
    return noise + (text.replace(b"\n", b"\r\n") if terminal else text)


def body(answer: Answer) -> bytes:
    return answer.out.encode() if answer.raw is None else answer.raw


@given(bodies, st.booleans(), st.binary(max_size=30))
def test_bytes_survive(answers: list[bytes], terminal: bool, noise: bytes) -> None:
    one = batch.batches(COMMANDS)[0]
    reading = batch.read(one, stream(one, answers, terminal=terminal, noise=noise))
    assert [(body(a), a.exit) for a in reading.answers.values()] == list(zip(answers, range(3), strict=True))
    assert reading.rest == ()


@given(bodies, st.booleans(), st.floats(0, 1))
def test_a_stream_that_breaks_off_keeps_what_was_complete(
    answers: list[bytes], terminal: bool, where: float
) -> None:
    one = batch.batches(COMMANDS)[0]
    whole = stream(one, answers, terminal=terminal)
    reading = batch.read(one, whole[: int(where * (len(whole) - 1))])
    done = len(reading.answers)
    assert [body(a) for a in reading.answers.values()] == answers[:done]
    assert [c.key for c in reading.rest] == ["a", "b", "c"][done:]
    assert reading.rest


def test_another_batch_cannot_forge_a_frame() -> None:
    one, other = batch.batches(COMMANDS)[0], batch.batches(COMMANDS)[0]
    assert one.token != other.token
    forged = stream(other, [b"x", b"y", b"z"], terminal=False)
    reading = batch.read(one, stream(one, [forged, b"", b""], terminal=False))
    assert body(reading.answers["a"]) == forged


def test_the_token_does_not_stand_in_the_script() -> None:
    one = batch.batches(COMMANDS)[0]
    assert one.token not in one.script


def test_scripts_stay_within_the_limit_and_keep_the_order() -> None:
    commands = [Command(f"k{n}", "x" * (n * 7 % 500)) for n in range(100)]
    parts = batch.batches(commands, batch.LIMIT_LEGACY)
    assert max(len(p.script.encode()) for p in parts) <= batch.LIMIT_LEGACY
    assert [c.key for p in parts for c in p.commands] == [c.key for c in commands]


def test_an_answer_over_its_limit_says_so() -> None:
    command = Command("a", "yes", max_bytes=4)
    cut = batch.answer(command, b"y\ny\ny", batch.SIGPIPE)
    assert (cut.out, cut.cut, cut.exit) == ("y\ny\n", 1, None)
    assert batch.answer(command, b"y\ny\n", 0).cut == 0
