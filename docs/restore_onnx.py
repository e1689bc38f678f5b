#!/usr/bin/env python3
"""Restores a skull by ONNX Runtime and what the exported file says of itself, without calvaria.

    calvaria export MODEL --onnx model.onnx              (of a cascade: --stage coarse)
    python docs/restore_onnx.py model.onnx SKULL.nrrd IMPLANT.nrrd
    python docs/restore_onnx.py ensemble_1.onnx ensemble_2.onnx ... SKULL.nrrd IMPLANT.nrrd     (the mean of its members)

For a network that sees the whole skull in one frame (restore.scan: whole, with a working spacing), and files whose axes run to the
patient's left, back and top. Of a skull with one hole the result is that of `calvaria infer`, but for voxels whose value is the threshold
to the last digit; of several holes keep_largest keeps exactly as many pieces as it says (--set pieces=by_rule).
Needs: pip install numpy scipy pynrrd onnxruntime
"""
import json
import re
import sys

import numpy as np


def boxes(n, m, step):
    """m boxes of `step` voxels around the middle of n voxels: the share of each voxel in each box."""
    edge = (n - m * step) / 2 + step * np.arange(m + 1)
    low, high = np.maximum(edge[:-1, None], np.arange(n)), np.minimum(edge[1:, None], np.arange(1, n + 1))
    return np.maximum(high - low, 0) / step


def splines(n, m, step):
    """Back from the boxes to the voxels: the cubic B-spline between the middles of the boxes."""
    at = (np.arange(n) + 0.5 - n / 2) / step + m / 2 - 0.5
    x = abs(at[:, None] - np.arange(m))
    return np.where(x < 1, 2 / 3 - x ** 2 + x ** 3 / 2, np.where(x < 2, (2 - x) ** 3 / 6, 0))


def along(make, volume, to, steps):
    for axis, (m, step) in enumerate(zip(to, steps)):
        n = volume.shape[axis]
        matrix = make(n, m, step) if make is boxes else make(m, n, step)
        volume = np.moveaxis(np.tensordot(matrix.astype(np.float32), volume, (1, axis)), 0, axis)
    return volume


def averaged(mask, steps):
    """Shares of bone on the grid of the working spacing: `steps` voxels long."""
    return along(boxes, (mask > 0).astype(np.float32), [int(np.ceil(n / s - 1e-3)) for n, s in zip(mask.shape, steps)], steps)


def frame_at(bone, patch):
    """Where the frame begins: centred on the bone from left to right and from front to back, its top two voxels above it."""
    at = np.argwhere(bone >= 0.25)
    low, high = at.min(0), at.max(0) + 1
    return [*((low + high - patch) // 2)[:2], high[2] + 2 - patch[2]]


def window(start, patch):
    """Of a volume with a patch of zeros around it."""
    return tuple(slice(s + p, s + 2 * p) for s, p in zip(start, patch))


def pieces(mask):
    """The pieces of a mask by their faces: their numbers, and their voxels, the largest first."""
    from scipy import ndimage
    label, _ = ndimage.label(mask)
    sizes = np.bincount(label.ravel())[1:]
    order = np.argsort(-sizes, kind="stable")
    return label, order + 1, sizes[order]


def close_rim(implant, skull, spacing, radius):
    """Gaps between implant and bone that a ball of this radius cannot enter, where they are next to the implant."""
    from scipy.ndimage import distance_transform_edt
    within = lambda mask: distance_transform_edt(~mask, sampling=spacing) <= radius
    at, margin = np.argwhere(implant), np.ceil(3 * radius / min(spacing)).astype(int) + 2
    box = tuple(slice(max(0, low - margin), high + 1 + margin) for low, high in zip(at.min(0), at.max(0)))
    other, inside = implant[box] | skull[box], implant.copy()
    closed = ~within(~within(other)) & ~other
    inside[box] |= closed & within(implant[box])
    return inside


def postprocess(implant, skull, spacing, rules):
    """The rules of the model, in order."""
    for rule, value in rules:
        if not implant.any():
            return implant
        if rule == "min_volume_ml":
            label, order, sizes = pieces(implant)
            implant = np.isin(label, order[sizes >= np.ceil(value / (np.prod(spacing) / 1000))])
        elif rule == "keep_largest":
            label, order, sizes = pieces(implant)
            implant = np.isin(label, order[:int(value)])
        elif rule == "close_rim_mm":
            implant = close_rim(implant, skull, spacing, value)
        else:
            sys.exit(f"postprocess: {rule}: not written here")
    return implant


def main(*paths):
    import nrrd
    import onnxruntime
    *models, skull_path, implant_path = paths
    sessions = [onnxruntime.InferenceSession(model) for model in models]
    told = sessions[0].get_modelmeta().custom_metadata_map
    patch, spacing, threshold = (json.loads(told["calvaria.restore." + key]) for key in ("patch_vox", "working_spacing_mm", "threshold"))
    assert told["calvaria.restore.scan"] == "whole" and told["calvaria.restore.task"] == "implant", told["calvaria.preprocessing"]
    skull, header = nrrd.read(skull_path)  # x, y, z
    steps = [mm / np.linalg.norm(axis) for mm, axis in zip(spacing, header["space directions"])]
    bone = averaged(skull, steps)
    here, around = window(frame_at(bone, patch), patch), [(p, p) for p in patch]
    source = np.pad(bone, around)[here].transpose(2, 1, 0)  # z, y, x
    whole = np.zeros(np.add(bone.shape, np.multiply(2, patch)), np.float32)
    whole[here] = np.mean([session.run(["output"], {"input": source[None, None]})[0][0, -1] for session in sessions], 0).transpose(2, 1, 0)
    answer = whole[tuple(slice(p, -p) for p in patch)]
    skull = skull > 0
    implant = (along(splines, answer, skull.shape, steps) > threshold) & ~skull
    rules = [(rule, float(value)) for rule, value in re.findall(r"(\w+): ([\d.]+)", told["calvaria.restore.postprocess"])]
    implant = postprocess(implant, skull, np.linalg.norm(header["space directions"], axis=1), rules)
    nrrd.write(implant_path, implant.astype(np.uint8), header)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
