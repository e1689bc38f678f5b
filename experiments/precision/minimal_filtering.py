#!/usr/bin/env python3
"""What minimal filtering costs in accuracy when its products are of bfloat16 values.

A 3x3x3 convolution of 16 channels, drawn activations (normal, negative ones zero) and weights, both bfloat16. Each row:
the root mean square error of the result, relative to its root mean square, before it is rounded itself. Needs NumPy."""
import numpy as np

CHANNELS, TILES = 16, 400


def half(x):
    """To bfloat16 and back."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32).astype(np.float64)


def toom_cook(points, taps):
    """A', G, B' of filtering with these points and infinity (Winograd 1980)."""
    n = len(points) + 1
    out = n - taps + 1
    a = np.array([[p**i for p in points] + [float(i == out - 1)] for i in range(out)])
    g = np.zeros((n, taps))
    b = np.zeros((n, n))
    for i, p in enumerate(points):
        others = [q for q in points if q != p]
        g[i] = [p**j / np.prod([p - q for q in others]) for j in range(taps)]
        b[i, : n - 1] = np.poly(others)[::-1]
    g[-1, -1] = 1
    b[-1] = np.poly(points)[::-1]
    return a, g, b


def along(matrices, x, axes):
    for matrix, axis in zip(matrices, axes):
        if matrix is not None:
            x = np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis)
    return x


def filtered(src, w, kinds, rounding):
    """src [tile, channel, z, y, x], w [channel, 3, 3, 3]; per axis A', G, B' or None: taps are summed."""
    axes = (-3, -2, -1)
    v = rounding(along([k and k[2] for k in kinds], src, axes))
    u = rounding(along([k and k[1] for k in kinds], w, axes))
    plain = [i for i, k in enumerate(kinds) if k is None]
    m = 0
    for taps in np.ndindex(*[3] * len(plain)):
        v_at, u_at = [slice(None)] * 5, [slice(None)] * 4
        for axis, t in zip(plain, taps):
            v_at[axis + 2] = slice(t, t + src.shape[axis + 2] - 2)
            u_at[axis + 1] = slice(t, t + 1)
        m = m + np.einsum("tczyx,czyx->tzyx", v[tuple(v_at)], np.broadcast_to(u[tuple(u_at)], v[tuple(v_at)].shape[1:]))
    return along([k and k[0] for k in kinds], m, axes)


def main():
    rng = np.random.default_rng(1)
    two = toom_cook([0, 1, -1], 3)
    four = toom_cook([0, 0.75, -0.75, 1.5, -1.5], 3)
    w = rng.normal(size=(CHANNELS, 3, 3, 3))
    print("| products | error, weights rounded | points per axis z, y, x |\n|---|---|---|")
    for name, kinds in [("direct", (None, None, None)), ("two values along z and y", (two, two, None)),
                        ("two values along each axis", (two, two, two)), ("four values along y and x", (None, four, four)),
                        ("four values along each axis", (four, four, four))]:
        edges = [6 if k is four else 4 for k in kinds]
        src = half(np.maximum(rng.normal(size=(TILES, CHANNELS, *edges)), 0))
        exact = filtered(src, w, (None, None, None), lambda x: x)
        got = filtered(src, w, kinds, half)
        error = np.sqrt(np.mean((got - exact) ** 2) / np.mean(exact**2))
        print(f"| {name} | {100 * error:.2f} % | {[0 if k is None else e for k, e in zip(kinds, edges)]} |")


if __name__ == "__main__":
    main()
