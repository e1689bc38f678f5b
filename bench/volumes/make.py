#!/usr/bin/env python3
"""Volumes as hospitals send them, from one real skull: thick slices, very thin slices, tilted heads, an oblique affine, fields of view that end
within the head, coarse voxels, noise.

    make.py NNN_complete.nrrd NNN_implant.nrrd OUT [NAME...]

writes OUT/in/NAME_defective.* and OUT/truth/NAME_{implant,defective}.*; without names, those that run.sh restores and compares.
experiments/restoration/robust.sh takes others. Needs numpy, scipy, pynrrd; nibabel for oblique and nod-25."""
import os, sys
import numpy as np, nrrd
from scipy import ndimage

complete, header = nrrd.read(sys.argv[1])
implant, _ = nrrd.read(sys.argv[2])
out = sys.argv[3]
for folder in ("in", "truth"):
    os.makedirs(os.path.join(out, folder), exist_ok=True)
axes, origin = np.array(header["space directions"]), np.array(header["space origin"])
spacing = np.linalg.norm(axes, axis=1)
centre = (np.array(complete.shape) - 1) / 2
found = [np.flatnonzero(complete.any(axis=tuple({0, 1, 2} - {a}))) for a in range(3)]
box = [[f[0] for f in found], [f[-1] for f in found]]  # of the bone, ends included


def sampled(mask, index_axes, first, dims):
    """mask at first + i * index_axes, linear, more than half; computed in the box where bone may be"""
    index_axes = np.array(index_axes, float)
    corners = np.array([[box[k][a] for a, k in enumerate(pick)] for pick in np.ndindex(2, 2, 2)])
    corners = (corners - first) @ np.linalg.inv(index_axes)
    low = np.clip(np.floor(corners.min(axis=0)).astype(int) - 1, 0, dims)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 2, low, dims)
    ret = np.zeros(dims, bool)
    part = ndimage.affine_transform(mask.astype(np.float32), index_axes.T, first + low @ index_axes, tuple(high - low), order=1)
    ret[tuple(slice(a, b) for a, b in zip(low, high))] = part > 0.5
    return ret


def write_nrrd(path, mask, axes, origin, dtype):
    nrrd.write(path, mask.astype(dtype), {"space": header.get("space", "left-posterior-superior"), "space directions": axes,
                                          "space origin": origin, "kinds": ["domain"] * 3, "encoding": "gzip", "units": ["mm"] * 3}, compression_level=1)


def put(name, bone, gap, axes, origin, nifti=False, seen=None):
    """seen: the input, where it is not the bone without the gap"""
    bone, gap = bone > 0, gap > 0
    for folder, what, mask in (("in", "defective", bone & ~gap if seen is None else seen), ("truth", "defective", bone & ~gap), ("truth", "implant", gap)):
        path = os.path.join(out, folder, f"{name}_{what}")
        if nifti:
            import nibabel
            lps = np.eye(4)
            lps[:3, :3], lps[:3, 3] = axes.T, origin
            image = nibabel.Nifti1Image(mask.astype(np.int16), np.diag([-1, -1, 1, 1]) @ lps)
            image.set_qform(image.affine, 1)
            image.set_sform(image.affine, 2)
            nibabel.save(image, path + ".nii.gz")
        else:
            write_nrrd(path + ".nrrd", mask, axes, origin, np.int32 if folder == "in" else np.uint8)
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


def tilted(name, about, degrees, nifti=False, more=90):
    """the head turned about an axis of the volume, whose axes stay upright; more: slices, so that a tilted head fits"""
    dims = np.array(complete.shape) + (0, 0, more)
    index_axes = (turned(about, degrees) * spacing[:, None]) / spacing[None, :]  # row a: index step of the new axis a
    first = centre - ((dims - 1) / 2) @ index_axes
    put(name, *(sampled(m, index_axes, first, tuple(dims)) for m in (complete, implant)), np.diag(spacing), origin, nifti)


def cropped(name, lowest, past=None):
    put(name, complete[:, :, lowest:past], implant[:, :, lowest:past], axes, origin + lowest * axes[2])


def averaged(mask, axis, step):
    """the mean over `step` voxels of an axis, of a mask blurred by half a voxel: else many voxels would be half bone exactly"""
    edges = np.arange(int(mask.shape[axis] / step + 1e-6) + 1) * step
    soft = ndimage.gaussian_filter1d(mask.astype(np.float32), 0.5, axis=axis)
    total = np.cumsum(np.insert(soft, 0, 0, axis=axis), axis=axis)
    low = np.minimum(edges.astype(int), mask.shape[axis] - 1)
    share = (edges - low).reshape([-1 if a == axis else 1 for a in range(3)]).astype(np.float32)
    return np.diff(np.take(total, low, axis) * (1 - share) + np.take(total, low + 1, axis) * share, axis=axis) / step


def coarse(name, size_mm):
    """voxels of this size, bone where more than half of a voxel is"""
    step = np.maximum(np.array(size_mm) / spacing, 1)
    masks = []
    for mask in (complete, implant):
        for axis in (2, 1, 0):
            mask = averaged(mask, axis, step[axis]) if step[axis] > 1 else mask
        masks.append(mask > 0.5)
    put(name, *masks, axes * step[:, None], origin + (step / 2 - 0.5) @ axes)


def noisy(name, blur_mm, sd):
    """a threshold on a blurred skull with noise: a rough surface and specks; the implant stays as it is"""
    value = ndimage.gaussian_filter((complete > implant).astype(np.float32), blur_mm / spacing)
    noise = np.random.default_rng(1).standard_normal(complete.shape, dtype=np.float32)
    put(name, complete, implant, axes, origin, seen=value + sd * noise > 0.5)


bottom, top = box[0][2], box[1][2]
variants = {
    "native": lambda name: put(name, complete, implant, axes, origin),
    "healthy": lambda name: put(name, complete, np.zeros_like(implant), axes, origin),
    "oblique": lambda name: put(name, complete, implant, np.diag(spacing) @ turned(0, 25) @ turned(1, -25), origin, nifti=True),
    "thick60": lambda name: resliced(name, 60),
    "cropped": lambda name: cropped(name, int(0.45 * complete.shape[2])),
    "nod25": lambda name: tilted(name, 0, 25),
    "nod-25": lambda name: tilted(name, 0, -25, nifti=True),
    "roll25": lambda name: tilted(name, 1, 25),
    "thin800": lambda name: resliced(name, 800),
    "turn90": lambda name: tilted(name, 2, 90, more=0),
    "upside_down": lambda name: tilted(name, 0, 180, more=0),
    "vertex_cut": lambda name: cropped(name, 0, top + 1 - int(20 / spacing[2])),
    "upper_half": lambda name: cropped(name, (bottom + top) // 2),
    "slices_2.5mm": lambda name: coarse(name, (0, 0, 2.5)),
    "slices_5mm": lambda name: coarse(name, (0, 0, 5)),
    "voxels_2mm": lambda name: coarse(name, (2, 2, 2)),
    "noise": lambda name: noisy(name, 0.5, 0.2),
}
for name in sys.argv[4:] or "native healthy oblique thick60 cropped nod25 nod-25 roll25 thin800".split():
    variants[name](name)
