# The skew-normal distribution: distribution function, its logarithm in the lower tail, and fits by maximum likelihood.
# Requires: scipy==1.17.1, mpmath (any)
# Usage: python attacks_exposure.py  (writes ../attacks_exposure.json)
import json
import pathlib
import random

import mpmath
from scipy import stats

mpmath.mp.dps = 30


def log_cdf(x, a):
    # scipy's cdf has no digits left far below, so the density is integrated with thirty digits.
    density = lambda t: 2 * mpmath.npdf(t) * mpmath.ncdf(a * t)
    step = mpmath.mpf(1) / (1 + abs(x) * (1 + max(a, 0) ** 2))
    points = [x - step * 2**k for k in range(12)][::-1] + [x]
    return float(mpmath.log(mpmath.quad(density, [-mpmath.inf] + points)))


cdf = [[x, a, float(stats.skewnorm.cdf(x, a))] for a in (-20, -4, -0.5, 0, 1, 4, 50) for x in (-2, -0.5, -0.01, 0, 0.3, 0.5, 2, 4)]
tail = [[x, a, log_cdf(x, a)] for a in (-3, 0, 1, 4) for x in (-1, -3, -6)]

rng = random.Random(20240609)
fits = []
for a, loc, scale, n in [(4, 0, 1, 400), (-3, 10, 2, 400), (2, -5, 0.1, 1000)]:
    delta = a / (1 + a * a) ** 0.5
    draw = lambda: delta * abs(rng.gauss(0, 1)) + (1 - delta * delta) ** 0.5 * rng.gauss(0, 1)
    values = [loc + scale * draw() for _ in range(n)]
    best = stats.skewnorm.fit(values)
    fits.append({"values": values, "fit": [float(v) for v in best], "log_likelihood": float(stats.skewnorm.logpdf(values, *best).sum())})

out = pathlib.Path(__file__).parent.parent / "attacks_exposure.json"
out.write_text(json.dumps({"cdf": cdf, "tail": tail, "fits": fits}) + "\n")
