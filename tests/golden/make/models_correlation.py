# Requirements: python 3.11, scipy==1.17.1, numpy==2.4.6
# Usage: python models_correlation.py > ../models_correlation.json
# 1. Phi coefficients of a bivariate normal of known correlation cut into two halves at (s, t): what the latent
#    correlation has to be recovered from.
# 2. Correlation of normal scores (conditional means between the rank boundaries, ties sharing one interval) and
#    Spearman's correlation of a table of 40 rows.
import json

import numpy as np
import scipy
from scipy.stats import multivariate_normal, norm, spearmanr

dichotomies = []
for s, t in [(0.0, 0.0), (0.5, -0.3), (-1.0, 1.2), (1.5, 1.5), (-2.0, 0.1)]:
    for rho in [-0.9, -0.6, -0.2, 0.0, 0.1, 0.4, 0.7, 0.9]:
        both = multivariate_normal(cov=[[1, rho], [rho, 1]]).cdf([s, t])
        p, q = norm.cdf(s), norm.cdf(t)
        dichotomies.append(dict(s=s, t=t, rho=rho, phi=float((both - p * q) / np.sqrt(p * (1 - p) * q * (1 - q)))))

i = np.arange(40)
x = (i * 17) % 40 + 0.25          # all different
y = np.round(((i * 17) % 40) / 4 + ((i * 23) % 11) / 2)  # with ties


def scores(v):
    u, inverse, counts = np.unique(v, return_inverse=True, return_counts=True)
    edges = norm.ppf(np.concatenate([[0], np.cumsum(counts) / len(v)]))
    return (-np.diff(norm.pdf(edges)) / (counts / len(v)))[inverse]


sx, sy = scores(x), scores(y)
print(
    json.dumps(
        dict(
            tool=f"scipy {scipy.__version__}, numpy {np.__version__}",
            dichotomies=dichotomies,
            x=x.tolist(),
            y=y.tolist(),
            scores_x=sx.tolist(),
            scores_y=sy.tolist(),
            normal_score_correlation=float(np.corrcoef(sx, sy)[0, 1]),
            spearman=float(spearmanr(x, y).statistic),
        ),
        indent=1,
    )
)
