#!/usr/bin/env python3
"""Golden numbers of the statistics of the shape model, from the Python reference, on six small made-up heads.

    shape.py SHAPE_REFERENCE.py OUT.bin

Needs numpy, scipy, pynrrd and edt. Writes little-endian: int32 n_heads, disc_n, n_rays, n_seen, n_unseen; float64 reach; then float32 maps (heads, rays,
2); int32 seen, unseen; float32 mean and sd (rays, 2), modes (rays, 2, 9), the covariance of unseen with seen (2 per ray, inner first), the conditional mean
(unseen, 2) and sd (unseen, 2) of head 0 predicted by heads 1 to 5 and their mirror images.
"""
import importlib.util
import sys

import numpy as np
import scipy.linalg

N, REACH, HEADS = 17, 1.6, 6


def reference(path):
    spec = importlib.util.spec_from_file_location("shape_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.DISC = module.Disc(N, REACH)
    return module


def heads(rays):
    """Smooth heads: a sphere with low-order bumps, (heads, 2, rays) mm."""
    rng = np.random.default_rng(5)
    x, y, z = rays.T
    basis = np.stack([x, y, z, x * y, y * z, z * x, x * x - y * y, 3 * z * z - 1, x * y * z])
    outer = 88 + 3 * rng.standard_normal((HEADS, len(basis))) @ basis + 0.4 * rng.standard_normal((HEADS, len(rays)))
    thick = 6 + 0.8 * rng.standard_normal((HEADS, len(basis))) @ basis + 0.2 * rng.standard_normal((HEADS, len(rays)))
    return np.stack([outer - thick, outer], 1).astype(np.float32)


def interleave(values, rays):
    """Blocks [inner of all rays; outer of all rays] -> inner and outer ray by ray."""
    return np.stack([values[:rays], values[rays:]], 1).reshape(2 * rays, *values.shape[1:])


def main():
    ref = reference(sys.argv[1])
    rays = ref.DISC.rays
    maps = heads(rays)
    model = ref.Model(None, maps[1:].astype(np.float64), np.ones(len(rays), bool))
    centre = np.array([0.3, 0.5, np.sqrt(1 - 0.34)])
    hole = rays @ centre > 0.88
    inner = rays[:, 2] > 1 - (REACH - 2.5 * ref.DISC.step) ** 2 / 2     # at the edge, ties of the nearest pixel may be broken otherwise
    unseen = np.flatnonzero(hole & inner)
    seen = np.flatnonzero(~hole & inner)[::2]

    between = ref.covariance(model, unseen, seen).astype(np.float64)
    C = ref.covariance(model, seen, seen).astype(np.float64)
    C[np.diag_indices_from(C)] += ref.NOISE ** 2
    prior = np.diag(ref.covariance(model, unseen, unseen)).astype(np.float64)
    residual = (maps[0] - model.mean)[:, seen].ravel()
    factor = scipy.linalg.cho_factor(C, lower=True)
    mean = (between @ scipy.linalg.cho_solve(factor, residual)).reshape(2, -1) + model.mean[:, unseen]
    sd = np.sqrt(prior - np.einsum("ij,ji->i", between, scipy.linalg.cho_solve(factor, between.T))).reshape(2, -1)

    with open(sys.argv[2], "wb") as out:
        np.array([HEADS, N, len(rays), len(seen), len(unseen)], "<i4").tofile(out)
        np.array([REACH], "<f8").tofile(out)
        for values in (maps.transpose(0, 2, 1),):
            values.astype("<f4").tofile(out)
        seen.astype("<i4").tofile(out)
        unseen.astype("<i4").tofile(out)
        cross = interleave(interleave(between, len(unseen)).T, len(seen)).T
        for values in (model.mean.T, model.sd.T, model.modes.transpose(2, 1, 0), cross, mean.T, sd.T):
            np.ascontiguousarray(values).astype("<f4").tofile(out)


if __name__ == "__main__":
    main()
