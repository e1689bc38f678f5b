"""An ONNX file's answer in float64: onnx's own reference evaluator on a copy of the graph in double precision, with the operators that are
slow there (convolutions, pools, Resize) written as sums over kernel taps. Neither calvaria's code nor ONNX Runtime's has a part in it."""
import itertools

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun


def taps(x, kernel, stride, out):
    """For each tap of the kernel: its index, and the values of x (N, C, z, y, x; padded) under it."""
    for at in itertools.product(*map(range, kernel)):
        yield at, x[(..., *(slice(a, a + s * (n - 1) + 1, s) for a, s, n in zip(at, stride, out)))]


def padded(x, kernel, stride, pads, auto_pad):
    if auto_pad == "SAME_UPPER":
        total = [max(0, (-(-n // s) - 1) * s + k - n) for n, s, k in zip(x.shape[2:], stride, kernel)]
        pads = [t // 2 for t in total] + [t - t // 2 for t in total]
    return np.pad(x, [(0, 0), (0, 0), *zip(pads[:3], pads[3:])])


def sizes(x, kernel, stride):
    return [(n - k) // s + 1 for n, k, s in zip(x.shape[2:], kernel, stride)]


class Conv(OpRun):
    op_domain = ""

    def _run(self, x, w, b=None, auto_pad="NOTSET", dilations=None, group=1, kernel_shape=None, pads=None, strides=None):
        x = padded(x, w.shape[2:], strides, pads or [0] * 6, auto_pad)
        out = sizes(x, w.shape[2:], strides)
        y = np.zeros((len(x), len(w), np.prod(out)))
        for at, part in taps(x, w.shape[2:], strides, out):
            y += w[(..., *at)] @ part.reshape(*part.shape[:2], -1)
        return ((y if b is None else y + b[:, None]).reshape(*y.shape[:2], *out),)


class ConvTranspose(OpRun):
    op_domain = ""

    def _run(self, x, w, b=None, auto_pad="NOTSET", dilations=None, group=1, kernel_shape=None, output_padding=None, output_shape=None, pads=None,
             strides=None):
        pads, more, size = pads or [0] * 6, output_padding or [0] * 3, x.shape[2:]
        whole = [(n - 1) * s + k + m for n, s, k, m in zip(size, strides, w.shape[2:], more)]
        y = np.zeros((len(x), w.shape[1], *whole))
        for at, part in taps(y, w.shape[2:], strides, size):
            part += (w[(..., *at)].T @ x.reshape(*x.shape[:2], -1)).reshape(part.shape)
        y = y[(..., *(slice(p, n - q) for p, q, n in zip(pads[:3], pads[3:], whole)))]
        return (y if b is None else y + b[:, None, None, None],)


class MaxPool(OpRun):
    op_domain = ""

    def _run(self, x, auto_pad=None, ceil_mode=0, dilations=None, kernel_shape=None, pads=None, storage_order=0, strides=None):
        out = sizes(x, kernel_shape, strides)
        return (np.max([part for _, part in taps(x, kernel_shape, strides, out)], axis=0),)


class AveragePool(OpRun):
    op_domain = ""

    def _run(self, x, auto_pad=None, ceil_mode=0, count_include_pad=0, dilations=None, kernel_shape=None, pads=None, strides=None):
        out = sizes(x, kernel_shape, strides)
        return (np.mean([part for _, part in taps(x, kernel_shape, strides, out)], axis=0),)


class Resize(OpRun):
    op_domain = ""

    def _run(self, x, roi=None, scales=None, sizes=None, mode="nearest", coordinate_transformation_mode="half_pixel", nearest_mode="floor", **_):
        expected = ("nearest", "asymmetric") if mode == "nearest" else ("linear", "half_pixel")
        assert (mode, coordinate_transformation_mode) == expected and nearest_mode in ("floor", "round_prefer_floor")
        for axis, scale in enumerate(scales):
            n, places = x.shape[axis], np.arange(int(x.shape[axis] * scale))
            at = places / scale if mode == "nearest" else np.clip((places + 0.5) / scale - 0.5, 0, n - 1)
            low = np.floor(at).astype(int)
            part = ((at - low) * (mode == "linear")).reshape(-1, *[1] * (x.ndim - axis - 1))
            x = np.take(x, low, axis) * (1 - part) + np.take(x, np.minimum(low + 1, n - 1), axis) * part
        return (x,)


def in_double(model):
    """A copy with every float32 weight and end as float64."""
    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    for i, tensor in enumerate(twin.graph.initializer):
        if tensor.data_type == TensorProto.FLOAT and not tensor.name.endswith("/scales"):
            twin.graph.initializer[i].CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))
    for value in [*twin.graph.input, *twin.graph.output]:
        value.type.tensor_type.elem_type = TensorProto.DOUBLE
    return twin


def answer(path, source):
    """The output for source (N, C, z, y, x), in float64."""
    session = ReferenceEvaluator(in_double(onnx.load(path)), new_ops=[Conv, ConvTranspose, MaxPool, AveragePool, Resize])
    return session.run(["output"], {"input": source.astype(np.float64)})[0]
