#!/usr/bin/env python3
"""How far two golden files of one network lie apart, in the measures that tests/nn/test_golden.c prints for full widths.

    python scripts/golden/compare.py FLOAT64.h5 FLOAT32.h5
"""
import sys

import h5py
import numpy as np


def main():
    with h5py.File(sys.argv[1]) as exact, h5py.File(sys.argv[2]) as other:
        error = lambda name, floor: np.abs(other[name][()] - exact[name][()]).max() / max(floor, np.abs(exact[name][()]).max())
        names = list(exact["grad"])
        floor = 1e-2 * max(np.abs(exact["grad/" + n][()]).max() for n in names)
        large = [n for n in names if np.abs(exact["grad/" + n][()]).max() > floor]
        l2 = lambda n: np.linalg.norm(other["grad/" + n][()] - exact["grad/" + n][()]) / np.linalg.norm(exact["grad/" + n][()])
        print("largest error of output %.2g, of gradients %.2g (of each tensor's largest), relative L2 of the worst gradient %.2g"
              % (error("dst", 1), max(error("grad/" + n, floor) for n in names), max(l2(n) for n in large)))


main()
