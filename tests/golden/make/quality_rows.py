# Figures of whole rows and of learners, from their definitions and by scikit-learn, on rows of tests/data/heart_disease.
# Requires: scikit-learn==1.9.1, pandas==2.3.3, numpy==2.4.6, pyarrow (any)
# Usage: python quality_rows.py  (writes ../quality_rows.json)
#
# support: alpha-precision, beta-recall (Alaa et al. 2022, with authenticity indexed by the closest real row), density and coverage
# (Naeem et al. 2020, closed balls) over range-scaled numbers and one-hot categories over the root of 2.
# pmse: scikit-learn's logistic regression, rank by numpy. learners: logistic and ridge regression, judged by scikit-learn.
import json
import pathlib

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, f1_score, log_loss, mean_absolute_error, r2_score, roc_auc_score

here = pathlib.Path(__file__).parent
heart = pd.read_parquet(here / "../../data/heart_disease/patients.parquet")
numbers, categories = ["age", "chol", "thalch"], ["sex", "cp", "exang"]
heart = heart[numbers + categories].dropna()
heart = heart[heart["chol"] > 0].sample(420, random_state=5).reset_index(drop=True)
heart[numbers] = heart[numbers].astype(float)
for c in categories:
    heart[c] = heart[c].astype(str)
real, synthetic, test = (heart.iloc[i * 140 : (i + 1) * 140].reset_index(drop=True).copy() for i in range(3))
synthetic["age"] = synthetic["age"] + 3
synthetic.loc[:9] = real.loc[20:29].to_numpy()
K, ALPHAS = 5, np.linspace(0, 1, 30)


def embedded(table):
    low, high = real[numbers].min(), real[numbers].max()
    parts = [((table[numbers]) / (high - low)).to_numpy()]
    for c in categories:
        for label in sorted(heart[c].unique()):
            parts.append((table[c] == label).to_numpy(dtype=float)[:, None] / np.sqrt(2))
    return np.hstack(parts)


def distances(a, b):
    return np.sqrt(((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=2))


r, s = embedded(real), embedded(synthetic)
rr, rs = distances(r, r), distances(r, s)
# Copies are at 0, whatever rounding says.
rs[rs < 1e-7] = 0
np.fill_diagonal(rr, np.inf)
rr[rr < 1e-7] = 0
own, ball = rr.min(axis=1), np.sort(rr, axis=1)[:, K - 1]
from_centre = np.sqrt(((r - r.mean(axis=0)) ** 2).sum(axis=1))
of_synthetic = np.sqrt(((s - r.mean(axis=0)) ** 2).sum(axis=1))
precision = [np.mean(of_synthetic <= q) for q in np.quantile(from_centre, ALPHAS)]
closest = np.sqrt(((s - s.mean(axis=0)) ** 2).sum(axis=1))[rs.argmin(axis=1)]
recall = [np.mean((rs.min(axis=1) <= own) & (closest <= q)) for q in np.quantile(closest, ALPHAS)]
delta = lambda curve: 1 - np.abs(ALPHAS - np.array(curve)).sum() / ALPHAS.sum()
support = {
    "alpha_precision": delta(precision),
    "beta_recall": delta(recall),
    "authenticity": np.mean(rs.min(axis=0) > own[rs.argmin(axis=0)]),
    "density": (rs <= ball[:, None]).sum() / (K * len(s)),
    "coverage": np.mean(rs.min(axis=1) <= ball),
}


def prepared(learned, tables, names):
    # Standardised and one-hot by the rows that are learned from.
    result = []
    for table in tables:
        parts = []
        for c in names:
            if c in numbers:
                parts.append(((table[c] - learned[c].mean()) / learned[c].std(ddof=0)).to_numpy()[:, None])
            else:
                parts += [(table[c] == label).to_numpy(dtype=float)[:, None] for label in sorted(learned[c].unique())]
        result.append(np.hstack(parts))
    return result


both = pd.concat([real, synthetic])
(x,) = prepared(both, [both], numbers + categories)
y = np.repeat([0, 1], 140)
model = LogisticRegression(C=10.0, tol=1e-12, max_iter=10000).fit(x, y)
weights = np.linalg.matrix_rank(x - x.mean(axis=0))
expected = weights * 0.25 * 0.5 / 280
value = np.mean((model.predict_proba(x)[:, 1] - 0.5) ** 2)
pmse = {
    "pmse": value,
    "pmse_ratio": value / expected,
    "pmse_standardised": (value - expected) / (np.sqrt(2 * weights) * 0.25 * 0.5 / 280),
}


def classes(target):
    names = [c for c in numbers + categories if c != target]
    figures = {}
    for name, learned in (("synthetic", synthetic), ("train", real)):
        a, b = prepared(learned, [learned, test], names)
        model = LogisticRegression(C=1.0, tol=1e-12, max_iter=10000).fit(a, learned[target])
        chances, truth, said = model.predict_proba(b), test[target], model.predict(b)
        counts = real[target].value_counts()
        positive = sorted(counts[counts == counts.min()].index)[-1]
        two = len(model.classes_) == 2
        hot = (truth.to_numpy()[:, None] == model.classes_[None, :]).astype(float)
        figures[name] = {
            "accuracy": accuracy_score(truth, said),
            "f1": f1_score(truth, said, labels=[positive], average="macro"),
            "f1_macro": f1_score(truth, said, average="macro"),
            "auc": roc_auc_score(truth == positive, chances[:, list(model.classes_).index(positive)])
            if two
            else roc_auc_score(truth, chances, multi_class="ovr"),
            "log_loss": log_loss(truth, chances, labels=model.classes_),
            "brier": ((chances - hot) ** 2).sum(axis=1).mean() / (2 if two else 1),
        }
    return figures


def values(target):
    names = [c for c in numbers + categories if c != target]
    figures = {}
    for name, learned in (("synthetic", synthetic), ("train", real)):
        a, b = prepared(learned, [learned, test], names)
        said = Ridge(alpha=1.0).fit(a, learned[target]).predict(b)
        errors = test[target] - said
        figures[name] = {
            "r2": r2_score(test[target], said),
            "rmse": np.sqrt(np.mean(errors**2)),
            "mae": mean_absolute_error(test[target], said),
        }
    return figures


out = {
    "real": {c: list(real[c]) for c in real},
    "synthetic": {c: list(synthetic[c]) for c in synthetic},
    "test": {c: list(test[c]) for c in test},
    "support": support,
    "pmse": pmse,
    "learners": {"exang": classes("exang"), "cp": classes("cp"), "thalch": values("thalch")},
}
path = here / "../quality_rows.json"
path.write_text(json.dumps(out, separators=(",", ":"), allow_nan=False, default=float))
