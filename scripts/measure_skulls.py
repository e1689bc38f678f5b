#!/usr/bin/env python3
"""Measures the vaults of a packed dataset: one row per skull, then mean, sd, min and max (docs/phantom.md holds the tables).

  scripts/measure_skulls.py SET.h5          needs h5py, numpy and scipy

Rays from the vault's centre (middle of the widest axial slice of bone) towards the upper hemisphere; thickness is from the first to the
last bone voxel of the outermost run along a ray. Length is the greatest antero-posterior, breadth the greatest left-right outer extent
seen by the rays above the centre, height the outer radius straight up. Occupancy: bone voxels above the centre / voxels of their box."""
import sys

import h5py
import numpy as np
from scipy import ndimage


def measure(mask, spacing):
    labels, _ = ndimage.label(mask)
    mask = labels == np.argmax(np.bincount(labels.ravel())[1:]) + 1
    nz, ny, nx = mask.shape
    # the widest slice of the upper half of the scan
    tops = np.nonzero(mask.any(axis=(1, 2)))[0]
    top = tops.max()
    best = None
    for z in range(top, tops.min(), -1):
        xs = np.nonzero(mask[z].any(axis=0))[0]
        ys = np.nonzero(mask[z].any(axis=1))[0]
        if len(xs) == 0 or (top - z) * spacing[2] < 30 or (top - z) * spacing[2] > 95:
            continue
        width = (xs.max() - xs.min()) * spacing[0]
        if best is None or width > best[0]:
            best = (width, z, 0.5 * (xs.min() + xs.max()), 0.5 * (ys.min() + ys.max()))
    _, z0, x0, y0 = best
    step = 0.25
    r = np.arange(20, 130, step)
    outer, thick, dirs = [], [], []
    for el in np.radians(np.arange(0, 90, 3)):
        for az in np.radians(np.arange(0, 360, max(3, 3 / max(np.cos(el), 0.1)))):
            d = np.array([np.cos(el) * np.cos(az), np.cos(el) * np.sin(az), np.sin(el)])
            x = np.rint(x0 + r * d[0] / spacing[0]).astype(int)
            y = np.rint(y0 + r * d[1] / spacing[1]).astype(int)
            z = np.rint(z0 + r * d[2] / spacing[2]).astype(int)
            ok = (x >= 0) & (x < nx) & (y >= 0) & (y < ny) & (z >= 0) & (z < nz)
            hit = np.zeros(len(r), bool)
            hit[ok] = mask[z[ok], y[ok], x[ok]]
            w = np.nonzero(hit)[0]
            if len(w) == 0:
                continue
            last = w[-1]
            first = last
            while first > 0 and hit[first - 1]:
                first -= 1
            outer.append(r[last])
            thick.append((last - first + 1) * step)
            dirs.append(d)
    outer, thick, dirs = np.array(outer), np.array(thick), np.array(dirs)
    p = outer[:, None] * dirs
    up = p[:, 2]
    slab = mask[z0:]
    bone = slab.sum()
    zs, ys, xs = [np.nonzero(slab.any(axis=a))[0] for a in ((1, 2), (0, 2), (0, 1))]
    box = (np.ptp(zs) + 1) * (np.ptp(ys) + 1) * (np.ptp(xs) + 1)
    side = (np.abs(dirs[:, 0]) > 0.85)
    back = dirs[:, 1] > 0.75
    front = dirs[:, 1] < -0.75
    return dict(length=np.ptp(p[:, 1]), breadth=np.ptp(p[:, 0]), height=up.max(), index=100 * np.ptp(p[:, 0]) / np.ptp(p[:, 1]),
                thickness=np.median(thick), thick_p5=np.percentile(thick, 5), thick_p95=np.percentile(thick, 95), side=np.median(thick[side]),
                back=np.median(thick[back]), front=np.median(thick[front]), occupancy=100 * bone / box,
                below=(z0 - tops.min()) * spacing[2])


def main():
    rows = []
    with h5py.File(sys.argv[1]) as f:
        for name in f["cases"]:
            data = f["cases"][name]["complete"]
            attrs = data.attrs if "axis" in data.attrs else f["cases"][name].attrs
            spacing = np.linalg.norm(np.array(attrs["axis"]).reshape(3, 3), axis=1)
            stride = [max(1, int(round(0.9 / s))) for s in spacing]
            mask = data[()][:: stride[2], :: stride[1], :: stride[0]] > 0
            rows.append((name, measure(mask, spacing * stride)))
            print(name, " ".join(f"{k}={v:.1f}" for k, v in rows[-1][1].items()), flush=True)
    print(f"\n| {len(rows)} skulls | mean | sd | min | max |\n|---|---|---|---|---|")
    for key in rows[0][1]:
        v = np.array([row[1][key] for row in rows])
        print(f"| {key} | {v.mean():.1f} | {v.std():.1f} | {v.min():.1f} | {v.max():.1f} |")


main()
