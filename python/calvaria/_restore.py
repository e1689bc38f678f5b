"""Models, restoring, results: NumPy arrays in and out."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Union

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import _library as c

PathLike = Union[str, "os.PathLike[str]"]
Progress = Callable[[str, float], object]
Log = Callable[[str, bool], object]


class Error(RuntimeError):
    """The work, its data or the machine failed."""


class UsageError(Error, ValueError):
    """An argument or an option is wrong."""


class Cancelled(Error):
    """The caller's `cancelled` returned true."""


def _check(status: int, error: c.CError) -> None:
    if status != c.OK:
        kind = {c.USAGE: UsageError, c.STOPPED: Cancelled}.get(status, Error)
        raise kind(error.message.decode(errors="replace"))


def _texts(options: Mapping[str, object]) -> list[str]:
    """{"clearance_mm": 1, "insertable": True} as the library's options; None is not given."""
    texts = []
    for key, value in options.items():
        if isinstance(value, bool):
            texts.append(key if value else f"no-{key}")
        elif value is not None:
            texts.append(f"{key}={value}")
    return texts


def _settings(settings: Mapping[str, object]) -> list[str]:
    return [f"{key}={json.dumps(value)}" for key, value in settings.items()]


class _Watch:
    """The caller's functions as callbacks. What they raise ends the call and is raised again after it."""

    def __init__(self, progress: Progress | None, cancelled: Callable[[], bool] | None, log: Log | None) -> None:
        self.raised: BaseException | None = None

        def guard(function: Callable[..., Any] | None, *arguments: object) -> Any:
            try:
                return function(*arguments) if function and self.raised is None else None
            except BaseException as error:  # KeyboardInterrupt too
                self.raised = error
                return None

        def is_cancelled(_: object) -> int:
            return bool(guard(cancelled)) or self.raised is not None

        self.watch = c.CWatch(
            None,
            c.PROGRESS(lambda _, stage, done: guard(progress, stage.decode(), done)),
            c.IS_CANCELLED(is_cancelled),
            c.LOG(lambda _, warning, line: guard(log, line.decode(errors="replace"), bool(warning))),
        )


@dataclass(frozen=True)
class Mesh:
    """A closed surface, oriented outward."""

    vertices: NDArray[np.float64]  #: (n, 3), RAS mm
    faces: NDArray[np.int64]  #: (m, 3), counter-clockwise from outside
    interval_mm: NDArray[np.float32] | None  #: (n,), half the width of each vertex's 90 % interval, where the model has one


