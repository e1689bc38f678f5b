#!/usr/bin/env python3
"""Exported networks beside ours: onnx's checker, ONNX Runtime's answers, and both against the same graph in float64.

    python scripts/check_onnx.py [BUILD] [layers] [networks] [models]     default: build, and all three
                                                 BUILD holds calvaria and tests/infer/model_probe
                                                 needs onnx, onnxruntime and numpy; pynrrd and ../shared/data for real patches

layers: every layer type with its options as a small network of random weights, on even and odd sizes, the size left open and fixed. networks:
every one of configs/networks with random weights at reduced patches, on noise and on a real skull. models: those in models/, every stage, on a
real skull as restored. A line per case: the largest difference of ours from ONNX Runtime's, of ours from float64 (onnx_double.py) and of
ONNX Runtime's from float64, over the largest value. A case holds when the first is within 1e-4, or, where float32 itself is not,
when ours is no farther from float64 than ONNX Runtime's. Exit 1 when one does not.
"""
import glob
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnx_double
import onnxruntime as ort

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
PARTS = [a for a in sys.argv[1:] if a in ("layers", "networks", "models")]
BUILD = os.path.abspath(next((a for a in sys.argv[1:] if a not in PARTS), os.path.join(ROOT, "build")))
PROBE, CALVARIA = os.path.join(BUILD, "tests/infer/model_probe"), os.path.join(BUILD, "calvaria")
LIMIT = 1e-4
sys.path.insert(0, os.path.join(ROOT, "docs"))
import restore_onnx

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
    "instance_norm, a real skull": ("{type: instance_norm}", ((64, 64, 64),)),
    "batch_norm at test, a real skull": ("{type: batch_norm, batch_statistics_at_test: true}", ((64, 64, 64),)),
    "group_norm, a real skull": ("{type: conv, filters: 6, kernel: 1}, {type: group_norm, groups: 3}", ((64, 64, 64),)),
    "group_norm": ("{type: conv, filters: 6, kernel: 1}, {type: group_norm, groups: 3}", (EVEN, ODD)),
    "group_norm plain": ("{type: conv, filters: 6, kernel: 1}, {type: group_norm, groups: 2, affine: false}", (EVEN, ODD)),
    **{a: ("{type: %s}" % a, (EVEN, ODD)) for a in ("relu", "tanh", "sigmoid", "softmax", "dropout")},
    "leaky_relu": ("{type: leaky_relu, slope: 0.3}", (EVEN, ODD)),
    "add": ("{name: a, type: relu}, {name: b, type: tanh}, {type: add, from: [a, b]}", (EVEN, ODD)),
    "add three": ("{name: a, type: relu}, {name: b, type: tanh}, {name: c, type: sigmoid}, {type: add, from: [a, b, c]}", (EVEN, ODD)),
    "scale": ("{type: scale, factor: -2.5, offset: 0.75}", (EVEN, ODD)),
    "multiply": ("{name: a, type: relu}, {name: b, type: tanh}, {type: multiply, from: [a, b]}", (EVEN, ODD)),
    "concat": ("{name: a, type: relu}, {name: b, type: tanh}, {type: concat, from: [a, b, a]}", (EVEN, ODD)),
    "slice": ("{type: slice, first: 1, channels: 3}", (EVEN, ODD)),
    "concat input": ("{name: output, type: relu}, {type: concat, from: [input, output]}", (EVEN, ODD)),
    "flatten, dense": ("{type: flatten}, {type: dense, units: 4}, {type: leaky_relu}, {type: dense, units: 3, bias: false}", (EVEN, ODD)),
    "global_pool, dense": ("{type: global_pool}, {type: dense, units: 4}, {type: batch_norm}, {type: softmax}", (EVEN, ODD)),
}
NETWORKS = {"n2": (64, 64, 64)}  # patches other than 32^3 (x, y, z)


def run(*command, **options):
    return subprocess.run([str(c) for c in command], check=True, stdout=subprocess.PIPE, **options).stdout


