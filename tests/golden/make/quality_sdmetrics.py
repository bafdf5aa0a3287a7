# Scores of SDMetrics' quality report, and distances of scipy, on rows of tests/data/heart_disease.
# Requires: sdmetrics==0.32.0, scipy==1.17.1, pandas==2.3.3, numpy==2.4.6, pyarrow (any)
# Usage: python quality_sdmetrics.py  (writes ../quality_sdmetrics.json)
#
# Three cases: two halves of the patients; the same with values moved, cut off, swapped and set to NULL; and columns of one
# value or none.
import json
import math
import pathlib

import numpy as np
import pandas as pd
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance
from sdmetrics.reports.single_table import QualityReport

rng = np.random.default_rng(20240611)
here = pathlib.Path(__file__).parent
heart = pd.read_parquet(here / "../../data/heart_disease/patients.parquet")
numbers = ["age", "trestbps", "chol", "oldpeak", "ca"]
categories = ["sex", "cp", "fbs", "slope", "thal"]
heart = heart[["age", "sex", "cp", "trestbps", "chol", "fbs", "oldpeak", "slope", "ca", "thal"]].copy()
for c in categories:
    heart[c] = heart[c].map(lambda v: None if pd.isna(v) else str(v)).astype(object)
for c in numbers:
    heart[c] = heart[c].astype(float)
heart = heart.sample(frac=1, random_state=3).reset_index(drop=True)
real, synthetic = heart.iloc[:300].reset_index(drop=True), heart.iloc[300:550].reset_index(drop=True)

moved = synthetic.copy()
moved["age"] = (moved["age"] * 1.1 + 2).round(2)
moved["chol"] = moved["chol"].clip(150, 300)
moved["sex"] = np.where(rng.random(len(moved)) < 0.3, "Female", moved["sex"])
moved.loc[rng.random(len(moved)) < 0.2, "oldpeak"] = np.nan
moved.loc[rng.random(len(moved)) < 0.2, "cp"] = None
moved["slope"] = moved["slope"].replace({"flat": "flatter"})

odd_real, odd = real[["age", "sex"]].copy(), synthetic[["age", "sex"]].copy()
for table, flat, word in ((odd_real, 7.0, "x"), (odd, 8.0, "x")):
    table["constant"] = flat
    table["empty"] = np.nan
    table["word"] = word
    table["mostly"] = np.where(np.arange(len(table)) < 3, table["age"], np.nan)
odd_real["half"], odd["half"] = odd_real["age"], 50.0
odd_real["nothing"], odd["nothing"] = odd_real["sex"], None


def jsonable(table):
    return {c: [None if pd.isna(v) else v for v in table[c]] for c in table}


def number(value):
    return None if value is None or pd.isna(value) else float(value)


def case(name, real, synthetic):
    is_number = {c: real[c].dtype != object for c in real}
    metadata = {"columns": {c: {"sdtype": "numerical" if n else "categorical"} for c, n in is_number.items()}}
    report = QualityReport()
    report.generate(real, synthetic, metadata, verbose=False)
    shapes, pairs = report.get_details("Column Shapes"), report.get_details("Column Pair Trends")
    properties = dict(zip(*[report.get_properties()[c] for c in ("Property", "Score")]))
    wasserstein, shannon = {}, {}
    for c, n in is_number.items():
        a, b = real[c].dropna(), synthetic[c].dropna()
        if n and len(a) and len(b):
            wasserstein[c] = wasserstein_distance(a, b)
        if not n:
            p, q = (t[c].fillna("NULL").value_counts(normalize=True) for t in (real, synthetic))
            both = p.index.union(q.index)
            shannon[c] = jensenshannon(p.reindex(both, fill_value=0), q.reindex(both, fill_value=0), base=2)
    return {
        "name": name,
        "real": jsonable(real),
        "synthetic": jsonable(synthetic),
        "quality_score": number(report.get_score()),
        "column_shapes": number(properties["Column Shapes"]),
        "column_pair_trends": number(properties["Column Pair Trends"]),
        "shapes": {r["Column"]: number(r["Score"]) for _, r in shapes.iterrows()},
        "pairs": [[r["Column 1"], r["Column 2"], number(r["Score"])] for _, r in pairs.iterrows()],
        "wasserstein": wasserstein,
        "jensen_shannon": shannon,
    }


cases = [case("halves", real, synthetic), case("moved", real, moved), case("odd", odd_real, odd)]
out = here / "../quality_sdmetrics.json"
out.write_text(json.dumps(cases, separators=(",", ":"), allow_nan=False))
