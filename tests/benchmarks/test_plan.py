from gemmafit.base.names import Backend
from gemmafit.benchmarks.plan import Arg, Buffer, Dispatch, Kernel, Plan, Step, Transfer, buffers, ints, parse


def test_text_round_trip() -> None:
    plan = Plan(
        Backend.VULKAN,
        (
            Buffer("w", 4096, "i8", seed=7, rows=64, cols=64, tile=(4, 16), transposed=True, first=128),
            Buffer("s", 256, "f32", seed=8, rows=1, cols=64, lo=0.1, hi=1e-7),
            Buffer("t", 2, "hex", data=b"\x01\xff"),
        ),
        (Kernel("k", file="k.spv", bindings=2, push=4, spec=((0, 64), (1, 0.5)), subgroup=16),),
        (Step("a", (Dispatch("k", buffers("w", "s") + ints(3) + (Arg("F", 0.1),), (4, 1, 1)),), ("s",)),),
        {"device": "0"},
    )
    assert parse(plan.to_text()) == plan


def test_what_is_loaded_and_transferred() -> None:
    plan = Plan(
        Backend.OPENCL,
        (Buffer("w", 8 << 20, "i8", rows=1 << 12, cols=1 << 11, stored=True), Buffer("x", 1 << 20)),
        (Kernel("k", file="k.cl"),),
        (
            Step("load", (Dispatch("k", buffers("w"), (1,)),), load=4 << 20, cold=True),
            Step("write", (), transfer=Transfer("write", "x")),
        ),
        {"programs": "keep"},
    )
    assert parse(plan.to_text()) == plan
    assert plan.size == (8 << 20) + (1 << 20) + (4 << 20), "with the piece that is beside the buffers"
