"""Model files on disk: what a `.bin`, `.task` or `.litertlm` really is, and whether all of it is there.

Never trusts the file: every read is bounds-checked and counted against a budget, offsets have 64 bits,
nothing is decompressed, and weights are never read. Whatever is wrong with the content is a `Finding`, not
an exception; `InputError` means that the path could not be read at all.

source.py    bounded random access        container.py  which format, and the common result
flat.py      FlatBuffers by hand          tflite.py     a TFLite model: buffers, tensors, metadata
zipdir.py    a ZIP's directory            task.py       .task archives
protobuf.py  protobuf fields by hand      litertlm.py   .litertlm sections
"""

from .container import digest, inspect
from .model import Finding, Format, ModelFile, Section, Severity, TensorGroup, Tflite

__all__ = [
    "Finding",
    "Format",
    "ModelFile",
    "Section",
    "Severity",
    "TensorGroup",
    "Tflite",
    "digest",
    "inspect",
]
