"""test_wheel.py PROGRAM HEAD.nii.gz - the installed package gives the bits that the program writes, and behaves like Python."""

import gzip
import json
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import calvaria
import numpy as np

PROGRAM, HEAD = sys.argv[1:]
AFFINE = np.array([[-2.5, 0, 0, 90], [0, 0, 2.5, -80], [0, -2.5, 0, 110], [0, 0, 0, 1]])
failed = 0


def check(ok, what):
    global failed
    if not ok:
        failed += 1
        print("FAILED:", what)


def raises(kind, part, function):
    try:
        function()
    except kind as error:
        check(part in str(error), f"{kind.__name__}: {part!r} is not in {str(error)!r}")
        return
    check(False, f"no {kind.__name__} ({part})")


def head():
    """A shell with a hole, axes R-L, S-I, P-A."""
    x, y, z = np.meshgrid(np.arange(72), np.arange(60), np.arange(80), indexing="ij")
    r = ((x - 36) / 31) ** 2 + ((y - 52) / 48) ** 2 + ((z - 40) / 36) ** 2
    hole = (x > 46) & (abs(z - 44) < 11) & (y < 36)
    return ((r < 1) & (r > 0.78) & (y < 56) & ~hole).astype(np.uint8)


def write_nifti(path, array, affine):
    codes = {"uint8": (2, 8), "int16": (4, 16)}
    code, bits = codes[array.dtype.name]
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<8h", header, 40, 3, *array.shape, 1, 1, 1, 1)
    struct.pack_into("<2h", header, 70, code, bits)
    struct.pack_into("<8f", header, 76, 1, *np.linalg.norm(affine[:3, :3], axis=0), 0, 0, 0, 0)
    struct.pack_into("<3f", header, 108, 352, 1, 0)
    header[123] = 2
    struct.pack_into("<2h", header, 252, 0, 1)
    struct.pack_into("<12f", header, 280, *affine[:3].ravel())
    header[344:348] = b"n+1\0"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(bytes(header) + array.tobytes(order="F"))


def read_nifti(path):
    data = gzip.open(path).read()
    shape = struct.unpack_from("<3h", data, 42)
    return np.frombuffer(data, np.uint8, offset=352).reshape(shape, order="F")


def read_affine(path):
    rows = struct.unpack_from("<12f", gzip.open(path).read(), 280)
    return np.vstack([np.reshape(rows, (3, 4)), [0, 0, 0, 1]]).astype(float)


def program(folder, skull, affine, *options):
    write_nifti(folder / "head_defective.nii.gz", skull, affine)
    out = folder / "out"
    command = [PROGRAM, folder / "head_defective.nii.gz", "--out", out, "--no-picture", "--keep-raw", "--overwrite",
               "--mesh-space", "ras", "--quiet", *options]
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    return out


def test_bits(folder, model):
    """With the default model (None) and another one, in Fortran and in C order."""
    skull, affine = (head(), AFFINE) if model else (read_nifti(HEAD), read_affine(HEAD))
    out = program(folder, skull, affine, "--clearance-mm", "1", *(["--model", model] if model else []))
    for order in "FC":
        result = calvaria.restore(np.asarray(skull, order=order), affine, model, clearance_mm=1, keep_raw=True,
                                  name="head_defective.nii.gz")
        for name in ("implant", "completed", "raw"):
            got, expected = getattr(result, name), read_nifti(out / f"head_{name}.nii.gz")
            check(expected.any() and np.array_equal(got, expected), f"{model}, {order}: {name}")
            check(got.dtype == np.uint8 and got.flags.f_contiguous == (order == "F"), f"{order}: {name}'s memory")
        check(np.array_equal(result.skull, skull), "skull")
        stl = (out / "head_implant.stl").read_bytes()
        corners = np.frombuffer(stl, np.dtype([("n", "<f4", 3), ("v", "<f4", (3, 3)), ("a", "<u2")]), offset=84)["v"]
        mesh = result.mesh
        check(len(corners) > 100 and np.array_equal(mesh.vertices[mesh.faces].astype(np.float32), corners), "mesh")
        report = json.loads((out / "head_report.json").read_text())
        for key in ("input", "model", "implant", "mesh", "insertion", "warnings"):
            check(result.report[key] == report[key], f"{model}: report: {key}")
        check("<h2>Implant</h2>" in result.report_html, "page")
        inside = result.field[result.implant == 1]
        check(result.field.dtype == np.float32 and np.nanmax(result.field) > 1 and (inside > 0).mean() > 0.85, "field")


