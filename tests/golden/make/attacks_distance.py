# Figures of distances, pair by pair from their definitions, on rows of tests/data/heart_disease.
# Requires: numpy (any), scipy==1.17.1, pandas==2.3.3, pyarrow (any), sdmetrics==0.32.0
# Usage: python attacks_distance.py  (writes ../attacks_distance.json)
#
# The holdout gets the smallest and largest numbers of the training rows, because SDMetrics scales each distance by the table it
# is to, and Lookalike scales all by the training rows.
import json
import pathlib
import random

import numpy as np
import pandas as pd
from scipy.stats import entropy
from sdmetrics.single_table.privacy import DCROverfittingProtection

rng = random.Random(20240610)
here = pathlib.Path(__file__).parent
heart = pd.read_parquet(here / "../../data/heart_disease/patients.parquet")
numeric, categories = ["age", "chol", "thalch"], ["sex", "cp"]
heart = heart[numeric + categories].sample(240, random_state=7).reset_index(drop=True)
heart[numeric] = heart[numeric].astype(float)
train, holdout, synthetic = (heart.iloc[i * 80 : (i + 1) * 80].reset_index(drop=True).copy() for i in range(3))
for c in numeric:
    low, high = train[c].min(), train[c].max()
    holdout[c] = holdout[c].clip(low, high)
    holdout.loc[[1, 2], c] = [low, high]
# Copies of training rows, and of one holdout row.
for i in range(9):
    synthetic.loc[i] = train.loc[i * 5]
synthetic.loc[9] = holdout.loc[33]

width = {c: train[c].max() - train[c].min() for c in numeric}


def parts(a, b):
    # One matrix a column: NULL beside NULL 0, beside a value 1.
    result = []
    for c in numeric + categories:
        x, y = a[c].to_numpy(dtype=object)[:, None], b[c].to_numpy(dtype=object)[None, :]
        nx, ny = pd.isna(a[c]).to_numpy()[:, None], pd.isna(b[c]).to_numpy()[None, :]
        if c in numeric:
            d = np.minimum(np.abs(a[c].to_numpy()[:, None] - b[c].to_numpy()[None, :]) / width[c], 1)
        else:
            d = (x != y).astype(float)
        d = np.where(nx & ny, 0.0, np.where(nx ^ ny, 1.0, d))
        result.append(d.astype(float))
    return result


def gower(a, b):
    return sum(parts(a, b)) / 5


def among(a, distance=gower):
    d = distance(a, a)
    np.fill_diagonal(d, np.inf)
    return d


def weights():
    return [1 / entropy(train[c].value_counts(dropna=False).to_numpy()) for c in numeric + categories]


def weighted(a, b):
    return sum(w * d for w, d in zip(weights(), parts(a, b)))


def side(real):
    d = gower(synthetic, real)
    two = np.sort(d, axis=1)[:, :2]
    ratio = np.where(two[:, 0] == two[:, 1], 1.0, two[:, 0] / np.where(two[:, 1] == 0, 1, two[:, 1]))
    own = among(real)
    aa = lambda x, y, across: np.mean(across.min(axis=1) > among(x).min(axis=1))
    hits = []
    for _, r in real.iterrows():
        near = np.ones(len(synthetic), dtype=bool)
        for c in numeric:
            s = synthetic[c].to_numpy()
            near &= (np.abs(s - r[c]) <= width[c] / 30) | (np.isnan(s) & np.isnan(r[c]))
        for c in categories:
            near &= ((synthetic[c] == r[c]) | (synthetic[c].isna() & pd.isna(r[c]))).to_numpy()
        hits.append(near.any())
    return {
        "dcr_mean": two[:, 0].mean(), "dcr_median": np.median(two[:, 0]), "dcr_p05": np.quantile(two[:, 0], 0.05),
        "nndr_mean": ratio.mean(), "nndr_median": np.median(ratio), "nndr_p05": np.quantile(ratio, 0.05), "nndr_10th": np.sort(ratio)[9],
        "identical_match_share": (two[:, 0] == 0).mean(),
        "median_dcr_ratio": np.median(two[:, 0]) / np.median(own.min(axis=1)),
        "authenticity": np.mean([row.min() > own[row.argmin()].min() for row in d]),
        "epsilon_identifiability": np.mean(weighted(real, synthetic).min(axis=1) < among(real, weighted).min(axis=1)),
        "hitting_rate": np.mean(hits),
        "nnaa": (aa(real, synthetic, d.T) + aa(synthetic, real, d)) / 2,
    }


t, h = side(train), side(holdout)
dt, dh = gower(synthetic, train).min(axis=1), gower(synthetic, holdout).min(axis=1)
metadata = {"columns": {c: {"sdtype": "numerical" if c in numeric else "categorical"} for c in numeric + categories}}
protection = DCROverfittingProtection.compute_breakdown(train, synthetic, holdout, {"tables": {"heart": metadata}}, table_name="heart")
figures = {
    "dcr_share": float(np.mean(dt < dh) + np.mean(dt == dh) / 2), "dcr_tied_share": float(np.mean(dt == dh)),
    "sdmetrics_overfitting_protection": float(protection["score"]), "privacy_loss": float(h["nnaa"] - t["nnaa"]),
}
plain = lambda d: {k: float(v) for k, v in d.items()}
rows = lambda f: {c: [None if pd.isna(v) else v for v in f[c]] for c in numeric + categories}
out = here.parent / "attacks_distance.json"
out.write_text(json.dumps({"train": rows(train), "holdout": rows(holdout), "synthetic": rows(synthetic), "t": plain(t), "h": plain(h), "both": figures}) + "\n")
print(plain(t), plain(h), figures)
