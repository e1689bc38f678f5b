#!/usr/bin/env python3
"""check_mesh.py IMPLANT.nrrd IMPLANT.stl [IMPLANT.ply]: the surface as trimesh sees it, beside the mask it came from. Needs trimesh, scipy, pynrrd.

Closed, oriented, one body, volume within 1 % of the mask's; and no point of it half a voxel or more from the voxels' own surface."""
import sys
import numpy as np, nrrd, trimesh
from scipy import ndimage

mask, header = nrrd.read(sys.argv[1])
mask = mask > 0
axes, origin = np.array(header["space directions"]), np.array(header["space origin"])
spacing = np.linalg.norm(axes, axis=1)
voxel_ml = abs(np.linalg.det(axes)) / 1000
pieces = ndimage.label(mask)[1]
wrong = 0
for path in sys.argv[2:]:
    mesh = trimesh.load(path)  # an STL's triangles are welded where their corners have the same numbers
    index = (mesh.vertices - origin) @ np.linalg.inv(axes)
    low = np.floor(np.array(np.nonzero(mask)).min(axis=1)).astype(int) - 3
    high = np.array(np.nonzero(mask)).max(axis=1) + 4
    part = mask[tuple(slice(a, b) for a, b in zip(np.maximum(low, 0), high))]
    index -= np.maximum(low, 0)
    # where marching cubes put points: midway between a voxel of the mask and a neighbour that is none
    points = []
    for a in range(3):
        edge = np.array(np.nonzero(np.diff(part.astype(np.int8), axis=a))).T.astype(float)
        edge[:, a] += 0.5
        points.append(edge)
    from scipy.spatial import cKDTree
    moved = cKDTree(np.concatenate(points) * spacing).query(index * spacing)[0]
    volume = mesh.volume / 1000
    checks = {"watertight": mesh.is_watertight, "oriented": mesh.is_winding_consistent, "a volume": mesh.is_volume,
              "volume within 1 %": abs(volume / (mask.sum() * voxel_ml) - 1) < 0.01, "points moved less than half a voxel": moved.max() < 0.5 * spacing.min()}
    print(f"{path.split('/')[-1]}: {len(mesh.faces)} triangles, {mesh.body_count} bodies (mask: {pieces} pieces), Euler number {mesh.euler_number}, "
          f"{volume:.3f} ml (mask {mask.sum() * voxel_ml:.3f}), points {moved.max():.3f} mm from the voxels' surface at most, voxel {spacing.min():.3f}")
    for what, holds in checks.items():
        wrong += not holds
        print("  ", "yes" if holds else "NO ", what)
sys.exit(wrong > 0)
