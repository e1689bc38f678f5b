#!/usr/bin/env python3
"""Exported networks beside ours: onnx's checker, and ONNX Runtime's answers to 1e-4 relative.

    python scripts/check_onnx.py [BUILD]         BUILD (default build) holds calvaria and tests/infer/model_probe
                                                 needs onnx, onnxruntime and numpy; pynrrd and ../shared/data for real patches

Every layer type with its options as a small network of random weights, on even and odd sizes, the size left open and fixed; then every network
of configs/networks at reduced patches, on random and on real skulls. Prints one line per case: the largest difference over the
largest value. Exit 1 when one exceeds 1e-4.
"""
import glob
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
BUILD = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "build"))
PROBE, CALVARIA = os.path.join(BUILD, "tests/infer/model_probe"), os.path.join(BUILD, "calvaria")
LIMIT = 1e-4

EVEN, ODD = (12, 8, 16), (11, 7, 13)  # x, y, z
HEAD = "{type: conv, filters: 5, kernel: 3}, "
LAYERS = {  # name: (layers, sizes); HEAD gives each layer 5 channels
    **{"conv k%d s%d %s" % (k, s, p): ("{type: conv, filters: 6, kernel: %d, stride: %d, padding: %s}" % (k, s, p), (EVEN, ODD))
       for k in (1, 2, 3, 4, 5) for s in (1, 2, 3) for p in ("same", "symmetric", "valid")},
    "conv uneven": ("{type: conv, filters: 6, kernel: [5, 3, 4], stride: [1, 2, 3], bias: false}", (EVEN, ODD)),
    **{"conv_transpose k%d s%d %s" % (k, s, p): ("{type: conv_transpose, filters: 6, kernel: %d, stride: %d, padding: %s}" % (k, s, p), (EVEN, ODD))
       for k in (1, 2, 3, 4, 5) for s in (1, 2, 3) for p in ("same", "symmetric", "valid")},
    "conv_transpose uneven": ("{type: conv_transpose, filters: 6, kernel: [5, 3, 2], stride: [2, 1, 3], bias: false}", (EVEN, ODD)),
    **{"upsample %s x%d" % (m, f): ("{type: upsample, mode: %s, factor: %d}" % (m, f), (EVEN, ODD))
       for m in ("nearest", "trilinear") for f in (1, 2, 3)},
    "upsample then conv": ("{type: upsample}, {type: conv, filters: 3, kernel: 5}", (EVEN, ODD)),
    "max_pool": ("{type: max_pool, kernel: [2, 3, 2], stride: [2, 1, 3]}", (EVEN, ODD)),
    "avg_pool": ("{type: avg_pool, kernel: [2, 3, 2], stride: [2, 1, 3]}", (EVEN, ODD)),
    "pools": ("{type: max_pool}, {type: avg_pool}", (EVEN, ODD)),
    "global_pool": ("{type: global_pool}", (EVEN, ODD)),
    "batch_norm": ("{type: batch_norm}", (EVEN, ODD)),
    "batch_norm at test": ("{type: batch_norm, batch_statistics_at_test: true, eps: 1.0e-5}", (EVEN, ODD)),
    "instance_norm": ("{type: instance_norm}", (EVEN, ODD)),
    "instance_norm plain": ("{type: instance_norm, affine: false, eps: 1.0e-3}", (EVEN, ODD)),
    "group_norm": ("{type: conv, filters: 6, kernel: 1}, {type: group_norm, groups: 3}", (EVEN, ODD)),
    "group_norm plain": ("{type: conv, filters: 6, kernel: 1}, {type: group_norm, groups: 2, affine: false}", (EVEN, ODD)),
    **{a: ("{type: %s}" % a, (EVEN, ODD)) for a in ("relu", "tanh", "sigmoid", "softmax", "dropout")},
    "leaky_relu": ("{type: leaky_relu, slope: 0.3}", (EVEN, ODD)),
    "add": ("{name: a, type: relu}, {name: b, type: tanh}, {type: add, from: [a, b]}", (EVEN, ODD)),
    "add three": ("{name: a, type: relu}, {name: b, type: tanh}, {name: c, type: sigmoid}, {type: add, from: [a, b, c]}", (EVEN, ODD)),
    "concat": ("{name: a, type: relu}, {name: b, type: tanh}, {type: concat, from: [a, b, a]}", (EVEN, ODD)),
    "slice": ("{type: slice, first: 1, channels: 3}", (EVEN, ODD)),
    "concat input": ("{name: output, type: relu}, {type: concat, from: [input, output]}", (EVEN, ODD)),
    "flatten, dense": ("{type: flatten}, {type: dense, units: 4}, {type: leaky_relu}, {type: dense, units: 3, bias: false}", (EVEN, ODD)),
    "global_pool, dense": ("{type: global_pool}, {type: dense, units: 4}, {type: batch_norm}, {type: softmax}", (EVEN, ODD)),
}
NETWORKS = {"n2": (128, 128, 64)}  # patches other than 64^3 (x, y, z)


