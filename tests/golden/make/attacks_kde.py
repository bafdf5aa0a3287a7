# Kernel densities by scipy and scikit-learn.
# Requires: scipy==1.17.1, scikit-learn==1.9.1, numpy (any)
# Usage: python attacks_kde.py  (writes ../attacks_kde.json)
#
# One column: scipy's gaussian_kde with Scott's factor. Three columns: a product kernel, that is KernelDensity of columns divided by
# their sample standard deviations, bandwidth n^(-1/(d + 4)). Some points are far out, where densities underflow.
import json
import pathlib

import numpy as np
from scipy.stats import gaussian_kde
from sklearn.neighbors import KernelDensity

rng = np.random.default_rng(20240611)
rows = (rng.standard_normal((700, 3)) * [1.0, 20.0, 0.01] + [0.0, 50.0, 3.0]).round(6)
points = np.concatenate([rows[:5], rows[5:15] * 1.1, [[40.0, 50.0, 3.0], [-9.0, 900.0, 3.5]]])
sd = rows.std(axis=0, ddof=1)
three = KernelDensity(bandwidth=700 ** (-1 / 7), rtol=0, atol=0).fit(rows / sd)
out = {
    "rows": rows.tolist(),
    "points": points.tolist(),
    "one": gaussian_kde(rows[:, 1]).logpdf(points[:, 1]).tolist(),
    "three": (three.score_samples(points / sd) - np.log(sd).sum()).tolist(),
}
(pathlib.Path(__file__).parent / "../attacks_kde.json").write_text(json.dumps(out) + "\n")
