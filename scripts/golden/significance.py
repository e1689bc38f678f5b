#!/usr/bin/env python3
"""Writes tests/data/golden/significance.txt: paired samples, and what SciPy gives for them. Needs numpy and scipy.

    scripts/golden/significance.py > tests/data/golden/significance.txt

A block for each case: n, then n lines "a b", then "exact p mean low high": whether p is exact, the two-sided p of
scipy.stats.wilcoxon, the mean of a - b, and the percentile interval of scipy.stats.bootstrap (100,000 resamples)."""
import numpy as np
from scipy.stats import bootstrap, wilcoxon

rng = np.random.default_rng(1)


def case(a, b):
    d = a - b
    used = d[d != 0]
    exact = len(used) == len(d) and len(np.unique(np.abs(d))) == len(d) and len(d) <= 50
    p = wilcoxon(d, zero_method="wilcox", method="exact" if exact else "approx").pvalue
    interval = bootstrap((d,), np.mean, n_resamples=100000, method="percentile", random_state=2).confidence_interval
    print(len(a))
    for u, v in zip(a, b):
        print("%.17g %.17g" % (u, v))
    print("%d %.17g %.17g %.17g %.17g" % (exact, p, d.mean(), interval.low, interval.high))


case(*rng.normal(0.9, 0.03, (2, 7)))
case(rng.normal(0.92, 0.03, 20), rng.normal(0.9, 0.03, 20))
case(rng.normal(0.95, 0.01, 36), rng.normal(0.93, 0.02, 36))
case(rng.normal(0.90, 0.05, 50), rng.normal(0.9, 0.05, 50))
case(rng.normal(0.91, 0.05, 80), rng.normal(0.9, 0.05, 80))
case(np.round(rng.normal(3, 1, 30), 1), np.round(rng.normal(3.3, 1, 30), 1))  # ties and zeros
case(np.round(rng.normal(3, 1, 12)), np.round(rng.normal(4, 1, 12)))