def run(*command, **options):
    return subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, **options).stdout


def ours(model, source):
    n, _, z, y, x = source.shape
    return np.frombuffer(run(PROBE, "forward", model, n, x, y, z, input=np.ascontiguousarray(source, np.float32).tobytes()), np.float32)


def runtime(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def real_patch(shape):
    """A patch of a real defective skull, every second voxel, from where its bone is; None without the data."""
    files = sorted(glob.glob(os.path.join(ROOT, "..", "shared", "data", "skullfix", "*defective*.nrrd")))
    if not files:
        return None
    import nrrd
    volume = nrrd.read(files[0])[0].transpose(2, 1, 0)[::-1][: 2 * shape[0], ::2, ::2][::2]  # z, y, x from the top
    at = [max(0, (n - m) // 2) for n, m in zip(volume.shape, shape)]
    patch = np.zeros(shape, np.float32)
    cut = volume[tuple(slice(a, a + m) for a, m in zip(at, shape))] > 0
    patch[tuple(slice(0, n) for n in cut.shape)] = cut
    return patch


class Table:
    def __init__(self):
        self.worst, self.cases, self.failed = 0, 0, 0

    def case(self, name, model, path, source):
        expected = ours(model, source)
        session = runtime(path)
        got = session.run(["output"], {"input": source})[0]
        scale = np.abs(expected).max()
        off = np.abs(got.ravel() - expected).max() / scale if got.size == expected.size and scale > 0 else np.inf
        self.worst, self.cases = max(self.worst, off), self.cases + 1
        self.failed += not off <= LIMIT
        print("%-7s %-58s %-18s %.1e" % ("ok" if off <= LIMIT else "FAILED", name, "x".join(map(str, source.shape)), off), flush=True)


def export(folder, yaml, seed, *options):
    model, path = os.path.join(folder, "model.h5"), os.path.join(folder, "model.onnx")
    run(PROBE, "make", yaml, seed, model)
    run(CALVARIA, "export", model, "--onnx", path, *options)
    onnx.checker.check_model(path, full_check=True)
    return model, path


def check_layers(table, folder, rng):
    yaml = os.path.join(folder, "network.yaml")
    for seed, (name, (layers, sizes)) in enumerate(LAYERS.items()):
        for size in sizes:
            with open(yaml, "w") as file:
                file.write("network:\n  patch_vox: [%d, %d, %d]\n  layers: [%s%s]\n" % (*size, HEAD, layers))
            source = rng.standard_normal((2, 1, *size[::-1])).astype(np.float32)
            table.case(name, *export(folder, yaml, seed), source)
            table.case(name + ", fixed size", *export(folder, yaml, seed, "--patch-vox", "%d,%d,%d" % size), source)


def check_networks(table, folder, rng):
    for yaml in sorted(glob.glob(os.path.join(ROOT, "configs/networks/*.yaml"))):
        name = os.path.basename(yaml)[:-5]
        size = NETWORKS.get(name, (64, 64, 64))
        if name == "mia_discriminator":  # its dense layer fixes the size
            text = open(yaml).read().replace("[128, 128, 64]", "[%d, %d, %d]" % size)
            yaml = os.path.join(folder, "network.yaml")
            open(yaml, "w").write(text)
        model, path = export(folder, yaml, 1)
        channels = runtime(path).get_inputs()[0].shape[1]
        table.case(name + ", random", model, path, rng.standard_normal((1, channels, *size[::-1])).astype(np.float32))
        skull = real_patch(size[::-1])
        if skull is None:
            print("skipped %s on a real skull: no ../shared/data" % name)
        else:
            table.case(name + ", real skull", model, path, np.repeat(skull[None, None], channels, 1))


def main():
    table, rng = Table(), np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        check_layers(table, folder, rng)
        check_networks(table, folder, rng)
    print("%d cases, %d beyond %g; worst %.1e (onnx %s, onnxruntime %s)" %
          (table.cases, table.failed, LIMIT, table.worst, onnx.__version__, ort.__version__))
    sys.exit(table.failed > 0 or table.cases == 0)


if __name__ == "__main__":
    main()
