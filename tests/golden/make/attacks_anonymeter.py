# The three attacks of Anonymeter on heart disease patients: what its predicates match, whom it links, what it infers.
# Requires: anonymeter==1.1.0 pyarrow (Python 3.8 to 3.11)
# Usage: python attacks_anonymeter.py  (writes ../attacks_anonymeter.json)
#
# Where Lookalike differs on purpose:
# * Of equally near rows Anonymeter takes whichever argsort puts first; Lookalike counts the expected share. Only targets
#   without such ties are compared.
# * Anonymeter scales by synthetic rows and targets together and counts NULL beside NULL as a difference; the targets here are
#   within the synthetic range and have no NULL.
# * A guessed number is right in Anonymeter when |guess - secret| / (guess + 1e-12) <= 5 %: relative to the guess, and with its
#   sign, so that every negative guess is right. `by_rule` counts |guess - secret| <= 5 % of |secret|.
# * Anonymeter drops repeated rows of all relations before it singles out; there are none here.
import json
import pathlib
import re
import warnings

import numpy as np
import pandas as pd
import polars as pl
from anonymeter.evaluators import InferenceEvaluator, LinkabilityEvaluator
from anonymeter.evaluators import singling_out_evaluator as so
from anonymeter.neighbors.mixed_types_kneighbors import MixedTypeKNeighbors

warnings.filterwarnings("ignore")
here = pathlib.Path(__file__).parent
numbers = ["age", "trestbps", "chol", "thalch", "oldpeak"]
categories = ["sex", "site", "cp", "restecg"]
heart = pd.read_parquet(here.parent.parent / "data" / "heart_disease" / "patients.parquet")
heart[numbers] = heart[numbers].astype(float)
heart[categories] = heart[categories].astype(object).where(heart[categories].notna(), None)
part = heart["id"] % 3
data = heart[numbers + categories].drop_duplicates()


def columns(frame):
    cell = lambda v: None if v is None or v != v else v
    return {c: [cell(v) for v in frame[c].tolist()] for c in frame.columns}


# Singling out, NULLs included.
parts = [data[part[data.index] == i].reset_index(drop=True) for i in range(3)]
syn, ori, control = (pl.DataFrame(p.to_dict("list"), schema_overrides={c: pl.Float64 for c in numbers}, strict=False) for p in parts)
syn, ori, control = (f.with_columns(pl.col(numbers).fill_nan(None)) for f in (syn, ori, control))
condition = re.compile(r'col\("(\w+)"\)(?:\.is_null\(\)|\)? (>=|<=|==|!=|>|<) \((?:dyn (?:float|int): )?"?([^")]*)"?\))')


def export(query):
    found = condition.findall(str(query))
    assert len(found) == str(query).count("col("), str(query)
    return [[c, op or "is_null", None if not op else float(v) if c in numbers else v] for c, op, v in found]


rng = np.random.default_rng(5)
multivariate = so.multivariate_singling_out_queries(syn, 300, 3, None, rng)
univariate = so.univariate_singling_out_queries(syn, 10**6, rng)
blind = [q for q in so._random_queries(syn, 300, 3, rng) if "is_null" not in str(q) and "not" not in str(q)]
counts = lambda df, queries: [int(n or 0) for n in so._evaluate_queries(df, queries)]
singling_out = {
    "synthetic": columns(parts[0]), "train": columns(parts[1]), "control": columns(parts[2]),
    "predicates": [[export(q), *n] for q, *n in zip(
        multivariate + blind,
        counts(syn, multivariate + blind), counts(ori, multivariate + blind), counts(control, multivariate + blind),
    )],
    "univariate": [len(univariate), *(counts(df, univariate).count(1) for df in (ori, control))],
}

# Linkability and inference: no NULLs, targets within the synthetic range and without ties.
whole = data.dropna()
syn = whole[part[whole.index] == 0].reset_index(drop=True)
ori = whole[part[whole.index] != 0]
ori = ori[(ori[numbers] >= syn[numbers].min()).all(axis=1) & (ori[numbers] <= syn[numbers].max()).all(axis=1)].reset_index(drop=True)


def untied(targets, cols, k):
    d, _ = MixedTypeKNeighbors(n_neighbors=k + 1, n_jobs=1).fit(syn[cols]).kneighbors(targets[cols], return_distance=True)
    return d[:, k] - d[:, k - 1] > 1e-9


def chosen(rows):
    """Targets, and where they stand among the training rows."""
    return ori[rows].reset_index(drop=True), np.flatnonzero(rows).tolist()


linkability = []
for k in (1, 3, 10):
    a, b = ["age", "chol", "sex"], ["trestbps", "thalch", "oldpeak", "cp"]
    targets, rows = chosen(untied(ori, a, k) & untied(ori, b, k))
    evaluator = LinkabilityEvaluator(ori=targets, syn=syn, n_attacks=len(targets), aux_cols=(a, b), n_neighbors=k)
    linkability.append({"k": k, "a": a, "b": b, "targets": rows, "successes": int(evaluator.evaluate(n_jobs=1).results().n_success)})

inference = []
for secret in ("cp", "sex", "chol", "oldpeak"):
    known = [c for c in numbers + categories if c != secret]
    targets, rows = chosen(untied(ori, known, 1))
    evaluator = InferenceEvaluator(ori=targets, syn=syn, n_attacks=len(targets), aux_cols=known, secret=secret, regression=secret in numbers)
    evaluator.evaluate(n_jobs=1)
    nearest = MixedTypeKNeighbors(n_neighbors=1, n_jobs=1).fit(syn[known]).kneighbors(targets[known]).ravel()
    guess, truth = syn[secret].iloc[nearest].to_numpy(), targets[secret].to_numpy()
    by_rule = np.abs(guess - truth) <= 0.05 * np.abs(truth) if secret in numbers else guess == truth
    inference.append({
        "secret": secret, "known": known, "targets": rows,
        "successes": int(evaluator.results().n_success), "by_rule": int(by_rule.sum()),
    })

for row in linkability + inference:
    print({k: v for k, v in row.items() if k != "targets"}, len(row["targets"]))
print(singling_out["univariate"], len(singling_out["predicates"]), len(syn))
out = here.parent / "attacks_anonymeter.json"
out.write_text(json.dumps({"singling_out": singling_out, "synthetic": columns(syn), "train": columns(ori), "linkability": linkability, "inference": inference}, separators=(",", ":")) + "\n")
