# Exact tests and the rank test of an area under the curve.
# Requires: scipy==1.17.1
# Usage: python attacks_exact.py  (writes ../attacks_exact.json)
import json
import pathlib
import random

from scipy import stats

rng = random.Random(20241124)

hypergeometric = []
for marked, unmarked, drawn in [(5, 5, 5), (10, 990, 100), (1000, 1000, 40), (10000, 10000, 180), (32561, 16281, 900), (3, 7, 10), (50, 2, 51)]:
    low, high = max(0, drawn - unmarked), min(marked, drawn)
    for k in sorted({low, low + 1, (low + high) // 2, high - 1, high, round(drawn * marked / (marked + unmarked)) + 12}):
        if low <= k <= high:
            hypergeometric.append([k, marked, unmarked, drawn, float(stats.hypergeom.sf(k - 1, marked + unmarked, marked, drawn))])

fisher = [
    [a, n, b, m, float(stats.fisher_exact([[a, n - a], [b, m - b]], alternative="greater").pvalue)]
    for a, n, b, m in [(3, 10, 0, 10), (60, 500, 40, 500), (0, 100, 0, 100), (100, 1000, 1, 500), (7, 9, 5, 30), (20, 2000, 35, 2000)]
]

mcnemar = [
    [b, c, float(stats.binomtest(b, b + c, 0.5, alternative="greater").pvalue) if b + c else 1.0]
    for b, c in [(0, 0), (0, 5), (5, 0), (30, 12), (500, 430), (12, 12)]
]

areas = []
for members, others, grid, shift in [(30, 40, 0, 0.4), (200, 100, 5, 0.2), (50, 60, 1, 0.0), (400, 300, 0, -0.1)]:
    draw = lambda mean: rng.gauss(mean, 1.0) if not grid else float(round(rng.gauss(mean, 1.0) * grid))
    a, b = [draw(shift) for _ in range(members)], [draw(0.0) for _ in range(others)]
    found = stats.mannwhitneyu(a, b, alternative="greater", method="asymptotic", use_continuity=True)
    areas.append({"members": a, "others": b, "p": float(found.pvalue)})

out = pathlib.Path(__file__).resolve().parent.parent / "attacks_exact.json"
out.write_text(json.dumps({"hypergeometric": hypergeometric, "fisher": fisher, "mcnemar": mcnemar, "areas": areas}, indent=0) + "\n")
