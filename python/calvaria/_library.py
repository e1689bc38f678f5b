"""The shared library by ctypes: structures and prototypes of calvaria.h, nothing else."""

from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, Structure, c_char, c_char_p, c_double, c_float, c_int, c_int32, c_int64, c_size_t, c_uint8, c_void_p
from pathlib import Path

OK, FAILED, USAGE, STOPPED = 0, 1, 2, 3
IMPLANT, COMPLETED, SKULL, RAW = 0, 1, 2, 3
JSON, HTML = 0, 1
# numpy's names in the order of enum calvaria_type
TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")


class CError(Structure):
    _fields_ = [("status", c_int32), ("message", c_char * 4092)]


class CArray(Structure):
    _fields_ = [
        ("values", c_void_p),
        ("type", c_int32),
        ("dims", c_int64 * 3),
        ("strides", c_int64 * 3),
        ("affine", c_double * 16),
    ]


PROGRESS = ctypes.CFUNCTYPE(None, c_void_p, c_char_p, c_double)
IS_CANCELLED = ctypes.CFUNCTYPE(c_int, c_void_p)
LOG = ctypes.CFUNCTYPE(None, c_void_p, c_int, c_char_p)


class CWatch(Structure):
    _fields_ = [("context", c_void_p), ("progress", PROGRESS), ("is_cancelled", IS_CANCELLED), ("log", LOG)]


class CMesh(Structure):
    _fields_ = [
        ("n_vertices", c_int64),
        ("n_faces", c_int64),
        ("vertices", POINTER(c_double)),
        ("faces", POINTER(c_int64)),
        ("interval_mm", POINTER(c_float)),
    ]


_STRINGS = POINTER(c_char_p)
_PROTOTYPES = {
    "calvaria_version": (c_char_p, []),
    "calvaria_model_open": (c_int, [POINTER(c_void_p), c_char_p, _STRINGS, POINTER(CError)]),
    "calvaria_model_open_bytes": (c_int, [POINTER(c_void_p), c_void_p, c_size_t, c_char_p, _STRINGS, POINTER(CError)]),
    "calvaria_model_text": (c_char_p, [c_void_p, c_char_p]),
    "calvaria_model_free": (None, [c_void_p]),
    "calvaria_restore": (
        c_int,
        [POINTER(c_void_p), c_void_p, POINTER(CArray), _STRINGS, POINTER(CWatch), POINTER(CError)],
    ),
    "calvaria_result_mask": (c_int, [c_void_p, c_int, c_void_p, POINTER(c_int64), POINTER(CError)]),
    "calvaria_result_field": (c_int, [c_void_p, c_void_p, POINTER(c_int64), POINTER(CError)]),
    "calvaria_result_mesh": (c_int, [c_void_p, POINTER(CMesh), POINTER(CError)]),
    "calvaria_result_report": (c_char_p, [c_void_p, c_int]),
    "calvaria_result_free": (None, [c_void_p]),
}


def _load() -> ctypes.CDLL:
    """The library of this package, else the one that is installed; CALVARIA_LIBRARY names another."""
    beside = Path(__file__).with_name("libcalvaria.so.1")
    loaded = ctypes.CDLL(os.environ.get("CALVARIA_LIBRARY") or (str(beside) if beside.exists() else "libcalvaria.so.1"))
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded


library = _load()


def version() -> str:
    return library.calvaria_version().decode()


def strings(texts: list[str]) -> ctypes.Array:
    """A list of texts ended by NULL."""
    return (c_char_p * (len(texts) + 1))(*[text.encode() for text in texts], None)