def test_inputs():
    skull, options = head(), {"report": False, "mesh": False}
    implant = calvaria.restore(skull, AFFINE, "builtin:mirror", **options).implant
    for dtype in (bool, np.int16, np.float32, np.float64, np.float16, ">i4", np.uint64):
        other = calvaria.restore(skull.astype(dtype), AFFINE, "builtin:mirror", **options)
        check(np.array_equal(other.implant, implant), f"{dtype}")
    turned = AFFINE @ np.array([[-1, 0, 0, 71], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    other = calvaria.restore(skull[::-1], turned, "builtin:mirror", **options).implant
    check(np.array_equal(other[::-1], implant), "a view that runs backwards")
    wide = np.zeros((72, 60, 160), np.uint8)
    wide[:, :, ::2] = skull
    check(np.array_equal(calvaria.restore(wide[:, :, ::2], AFFINE, "builtin:mirror", **options).implant, implant), "strides")


def test_errors():
    skull, model = head(), calvaria.Model("builtin:mirror")
    raises(calvaria.UsageError, "2 dimensions", lambda: model.restore(skull[0], AFFINE))
    raises(calvaria.UsageError, "complex", lambda: model.restore(skull.astype(complex), AFFINE))
    raises(ValueError, "expected (4, 4)", lambda: model.restore(skull, AFFINE[:3]))
    raises(calvaria.UsageError, "did you mean '--clearance-mm'", lambda: model.restore(skull, AFFINE, clearence_mm=1))
    raises(calvaria.Error, "skull", lambda: model.restore(skull * 0, AFFINE))
    raises(calvaria.Error, "no such file", lambda: calvaria.restore(skull, AFFINE, "/absent.h5"))
    raises(calvaria.UsageError, "did you mean 'threshold'", lambda: calvaria.Model(settings={"treshold": 1}))
    bare = model.restore(skull, AFFINE, mesh=False, report=False)
    raises(calvaria.UsageError, "no report", lambda: bare.report)
    raises(calvaria.UsageError, "no-mesh", lambda: bare.mesh)
    raises(calvaria.UsageError, "keep-raw", lambda: bare.raw)


def test_callbacks():
    skull, model, seen, lines = head(), calvaria.Model("builtin:mirror"), [], []
    model.restore(skull, AFFINE, progress=lambda stage, done: seen.append(done), log=lambda line, bad: lines.append(bad))
    check(len(seen) > 4 and seen == sorted(seen) and seen[-1] == 1, "progress rises to 1")
    check(any(lines), "warnings go to log")
    raises(calvaria.Cancelled, "stopped on request", lambda: model.restore(skull, AFFINE, cancelled=lambda: True))

    def bad(stage, done):
        raise KeyError("mine")

    raises(KeyError, "mine", lambda: model.restore(skull, AFFINE, progress=bad))
    check(model.restore(skull, AFFINE, report=False).implant.any(), "the model lives on")


def test_threads():
    """Two models in two threads, and another thread of Python runs meanwhile: the library leaves the interpreter free."""
    skull, affine, results, ticks = read_nifti(HEAD), read_affine(HEAD), [None] * 2, []
    done = threading.Event()

    def tick():
        while not done.wait(0.002):
            ticks.append(1)

    def work(i):
        results[i] = calvaria.Model().restore(skull, affine).implant

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    ticker = threading.Thread(target=tick)
    for thread in [ticker, *threads]:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    ticker.join()
    check(np.array_equal(*results) and results[0].any(), "two threads, the same bits")
    check(len(ticks) > 5, f"the interpreter was held: {len(ticks)} ticks")


def test_bytes():
    path = calvaria.default_model()
    check(Path(path).parent.parent == Path(calvaria.__file__).parent, f"the default model is not the package's: {path}")
    skull, affine, data = read_nifti(HEAD), read_affine(HEAD), Path(path).read_bytes()
    a = calvaria.Model.from_bytes(data, Path(path).name).restore(skull, affine)
    b = calvaria.restore(skull, affine)
    check(np.array_equal(a.implant, b.implant) and a.report["model"] == b.report["model"], "a model from bytes")
    check(calvaria.Model.from_bytes(data).text("licence") == calvaria.Model(path).text("licence"), "licence")


with tempfile.TemporaryDirectory() as name:
    for path in (None, "builtin:mirror"):
        test_bits(Path(name), path)
test_inputs()
test_errors()
test_callbacks()
test_threads()
test_bytes()
print("failed:" if failed else "ok", failed or calvaria.__version__)
sys.exit(failed > 0)
