# Distribution functions, intervals and areas under curves.
# Requires: scipy==1.17.1, scikit-learn==1.9.1, mpmath (any)
# Usage: python attacks_statistics.py  (writes ../attacks_statistics.json)
import json
import pathlib
import random

import mpmath
from scipy import stats, special
from sklearn.metrics import roc_auc_score, roc_curve

rng = random.Random(20240608)

shapes = [(0.5, 0.5), (1, 1), (2, 3), (5, 996), (51, 950), (0.1, 40), (100.5, 901), (3000, 7001), (1e5, 2e5), (1e6, 9e6), (3, 1e7)]
beta = []
for a, b in shapes:
    for p in (1e-6, 0.0025, 0.025, 0.3, 0.5, 0.9, 0.975, 0.999999):
        x = float(special.betaincinv(a, b, p))
        beta.append([a, b, x, float(special.betainc(a, b, x)), p])

# scipy's quantiles have about ten digits where b is large. For a small integer a and an integer b the distribution function is a finite
# binomial sum, solved here with forty digits.
mpmath.mp.dps = 40


def sharp_quantile(p, a, b):
    n, start = a + b - 1, mpmath.mpf(float(special.betaincinv(a, b, p)))
    below = lambda x: 1 - sum(mpmath.binomial(n, k) * x**k * (1 - x) ** (n - k) for k in range(a)) - mpmath.mpf(p)
    return float(mpmath.findroot(below, (start, start * (1 + mpmath.mpf(10) ** -6))))


sharp = [
    [a, b, p, sharp_quantile(p, a, b)]
    for a, b in [(1, 10000), (2, 10**7 - 1), (3, 10**7), (5, 996), (10, 12)]
    for p in (0.0025, 0.025, 0.5, 0.95, 0.975)
]

normal = [[p, float(stats.norm.ppf(p))] for p in (1e-300, 1e-20, 1e-6, 0.0025, 0.02425, 0.1, 0.3, 0.5, 0.7, 0.975, 0.999, 1 - 1e-9)]

intervals = []
for k, n in [(0, 1), (1, 1), (0, 1000), (5, 1000), (50, 1000), (1000, 1000), (17, 23), (123456, 1000000), (1, 10000000), (4999999, 5000000)]:
    for c in (0.95, 0.9, 0.999):
        # Quantiles, because binomtest's exact interval stops its root search after ten digits.
        low = float(stats.beta.ppf((1 - c) / 2, k, n - k + 1)) if k > 0 else 0.0
        high = float(stats.beta.ppf((1 + c) / 2, k + 1, n - k)) if k < n else 1.0
        score = stats.binomtest(k, n).proportion_ci(c, "wilson")
        intervals.append([k, n, c, low, high, float(score.low), float(score.high)])

areas = []
for size, grid in [(40, 0), (60, 5), (300, 40), (2500, 0)]:
    member = [rng.random() < 0.4 for _ in range(size)]
    score = [rng.gauss(0.5 if m else 0.0, 1.0) for m in member]
    if grid:
        score = [round(s * grid / 8) for s in score]
    fpr, tpr, _ = roc_curve(member, score, drop_intermediate=False)
    at = lambda f: float(max(t for x, t in zip(fpr, tpr) if x <= f + 1e-12))
    areas.append({
        "score": score, "member": member, "auc": float(roc_auc_score(member, score)),
        "advantage": float(max(tpr - fpr)), "tpr_10": at(0.1), "tpr_1": at(0.01),
    })

out = pathlib.Path(__file__).parent.parent / "attacks_statistics.json"
out.write_text(json.dumps({"beta": beta, "sharp": sharp, "normal": normal, "intervals": intervals, "areas": areas}) + "\n")
