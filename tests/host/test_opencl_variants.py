"""Every OpenCL variant on this computer's device, also those that it would not be given: images, subgroups, GPU layouts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from gemmafit.base.names import Backend, Status
from gemmafit.benchmarks.block import fill
from gemmafit.benchmarks.block.dims import SMALL, Block, Scheme, decode, prefill
from gemmafit.benchmarks.opencl.plan import lower
from gemmafit.benchmarks.opencl.variants import VARIANTS, ClFacts, ClVariant
from gemmafit.benchmarks.plan import Arg, Buffer, Dispatch, Kernel, Plan, Step, buffers
from gemmafit.benchmarks.timing import Timing

ONCE = Timing(warmup=0, repeat_min=2, repeat_max=2)


@pytest.fixture(params=["python", "agent"])
def device(request: pytest.FixtureRequest, opencl: Any) -> Any:
    return replace(opencl, interpreter=request.param)


@pytest.mark.parametrize(
    ("scheme", "phase"),
    [(Scheme.INT8, decode(37)), (Scheme.INT4, decode(37)), (Scheme.INT4, prefill(19, 6))],
    ids=["int8", "int4", "prefill"],
)
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: v.name)
def test_right_and_repeats_its_bits(
    device: Any, variant: ClVariant, scheme: Scheme, phase: Any, compare: Any, reference_of: Any
) -> None:
    facts = ClFacts.of_probe(device.probe()["device"])
    if variant.subgroups and facts.subgroups is None:
        pytest.skip("the driver has no subgroups")
    if variant.image and facts.image is None:
        pytest.skip("the driver has no images")
    block = Block(SMALL, scheme, phase)
    run = device.run(lower(block, variant, facts, ONCE))
    steps = run.result.steps
    assert all(s.status is Status.OK and s.deterministic for s in steps), (steps, run.result.builds)
    dot = variant.dot and phase.n > 1
    precision = "qd8" if dot else "fp16" if variant.half and facts.fp16 else "fp32"
    found = compare(block, run, reference_of(block), precision)
    assert len(found) == (11 if phase.n == 1 else 10)
    assert all(d.ok for d in found), [d for d in found if not d.ok]


def test_the_image_variant_has_images(device: Any) -> None:
    facts = ClFacts.of_probe(device.probe()["device"])
    if facts.image is None:
        pytest.skip("the driver has no images")
    variant = next(v for v in VARIANTS if v.image)
    plan = lower(Block(SMALL, Scheme.INT4, decode(4)), variant, facts)
    assert {b.image for b in plan.buffers if b.fill in ("i8", "i4")} >= {(SMALL.d_model // 4, 32)}
    narrow = lower(Block(SMALL, Scheme.INT4, decode(4)), variant, replace(facts, image=(100, 8192)))
    kinds = {b.image is None for b in narrow.buffers if b.fill in ("i8", "i4")}
    assert kinds == {True, False}, "what is too wide is a buffer, the rest are images"


READ = """
kernel void copy(read_only image2d_t from, global uint4* to, int width) {
    const int i = get_global_id(0);
    to[i] = read_imageui(from, (int2)(i % width, i / width));
}
"""


def copy_plan(tmp_path: Any, width: int, height: int, channel: int) -> Plan:
    (tmp_path / "copy.cl").write_text(READ)
    texels = width * height
    image = Buffer(
        "image",
        texels * channel // 2,
        "i8",
        seed=5,
        rows=height,
        cols=width * channel // 2,
        image=(width, channel),
    )
    run = Dispatch("copy", (*buffers("image", "to"), Arg("I", width)), (texels,))
    return Plan(
        Backend.OPENCL,
        (image, Buffer("to", 16 * texels)),
        (Kernel("copy", "copy.cl", "copy"),),
        (Step("copy", (run,), ("image", "to"), 0, 1, 1),),
        files={"copy.cl": tmp_path / "copy.cl"},
    )


@pytest.mark.parametrize(("width", "height", "channel"), [(640, 1024, 32), (999, 701, 16), (3, 2, 16)])
def test_an_image_holds_the_bytes_of_its_buffer(
    device: Any, tmp_path: Any, width: int, height: int, channel: int
) -> None:
    """Also where the pieces that it is written in end within a row: larger than the agent's 4 MiB at a time."""
    if ClFacts.of_probe(device.probe()["device"]).image is None:
        pytest.skip("the driver has no images")
    plan = copy_plan(tmp_path, width, height, channel)
    run = device.run(plan)
    assert run.result.steps[0].status is Status.OK, run.result
    expected = fill.contents(plan.buffers[0])
    assert bytes(run.outputs["image"]) == bytes(expected)
    values = run.outputs["to"].view("<u4")
    assert (values == expected.view(f"<u{channel // 8}")).all()


def test_an_image_over_the_limit_is_refused_by_its_size(device: Any, tmp_path: Any) -> None:
    image = ClFacts.of_probe(device.probe()["device"]).image
    if image is None:
        pytest.skip("the driver has no images")
    run = device.run(copy_plan(tmp_path, image[0] + 1, 1, 16))
    step = run.result.steps[0]
    assert step.status in (Status.ERROR, Status.UNSUPPORTED)
    assert step.reason is not None and f"an image of {image[0] + 1} x 1 is over the device's" in step.reason


@pytest.mark.parametrize(
    ("image", "problem"),
    [("5,u32", "texels"), ("4,u8", "image"), ("0,u32", "image"), ("4", "image")],
)
def test_a_malformed_image_is_refused(device: Any, tmp_path: Any, image: str, problem: str) -> None:
    from gemmafit.probes.local import LocalTarget

    device.probe()  # skipped where there is no OpenCL
    text = copy_plan(tmp_path, 4, 4, 32).to_text().replace("image=4,u32", f"image={image}")
    with LocalTarget(interpreter=device.interpreter).session() as session:
        session.push({"plan.txt": text.encode(), "copy.cl": tmp_path / "copy.cl"})
        args = ["run", "--plan", "plan.txt", "--out", "result", "--deadline", "20"]
        run = session.run("opencl", args, results=["result.json"], deadline=20)
        if run.exit == 0:  # the worker: the buffer is refused, and with it the step
            reason = json.loads(run.files["result.json"].read_text())["steps"][0]["reason"]
            assert problem in reason
        else:
            assert run.exit == 2 and problem in run.stderr