class Result:
    """What was made of a skull. Arrays have the shape and the memory order of the input."""

    def __init__(self, handle: ctypes.c_void_p, like: NDArray[Any], affine: NDArray[np.float64]) -> None:
        self._handle = handle
        self._like = like
        self.affine = affine

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            c.library.calvaria_result_free(self._handle)
            self._handle = None

    def _array(self, dtype: Any) -> tuple[NDArray[Any], Any]:
        array = np.empty_like(self._like, dtype=dtype, subok=False)
        return array, (ctypes.c_int64 * 3)(*array.strides)

    def _mask(self, which: int) -> NDArray[np.uint8]:
        error = c.CError()
        array, strides = self._array(np.uint8)
        status = c.library.calvaria_result_mask(self._handle, which, array.ctypes.data, strides, error)
        _check(status, error)
        return array

    @cached_property
    def implant(self) -> NDArray[np.uint8]:
        """The implant: 0 and 1."""
        return self._mask(c.IMPLANT)

    @cached_property
    def completed(self) -> NDArray[np.uint8]:
        """The skull with its implant."""
        return self._mask(c.COMPLETED)

    @cached_property
    def skull(self) -> NDArray[np.uint8]:
        """The skull as it was read: of a CT, its bone."""
        return self._mask(c.SKULL)

    @cached_property
    def raw(self) -> NDArray[np.uint8]:
        """The prediction before any rule; with keep_raw=True."""
        return self._mask(c.RAW)

    @cached_property
    def field(self) -> NDArray[np.float32]:
        """Millimetres to the implant's surface, positive inside; NaN far from the implant."""
        error = c.CError()
        array, strides = self._array(np.float32)
        _check(c.library.calvaria_result_field(self._handle, array.ctypes.data, strides, error), error)
        return array

    @cached_property
    def mesh(self) -> Mesh:
        """The implant's surface."""
        error, mesh = c.CError(), c.CMesh()
        _check(c.library.calvaria_result_mesh(self._handle, mesh, error), error)

        def copy(pointer: Any, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
            return np.ctypeslib.as_array(pointer, shape).copy() if shape[0] else np.empty(shape, dtype)

        return Mesh(
            copy(mesh.vertices, (mesh.n_vertices, 3), np.float64),
            copy(mesh.faces, (mesh.n_faces, 3), np.int64),
            copy(mesh.interval_mm, (mesh.n_vertices,), np.float32) if mesh.interval_mm else None,
        )

    def _report(self, kind: int) -> str:
        text = c.library.calvaria_result_report(self._handle, kind)
        if text is None:
            raise UsageError("no report was made (report=False)")
        return text.decode()

    @cached_property
    def report(self) -> dict[str, Any]:
        """Measurements and warnings, as NAME_report.json has them."""
        return json.loads(self._report(c.JSON))

    @cached_property
    def report_html(self) -> str:
        """The report as one page, without pictures."""
        return self._report(c.HTML)


class Model:
    """A model in memory, for any number of skulls. Threads that share one wait for each other.

    path: a model file, a run folder, "builtin:mirror", or None for the one that comes with the package. settings: over
    the model's restoration, as {"threshold": 0.4}.
    """

    def __init__(self, path: PathLike | None = None, settings: Mapping[str, object] | None = None) -> None:
        self._handle: ctypes.c_void_p | None = None
        error, handle = c.CError(), ctypes.c_void_p()
        name = os.fsencode(path) if path is not None else None
        _check(c.library.calvaria_model_open(handle, name, c.strings(_settings(settings or {})), error), error)
        self._handle = handle

    @classmethod
    def from_bytes(cls, data: bytes, name: str = "model", settings: Mapping[str, object] | None = None) -> Model:
        """From a model file's bytes; name stands for the path in messages and reports."""
        self = cls.__new__(cls)
        self._handle = None
        error, handle = c.CError(), ctypes.c_void_p()
        texts = c.strings(_settings(settings or {}))
        _check(c.library.calvaria_model_open_bytes(handle, data, len(data), name.encode(), texts, error), error)
        self._handle = handle
        return self

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            c.library.calvaria_model_free(self._handle)
            self._handle = None

    def text(self, key: str) -> str | None:
        """What the model states of itself: "path", "licence", "name", "metrics" ..."""
        text = c.library.calvaria_model_text(self._handle, key.encode())
        return None if text is None else text.decode(errors="replace")

    def restore(
        self,
        skull: ArrayLike,
        affine: ArrayLike,
        *,
        clearance_mm: float = 0,
        min_thickness_mm: float = 0,
        insertable: bool = False,
        mesh: bool = True,
        report: bool = True,
        progress: Progress | None = None,
        cancelled: Callable[[], bool] | None = None,
        log: Log | None = None,
        **options: object,
    ) -> Result:
        """Restores a skull: a mask of bone, labels, or a CT in Hounsfield units; affine: index to RAS mm, 4 x 4.

        progress(stage, done): done from 0 to 1. cancelled(): true ends the call with Cancelled. log(line, is_warning).
        They run in the calling thread; what they raise ends the call. options: the program's, as label=2, threads=4,
        max_memory="2G".
        """
        array, index_to_ras = _input(skull, affine)
        source = c.CArray(array.ctypes.data, c.TYPES.index(array.dtype.name))
        source.dims, source.strides = tuple(array.shape), tuple(array.strides)
        source.affine = tuple(float(value) for value in index_to_ras.ravel())
        texts = _texts({"clearance_mm": clearance_mm, "min_thickness_mm": min_thickness_mm} | options)
        texts += ["insertable"] * insertable + ["no-mesh"] * (not mesh) + ["no-report"] * (not report)

        watch, error, handle = _Watch(progress, cancelled, log), c.CError(), ctypes.c_void_p()
        status = c.library.calvaria_restore(handle, self._handle, source, c.strings(texts), watch.watch, error)
        if status == c.OK:
            result = Result(handle, array, index_to_ras)
        if watch.raised is not None:
            raise watch.raised
        _check(status, error)
        return result


def _input(skull: ArrayLike, affine: ArrayLike) -> tuple[NDArray[Any], NDArray[np.float64]]:
    array = np.asarray(skull)
    if array.dtype == np.bool_:
        array = array.view(np.uint8)
    elif array.dtype == np.float16:
        array = array.astype(np.float32)
    elif not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.ndim != 3:
        raise UsageError(f"the skull has {array.ndim} dimensions, expected 3")
    if array.dtype.name not in c.TYPES:
        raise UsageError(f"the skull's values are of type {array.dtype.name} (expected integers or floats)")
    matrix = np.asarray(affine, dtype=np.float64)
    if matrix.shape != (4, 4):
        raise UsageError(f"the affine is of shape {matrix.shape}, expected (4, 4)")
    return array, matrix


def default_model() -> str:
    """The path of the model that restore() takes without one."""
    path = Model().text("path")
    assert path is not None
    return path


def restore(skull: ArrayLike, affine: ArrayLike, model: Model | PathLike | None = None, **options: Any) -> Result:
    """Restores a skull; see Model.restore. For many skulls open a Model once."""
    return (model if isinstance(model, Model) else Model(model)).restore(skull, affine, **options)
