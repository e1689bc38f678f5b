#!/usr/bin/env python3
"""What bench_morphology times, in SciPy, and in edt and cc3d where installed:

    bench/morphology_peers.py SKULL.nrrd [THREADS]        needs numpy, scipy, pynrrd; pip install edt connected-components-3d"""
import statistics
import sys
import time

import nrrd
import numpy as np
from scipy import ndimage


def clock(name, call, repeats=3):
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    print(f"{name}\t{statistics.median(seconds):.3f} s", flush=True)


def main():
    values, header = nrrd.read(sys.argv[1])
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 2
    mask, spacing = values > 0, tuple(np.linalg.norm(header["space directions"], axis=1))
    cross, cube = ndimage.generate_binary_structure(3, 1), np.ones((3, 3, 3))
    try:
        import cc3d
        import edt
        background = np.asfortranarray(~mask)
        clock("edt: distance", lambda: edt.edt(background, anisotropy=spacing, parallel=threads, black_border=False))
        clock("cc3d: components 26", lambda: cc3d.connected_components(mask, connectivity=26))
        clock("cc3d: keep largest", lambda: cc3d.largest_k(mask, k=1, connectivity=26))
    except ImportError as missing:
        print(f"# {missing}")
    clock("scipy: open 1", lambda: ndimage.binary_opening(mask, cross))
    clock("scipy: close 3", lambda: ndimage.binary_closing(mask, cross, iterations=3), 1)
    clock("scipy: components 26", lambda: ndimage.label(mask, cube))
    clock("scipy: fill holes", lambda: ndimage.binary_fill_holes(mask), 1)
    factors = [s / 1.0 for s in spacing]

    def back_and_forth():
        small = ndimage.zoom(mask.astype(np.float32), factors, order=1)
        ndimage.zoom(small, [a / b for a, b in zip(mask.shape, small.shape)], order=1)

    clock("scipy: linear to 1 mm and back", back_and_forth, 1)
    clock("scipy: distance", lambda: ndimage.distance_transform_edt(~mask, sampling=spacing), 1)


if __name__ == "__main__":
    main()
