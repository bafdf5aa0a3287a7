# requirements: pandas==2.3.3 numpy==2.0.2 pyarrow==21.0.0
"""The smallest loss of full-domain generalisation, by a look at every transformation, on the heart disease patients in tests/data.

Nothing is pruned: all 480 combinations of levels of five quasi-identifiers are grouped, the rows of classes that break k or
distinct l are dropped, and what is within the share that may be dropped competes. Losses are exact fractions, but for the
entropy; of equal ones the smaller sum of levels counts, then the levels in the order of the columns.

ncp             mean over rows and columns of (leaves below the node - 1) / (all leaves - 1), a dropped row counts 1
discernibility  sum of squared class sizes, a dropped row counts all rows
entropy         bits: - log2 of the share of each value among those of its node, a dropped row loses all bits of its values

The tree of ages has leaves that no patient has, which count as the others do.
"""
import itertools
import json
import math
import pathlib
from fractions import Fraction

import numpy as np
import pandas as pd

here = pathlib.Path(__file__).parent
QUASI = ["age", "sex", "site", "cp", "chol"]
data = pd.read_parquet(here.parent.parent / "data" / "heart_disease" / "patients.parquet")
data = data[data.chol.notna()].astype(dict(age=int, chol=int)).reset_index(drop=True)
N = len(data)


def widths(values, *steps):
    cell = lambda v, w: f"[{v // w * w}, {v // w * w + w})"
    return [[str(v), *(cell(v, w) for w in steps), "*"] for v in values]


HIERARCHIES = dict(
    age=widths(range(20, 90), 5, 10, 20),
    sex=[[s, "*"] for s in ("Female", "Male")],
    site=[["Cleveland", "USA", "*"], ["VA Long Beach", "USA", "*"], ["Hungary", "Europe", "*"], ["Switzerland", "Europe", "*"]],
    cp=[["typical angina", "angina", "symptomatic", "*"], ["atypical angina", "angina", "symptomatic", "*"],
        ["non-anginal", "other pain", "symptomatic", "*"], ["asymptomatic", "none", "no symptoms", "*"]],
    chol=widths(sorted(data.chol.unique()), 20, 100),
)

# For each column and level: the node of each row, and by node its label, leaves and rows.
columns = []
for q in QUASI:
    rows, levels = HIERARCHIES[q], []
    for at in range(len(rows[0])):
        to = {row[0]: row[at] for row in rows}
        labels = data[q].astype(str).map(to)
        names = sorted(labels.unique())
        node = labels.map({name: i for i, name in enumerate(names)}).to_numpy()
        leaves = np.array([sum(row[at] == name for row in rows) for name in names])
        levels.append((node, names, leaves, np.bincount(node)))
    columns.append(levels)


def transformation(levels):
    """Class of each row, classes numbered by their nodes."""
    code = np.zeros(N, dtype=np.int64)
    for column, level in zip(columns, levels):
        code = code * len(column[level][1]) + column[level][0]
    return np.unique(code, return_inverse=True)[1]


def entropy(levels, kept):
    bits = 0.0
    for column, level in zip(columns, levels):
        value, node = column[0], column[level]
        of_value, of_node = np.log2(value[3])[value[0]], np.log2(node[3])[node[0]]
        bits += float((np.where(kept, of_node, math.log2(N)) - of_value).sum())
    return bits


diagnosis = data.diagnosis.to_numpy()
rows = []
for levels in itertools.product(*(range(len(column)) for column in columns)):
    classes = transformation(levels)
    size = np.bincount(classes)
    seen = np.zeros((len(size), 5), dtype=bool)
    seen[classes, diagnosis] = True
    rows.append((levels, classes, size, seen.sum(axis=1)))


def figures(levels, classes, size, good, k):
    kept = good[classes]
    dropped = int(N - kept.sum())
    ncp, precision = Fraction(0), Fraction(0)
    for q, column, level in zip(QUASI, columns, levels):
        node, _, leaves, _ = column[level]
        all_leaves = len(HIERARCHIES[q])
        ncp += Fraction(int((leaves[node[kept]] - 1).sum()), all_leaves - 1)
        precision += 1 - Fraction(level, len(column) - 1)
    count = int(good.sum())
    return dict(
        ncp=(ncp / len(QUASI) + dropped) / N,
        discernibility=int((size[good].astype(np.int64) ** 2).sum()) + dropped * N,
        figures=dict(
            rows=N - dropped, rows_suppressed=dropped, classes=count, k=int(size[good].min()), average_class_size=(N - dropped) / count,
            c_avg=(N - dropped) / count / k, gcp=float(ncp / len(QUASI) / (N - dropped)), precision=float(precision / len(QUASI)),
        ),
    )


cases = []
for k, limit, l in itertools.product((3, 5), (0.0, 0.01, 0.05), (None, 2)):
    fitting = []
    for levels, classes, size, values in rows:
        good = (size >= k) & (values >= (l or 1))
        dropped = N - int(size[good].sum())
        if dropped <= math.floor(limit * N) and good.any():
            found = figures(levels, classes, size, good, k)
            fitting.append((levels, classes, good, dict(found, entropy=entropy(levels, good[classes]))))
    for loss in ("ncp", "discernibility", "entropy"):
        if loss != "ncp" and (k, l) != (5, None):
            continue
        levels, classes, good, best = min(fitting, key=lambda f: (f[3][loss], sum(f[0]), f[0]))
        equal = sum(abs(float(f[3][loss] - best[loss])) <= 1e-9 * float(best[loss]) for f in fitting)
        labels = [column[level][1] for column, level in zip(columns, levels)]
        nodes = [column[level][0] for column, level in zip(columns, levels)]
        released = pd.Series([tuple(l[n[i]] for l, n in zip(labels, nodes)) for i in range(N) if good[classes[i]]]).value_counts()
        cases.append(dict(
            ask=dict(k=k, suppression_limit=limit, **({"l": l} if l else {}), **({"loss": loss} if loss != "ncp" else {})),
            fitting=len(fitting), of_equal_loss=equal, levels=levels, loss=float(best[loss]),
            figures=dict(best["figures"], discernibility=best["discernibility"], gcp_with_suppression=float(best["ncp"])),
            classes=sorted([*cell, int(n)] for cell, n in released.items()),
        ))
golden = dict(quasi_identifiers=QUASI, hierarchies=HIERARCHIES, cases=cases)
(here.parent / "anonymize_optimal.json").write_text(json.dumps(golden) + "\n")
