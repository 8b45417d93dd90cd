"""Model files on disk: what a file really is, whatever it is called, and whether all of it is there.

Never trusts the file: every read is bounds-checked and counted against a budget, offsets have 64 bits,
nothing is decompressed, and weights are never read. Whatever is wrong with the content is a `Finding`, not
an exception; `InputError` means that the path could not be read at all.

source.py    bounded random access        container.py  the table of formats; model.py  what is found
flat.py      FlatBuffers by hand          tflite.py     a TFLite model: buffers, tensors, metadata
zipdir.py    a ZIP's directory            task.py       .task archives
protobuf.py  protobuf fields by hand      litertlm.py   .litertlm sections
strangers.py what people have instead     gguf.py       llama.cpp's .gguf
"""

from .container import CONTAINERS, Container, digest, inspect
from .model import Finding, ModelFile, Section, Severity, TensorGroup, Tflite
from .strangers import PARTIAL

__all__ = [
    "CONTAINERS",
    "PARTIAL",
    "Container",
    "Finding",
    "ModelFile",
    "Section",
    "Severity",
    "TensorGroup",
    "Tflite",
    "digest",
    "inspect",
]
