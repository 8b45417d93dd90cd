"""LiteRT's CPU engine (XNNPACK) on fully connected layers, as a peer of the agent's CPU kernels.

The model is the recipe LiteRT calls dynamic range: float activations quantised per row at run time, int8 or
int4 weights with one scale a row, which XNNPACK runs with its best kernel for this CPU (on x86 also AMX).
Needs `pip install ai-edge-litert flatbuffers`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

NAME = "XNNPACK"


def _model(shapes: Sequence[tuple[int, int]], n: int, bits: int) -> bytes:
    """A .tflite with one FULLY_CONNECTED a shape (rows, cols); those of equal width share their input."""
    import flatbuffers  # type: ignore[import-untyped, import-not-found, unused-ignore]
    from ai_edge_litert import schema_py_generated as schema  # type: ignore

    rng = np.random.default_rng(0)
    model, graph, code = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT()
    model.version, model.description, model.buffers = 3, "fully connected", [schema.BufferT()]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 9  # the first with int4 weights and float activations
    model.operatorCodes, model.subgraphs = [code], [graph]
    graph.tensors, graph.operators, graph.inputs, graph.outputs = [], [], [], []

    def tensor(shape: tuple[int, int], kind: int, data: Any = None) -> int:
        t = schema.TensorT()
        t.name, t.shape, t.type, t.buffer = f"t{len(graph.tensors)}", list(shape), kind, 0
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = data
            model.buffers.append(buffer)
            t.buffer = len(model.buffers) - 1
            t.quantization = schema.QuantizationParametersT()
            t.quantization.scale = np.full(shape[0], 1e-4, np.float32)
            t.quantization.zeroPoint = np.zeros(shape[0], np.int64)
        graph.tensors.append(t)
        return len(graph.tensors) - 1

    inputs: dict[int, int] = {}
    for rows, cols in shapes:
        if cols not in inputs:
            inputs[cols] = tensor((n, cols), schema.TensorType.FLOAT32)
            graph.inputs.append(inputs[cols])
        data = rng.integers(0, 256, rows * cols * bits // 8, dtype=np.uint8)
        if bits == 8:
            data[data == 128] = 0
        kind = schema.TensorType.INT8 if bits == 8 else schema.TensorType.INT4
        op = schema.OperatorT()
        op.opcodeIndex = 0
        op.inputs = [inputs[cols], tensor((rows, cols), kind, data), -1]
        op.outputs = [tensor((n, rows), schema.TensorType.FLOAT32)]
        op.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
        op.builtinOptions = schema.FullyConnectedOptionsT()
        op.builtinOptions.keepNumDims = True
        graph.operators.append(op)
        graph.outputs += op.outputs
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def prepare(shapes: Sequence[tuple[int, int]], n: int, bits: int, threads: int) -> Callable[[], None]:
    """A call that runs all products once. Raises ImportError without the packages."""
    from ai_edge_litert.interpreter import Interpreter  # type: ignore

    engine = Interpreter(model_content=_model(shapes, n, bits), num_threads=threads)
    engine.allocate_tensors()
    rng = np.random.default_rng(1)
    for each in engine.get_input_details():
        engine.set_tensor(each["index"], rng.standard_normal(each["shape"], dtype=np.float32))
    return engine.invoke  # type: ignore[no-any-return, unused-ignore]
