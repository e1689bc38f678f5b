#!/usr/bin/env python3
"""Golden numbers for tests/shape/test_geometry_golden.c, from the Python reference of the shape model.

    shape_geometry.py REFERENCE_DIR CALVARIA OUT.txt

REFERENCE_DIR holds shape_reference.py; needs numpy, scipy, pynrrd, edt.  Skulls: `calvaria phantom` of seed 15, 2 mm.
Lines: "ray K INNER OUTER" (mm; nan where no bone is met) of phantom 0 under a fixed pose, and "pose ..." of phantom 1
fitted onto the outer surface of phantom 0 (rotation row by row, centre, scale, loss).
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import scipy.ndimage as ndi

sys.path.insert(0, sys.argv[1])
import shape_reference as ref  # noqa: E402

with tempfile.TemporaryDirectory() as folder:
    subprocess.run([sys.argv[2], "phantom", "--count", "2", "--seed", "15", "--spacing-mm", "2", "--out", folder,
                    "--format", "nrrd", "--quiet"], check=True)
    skulls = [ref.read_skull(path) for path in sorted(Path(folder).glob("*.nrrd"))[:2]]

centre = [np.array([0.0, 5.0, -5.0]) + s.origin + (np.array(s.mask.shape) - 1) / 2 @ s.directions for s in skulls]
fixed = ref.Pose(ref.rotation_matrix(np.array([0.1, -0.2, 0.3])), centre[0], np.array([1.05, 0.95, 1.02]))
radii = ref.radial_maps(skulls[0], fixed, ref.DISC.rays)
lines = ["centre 0 %.6f %.6f %.6f" % tuple(centre[0]), "centre 1 %.6f %.6f %.6f" % tuple(centre[1])]
lines += ["ray %d %.4f %.4f" % (k, *radii[:, k]) for k in range(0, len(ref.DISC.rays), 97)]

upright = [ref.Pose(np.eye(3), c, np.ones(3)) for c in centre]
outer = ref.radial_maps(skulls[0], upright[0], ref.POSE_DISC.rays, step=0.5)[1]
template = ndi.gaussian_filter(ref.POSE_DISC.image(outer), 1.0)
outer = ref.radial_maps(skulls[1], upright[1], ref.POSE_DISC.rays, step=0.5)[1]
hit = np.isfinite(outer)
points = upright[1].world(ref.POSE_DISC.rays[hit] * outer[hit, None])
pose, loss = ref.best_pose(points, template, upright[1], iterations=30)
lines.append("pose " + " ".join("%.6f" % v for v in [*pose.rotation.ravel(), *pose.centre, *pose.scale, loss]))
Path(sys.argv[3]).write_text("\n".join(lines) + "\n")
