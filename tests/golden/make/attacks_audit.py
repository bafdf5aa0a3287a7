# One-run audits, Gaussian differential privacy and several tests at once, written from the papers.
# Requires: scipy==1.17.1, statsmodels==0.15.0, dp-accounting==0.6.0
# Usage: python attacks_audit.py  (writes ../attacks_audit.json)
import json
import math
import pathlib
import random

import dp_accounting
import numpy as np
from scipy import optimize, special, stats
from statsmodels.stats.multitest import multipletests

rng = random.Random(20240609)


def p_value(m, r, v, eps, delta):
    # Steinke, Nasr & Jagielski 2023, theorem 5.2, every i.
    q = special.expit(eps)
    beta = stats.binom.sf(v - 1, r, q)
    cumulated = np.cumsum(stats.binom.pmf(np.arange(v - 1, -1, -1), r, q))
    most = max(cumulated / np.arange(1, v + 1), default=0.0)
    return float(min(beta + 2 * m * delta * most, 1.0))


def largest(refuted_by):
    # The root of a function that is positive while epsilon is refuted.
    if refuted_by(0.0) <= 0:
        return 0.0
    high = 1.0
    while refuted_by(high) > 0:
        high *= 2
    return float(optimize.brentq(refuted_by, 0.0, high, xtol=1e-12, rtol=1e-13))


def gaussian(m, r, v, delta, alpha):
    # Mahloujifar, Melis & Chaudhuri 2024, algorithm 2.
    def refuted(eps):
        mu = 1 / dp_accounting.get_sigma_gaussian(eps, delta)
        right, wrong = [0.0] * (v + 1), [0.0] * (v + 1)
        right[v], wrong[v] = alpha * v / m, alpha * (r - v) / m
        for i in range(v - 1, -1, -1):
            wrong[i] = max(wrong[i + 1], stats.norm.cdf(stats.norm.ppf(right[i + 1]) - mu))
            right[i] = min(right[i + 1] + i / (r - i) * (wrong[i] - wrong[i + 1]), 1.0)
        return right[0] + wrong[0] - r / m

    return largest(refuted)


audits = []
for m, r, v, delta, alpha in [
    (1000, 100, 95, 1e-5, 0.05), (1000, 100, 100, 1e-5, 0.05), (1000, 1000, 620, 1e-5, 0.05), (200, 50, 44, 1e-6, 0.01),
    (5000, 500, 430, 1e-6, 0.05), (1000, 100, 52, 1e-5, 0.05), (100000, 2000, 1900, 1e-8, 0.05), (1000, 300, 290, 1e-4, 0.05),
]:
    eps = largest(lambda e: alpha - p_value(m, r, v, e, delta))
    audits.append([m, r, v, delta, alpha, eps, gaussian(m, r, v, delta, alpha), p_value(m, r, v, 1.0, delta)])

mu = []
for value in (0.01, 0.3, 1.0, 2.5, 8.0):
    for delta in (1e-3, 1e-5, 1e-9):
        mu.append([value, delta, float(dp_accounting.get_epsilon_gaussian(1 / value, delta))])

# mu of attacks: quantiles of the exact bounds.
bounds = []
for tp, p, fp, n, alpha in [(500, 1000, 5, 1000, 0.05), (100, 1000, 10, 1000, 0.05), (30, 40, 2, 50, 0.01), (9, 1000, 10, 1000, 0.05)]:
    f = stats.beta.ppf(1 - alpha / 2, fp + 1, n - fp)
    fnr = stats.beta.ppf(1 - alpha / 2, p - tp + 1, tp)
    bounds.append([tp, p, fp, n, alpha, max(float(stats.norm.ppf(1 - f) - stats.norm.ppf(fnr)), 0.0)])

multiple = []
for size in (1, 2, 5, 12):
    p = [round(rng.random() ** 4, 6) for _ in range(size)]
    p[-1] = p[0]
    adjusted = {method: [float(x) for x in multipletests(p, method=method)[1]] for method in ("bonferroni", "holm")}
    multiple.append({"p": p, **adjusted})

shares = [[k, n, q, float(stats.binomtest(k, n, q, "greater").pvalue)] for k, n, q in [(0, 10, 0.5), (7, 10, 0.5), (620, 1000, 0.5), (81, 100, 0.8), (1000, 1000, 0.99)]]

areas = []
for size, grid in [(30, 0), (60, 3), (400, 20)]:
    member = [rng.random() < 0.4 for _ in range(size)]
    score = [rng.gauss(0.4 if m else 0.0, 1.0) for m in member]
    if grid:
        score = [round(s * grid / 8) for s in score]
    a, b = ([s for s, m in zip(score, member) if m == side] for side in (True, False))
    test = stats.mannwhitneyu(a, b, alternative="greater", method="asymptotic", use_continuity=True)
    areas.append({"score": score, "member": member, "p": float(test.pvalue)})

cdf = [[x, float(stats.norm.cdf(x)), float(stats.norm.logcdf(x))] for x in (-200.0, -40.0, -31.0, -30.0, -29.0, -8.0, -1.0, 0.0, 0.5, 3.0)]

out = pathlib.Path(__file__).parent.parent / "attacks_audit.json"
out.write_text(json.dumps({"audits": audits, "mu": mu, "bounds": bounds, "multiple": multiple, "shares": shares, "areas": areas, "cdf": cdf}) + "\n")
