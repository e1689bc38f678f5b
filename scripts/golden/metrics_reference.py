#!/usr/bin/env python3
"""Writes tests/data/golden/metrics.txt: what the definitions of OldaKodym/evaluation_metrics (the AutoImplant challenge's metrics.py) give
for masks that tests/data/test_metrics.c draws from the same integers. Needs numpy and scipy.

    scripts/golden/metrics_reference.py > tests/data/golden/metrics.txt

A shell is every voxel with r0^2 <= |p - c|^2 <= r1^2; the skull is a shell, the truth its part inside a box, the defective skull the
rest; the prediction is another shell inside another box, and single voxels strewn over it by a hash."""
import numpy as np
from scipy.ndimage import binary_erosion, distance_transform_edt, generate_binary_structure

# dims | spacing | skull: centre, r0, r1 | box of the truth | prediction: centre, r0, r1 | its box | one voxel in `strewn` (0: none), seed
CASES = [
    ((40, 44, 36), (1.0, 1.0, 1.0), (20, 22, 10), (14, 18), (10, 30, 12, 32, 18, 36), (20, 22, 10), (15, 18), (11, 30, 12, 31, 18, 36), 0, 0),
    ((40, 44, 36), (0.45, 0.45, 1.25), (20, 22, 10), (14, 18), (10, 30, 12, 32, 18, 36), (21, 22, 9), (13, 19), (9, 31, 12, 33, 16, 36), 0, 0),
    ((52, 48, 40), (0.488281, 0.488281, 0.5), (25, 24, 12), (17, 22), (5, 45, 8, 30, 14, 40), (24, 25, 12), (17, 21), (6, 45, 8, 31, 15, 38), 97, 5),
    ((60, 30, 30), (2.0, 1.5, 0.7), (30, 15, 15), (9, 13), (22, 29, 2, 28, 15, 30), (44, 15, 15), (5, 9), (40, 60, 2, 28, 2, 28), 0, 0),
    ((33, 35, 37), (0.39, 0.41, 0.63), (16, 17, 18), (12, 40), (0, 33, 0, 35, 22, 37), (16, 17, 18), (13, 40), (0, 33, 0, 35, 21, 37), 211, 9),
    ((48, 48, 48), (3.0, 3.0, 3.0), (24, 24, 24), (18, 22), (12, 36, 12, 36, 30, 48), (24, 24, 25), (18, 22), (12, 36, 12, 36, 30, 48), 0, 0),
    ((80, 20, 20), (0.25, 0.25, 0.25), (8, 10, 10), (4, 8), (0, 12, 4, 16, 0, 20), (70, 10, 10), (4, 8), (62, 80, 0, 20, 0, 20), 0, 0),
]


def shell(dims, centre, radii):
    x, y, z = np.ogrid[: dims[0], : dims[1], : dims[2]]
    squared = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2
    return (squared >= radii[0] ** 2) & (squared <= radii[1] ** 2)


def inside(dims, box):
    mask = np.zeros(dims, bool)
    mask[box[0] : box[1], box[2] : box[3], box[4] : box[5]] = True
    return mask


def strew(dims, one_in, seed):
    """Voxel i of x-fastest order is set where hash(i) is a multiple of one_in."""
    if one_in == 0:
        return np.zeros(dims, bool)
    i = np.arange(np.prod(dims), dtype=np.uint64)
    value = ((i * np.uint64(2654435761) + np.uint64(seed)) & np.uint64(0xFFFFFFFF)) >> np.uint64(7)
    return (value % np.uint64(one_in) == 0).reshape(dims, order="F")


def surface_distances(a, b, spacing):
    cross = generate_binary_structure(3, 1)
    surface_a, surface_b = a ^ binary_erosion(a, cross), b ^ binary_erosion(b, cross)
    return distance_transform_edt(~surface_b, sampling=spacing)[surface_a]


def dice(a, b):
    total = np.count_nonzero(a) + np.count_nonzero(b)
    return 2.0 * np.count_nonzero(a & b) / total if total else 0.0


def border_dice(truth, predicted, defective, spacing):
    near = distance_transform_edt(~defective, sampling=spacing) <= 10
    return dice(truth & near, predicted & near)


def main():
    print("# dims 3, spacing 3, skull centre 3 radii 2, truth box 6, prediction centre 3 radii 2, box 6, strewn, seed |")
    print("# dsc bdsc_mm bdsc_vox hd95_mm hd_mm assd_mm nsd_1mm volume_error precision recall truth_vox predicted_vox")
    for dims, spacing, centre, radii, box, p_centre, p_radii, p_box, one_in, seed in CASES:
        skull, hole = shell(dims, centre, radii), inside(dims, box)
        truth, defective = skull & hole, skull & ~hole
        predicted = (shell(dims, p_centre, p_radii) & inside(dims, p_box)) | (strew(dims, one_in, seed) & ~defective)
        pooled = np.concatenate([surface_distances(predicted, truth, spacing), surface_distances(truth, predicted, spacing)])
        n_t, n_p, both = np.count_nonzero(truth), np.count_nonzero(predicted), np.count_nonzero(truth & predicted)
        values = [
            dice(truth, predicted), border_dice(truth, predicted, defective, spacing), border_dice(truth, predicted, defective, None),
            np.percentile(pooled, 95), pooled.max(), pooled.mean(), np.mean(pooled <= 1), (n_p - n_t) / n_t, both / n_p, both / n_t,
        ]
        numbers = [*dims, *spacing, *centre, *radii, *box, *p_centre, *p_radii, *p_box, one_in, seed]
        print(" ".join(str(n) for n in numbers), "|", " ".join(f"{v:.12g}" for v in values), n_t, n_p)


if __name__ == "__main__":
    main()
