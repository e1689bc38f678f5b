#!/usr/bin/env python3
"""Volumes as hospitals send them, from one real skull: thick slices, very thin slices, a tilted head, an oblique affine, a field of view that
ends at the orbits.  make.py NNN_complete.nrrd NNN_implant.nrrd OUT  writes OUT/in/NAME_defective.* and OUT/truth/NAME_{implant,defective}.*
Needs numpy, scipy, pynrrd, nibabel. run.sh restores and compares them."""
import os, sys
import numpy as np, nrrd, nibabel
from scipy import ndimage

complete, header = nrrd.read(sys.argv[1])
implant, _ = nrrd.read(sys.argv[2])
out = sys.argv[3]
for folder in ("in", "truth"):
    os.makedirs(os.path.join(out, folder), exist_ok=True)
axes, origin = np.array(header["space directions"]), np.array(header["space origin"])
spacing = np.linalg.norm(axes, axis=1)
centre = (np.array(complete.shape) - 1) / 2


def sampled(mask, index_axes, first, dims):
    """mask at first + i * index_axes, linear, more than half"""
    return ndimage.affine_transform(mask.astype(np.float32), np.array(index_axes).T, first, dims, order=1) > 0.5


def write_nrrd(path, mask, axes, origin, dtype=np.int32):
    nrrd.write(path, mask.astype(dtype), {"space": header.get("space", "left-posterior-superior"), "space directions": axes,
                                          "space origin": origin, "kinds": ["domain"] * 3, "encoding": "gzip", "units": ["mm"] * 3})


def put(name, bone, gap, axes, origin, nifti=False):
    bone, gap = bone > 0, gap > 0
    for folder, what, mask in (("in", "defective", bone & ~gap), ("truth", "defective", bone & ~gap), ("truth", "implant", gap)):
        path = os.path.join(out, folder, f"{name}_{what}")
        if nifti:
            lps = np.eye(4)
            lps[:3, :3], lps[:3, 3] = axes.T, origin
            image = nibabel.Nifti1Image(mask.astype(np.int16), np.diag([-1, -1, 1, 1]) @ lps)
            image.set_qform(image.affine, 1)
            image.set_sform(image.affine, 2)
            nibabel.save(image, path + ".nii.gz")
        else:
            write_nrrd(path + ".nrrd", mask, axes, origin)
    print(f"{name:10s} {'x'.join(map(str, bone.shape)):12s} {np.linalg.norm(axes, axis=1).round(3)} mm, implant {gap.sum() * abs(np.linalg.det(axes)) / 1000:.1f} ml",
          flush=True)


def resliced(name, n):
    step = complete.shape[2] / n
    first = np.array([0, 0, 0.5 * step - 0.5])
    dims = (*complete.shape[:2], n)
    nearest = np.floor((np.arange(n) + 0.5) * step).astype(int)
    masks = [m[:, :, nearest] if step < 1 else sampled(m, np.diag([1, 1, step]), first, dims) for m in (complete, implant)]
    put(name, *masks, axes * [[1], [1], [step]], origin + first @ axes)


def turned(about, degrees):
    a, b = [k for k in range(3) if k != about]
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn = np.eye(3)
    turn[a, a], turn[a, b], turn[b, a], turn[b, b] = c, -s, s, c
    return turn


def tilted(name, about, degrees, nifti):
    dims = np.array(complete.shape) + (0, 0, 90)
    index_axes = (turned(about, degrees) * spacing[:, None]) / spacing[None, :]  # row a: index step of the new axis a
    first = centre - ((dims - 1) / 2) @ index_axes
    put(name, *(sampled(m, index_axes, first, tuple(dims)) for m in (complete, implant)), np.diag(spacing), origin, nifti)


def cropped(name):
    lowest = int(0.45 * complete.shape[2])
    put(name, complete[:, :, lowest:], implant[:, :, lowest:], axes, origin + lowest * axes[2])


put("native", complete, implant, axes, origin)
put("healthy", complete, np.zeros_like(implant), axes, origin)
put("oblique", complete, implant, np.diag(spacing) @ turned(0, 25) @ turned(1, -25), origin, nifti=True)
resliced("thick60", 60)
cropped("cropped")
tilted("nod25", 0, 25, nifti=False)
tilted("nod-25", 0, -25, nifti=True)
tilted("roll25", 1, 25, nifti=False)
resliced("thin800", 800)