def ours(model, source, stage=()):
    n, _, z, y, x = source.shape
    return np.frombuffer(run(PROBE, "forward", model, n, x, y, z, *stage, input=np.ascontiguousarray(source, np.float32).tobytes()), np.float32)


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
        self.worst, self.cases, self.failed, self.rounding = 0, 0, 0, 0

    def case(self, name, model, path, source, stage=()):
        exact = onnx_double.answer(path, source)
        scale = np.abs(exact).max()
        values = [ours(model, source, stage), runtime(path).run(["output"], {"input": source})[0].ravel()]
        whole = scale > 0 and all(v.size == exact.size for v in values)
        apart, our_error, their_error = ([np.abs(a - b).max() / scale for a, b in
                                          (values, (values[0], exact.ravel()), (values[1], exact.ravel()))] if whole else [np.inf] * 3)
        within = apart <= LIMIT
        held = within or our_error <= their_error
        self.worst, self.cases = max(self.worst, our_error), self.cases + 1
        self.failed += not held
        self.rounding += held and not within
        print("%-8s %-52s %-16s apart %.1e   from float64: ours %.1e, ONNX Runtime's %.1e" %
              ("ok" if within else "rounding" if held else "FAILED", name, "x".join(map(str, source.shape)), apart, our_error, their_error), flush=True)


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
            if name.endswith("real skull"):
                skull = real_patch(size[::-1])
                if skull is None:
                    print("skipped %s: no ../shared/data" % name)
                    continue
                source[:] = skull
            table.case(name, *export(folder, yaml, seed), source)
            table.case(name + ", fixed size", *export(folder, yaml, seed, "--patch-vox", "%d,%d,%d" % size), source)


def check_networks(table, folder, rng):
    for yaml in sorted(glob.glob(os.path.join(ROOT, "configs/networks/*.yaml"))):
        name = os.path.basename(yaml)[:-5]
        size = NETWORKS.get(name, (32, 32, 32))
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


def real_input(told, skull, header, implant):
    """A model's input as calvaria prepares it, from a skull x, y, z: the frame of a whole one, or the patch around what is missing."""
    patch, spacing = (json.loads(told["calvaria.restore." + key]) for key in ("patch_vox", "working_spacing_mm"))
    steps = [mm / np.linalg.norm(axis) for mm, axis in zip(spacing, header["space directions"])]
    parts = [restore_onnx.averaged(volume, steps) for volume in (skull, implant)]
    if told["calvaria.restore.scan"] == "whole":
        at, parts = restore_onnx.frame_at(parts[0], patch), parts[:1]
    else:
        middle = np.argwhere(parts[1] > 0).mean(0).astype(int)
        at = [m - p // 2 for m, p in zip(middle, patch)]
    here = restore_onnx.window(at, patch)
    return np.stack([np.pad(part, [(p, p) for p in patch])[here].transpose(2, 1, 0) for part in parts])[None]


def check_models(table, folder):
    """A fine stage's second channel is the missing bone itself here, where a good coarse stage would put it."""
    path = os.path.join(ROOT, "..", "shared", "data", "skullfix", "000_defective.nrrd")
    if not os.path.exists(path):
        print("skipped the models on a real skull: no ../shared/data")
        return
    import nrrd
    skull, header = nrrd.read(path)
    implant, _ = nrrd.read(path.replace("defective", "implant"))
    for model in sorted(glob.glob(os.path.join(ROOT, "models", "*.h5"))):
        for stage in ("fine", "coarse"):
            path = os.path.join(folder, "model.onnx")
            if subprocess.run([CALVARIA, "export", model, "--onnx", path, "--stage", stage], capture_output=True).returncode != 0:
                continue  # one stage alone
            onnx.checker.check_model(path, full_check=True)
            told = runtime(path).get_modelmeta().custom_metadata_map
            source = real_input(told, skull, header, implant).astype(np.float32)
            table.case("%s, %s, real skull" % (os.path.basename(model), told["calvaria.name"]), model, path, source, (stage,))


def main():
    table, rng = Table(), np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        if not PARTS or "layers" in PARTS:
            check_layers(table, folder, rng)
        if not PARTS or "networks" in PARTS:
            check_networks(table, folder, rng)
        if not PARTS or "models" in PARTS:
            check_models(table, folder)
    print("%d cases: %d within %g, %d more as near to float64 as ONNX Runtime, %d neither; our worst distance from float64 %.1e (onnx %s, onnxruntime %s)" %
          (table.cases, table.cases - table.failed - table.rounding, LIMIT, table.rounding, table.failed, table.worst, onnx.__version__, ort.__version__))
    sys.exit(table.failed > 0 or table.cases == 0)


if __name__ == "__main__":
    main()
