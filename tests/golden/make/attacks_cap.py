# Correct attribution probabilities by SDMetrics on heart disease patients.
# Requires: sdmetrics==0.32.0 pyarrow
# Usage: python attacks_cap.py  (writes ../attacks_cap.json)
#
# DisclosureProtection puts numbers into ten bins of the real column and reports 1 - mean CAP; here the mean CAP. SDMetrics divides
# by the baseline 1 - 1/classes, Lookalike compares with the secret of a random synthetic row instead.
import json
import pathlib
import warnings

import pandas as pd
from sdmetrics.single_table.privacy import DisclosureProtection

warnings.filterwarnings("ignore")
here = pathlib.Path(__file__).parent
heart = pd.read_parquet(here.parent.parent / "data" / "heart_disease" / "patients.parquet")
numbers, categories = ["age", "chol", "oldpeak"], ["sex", "cp", "restecg", "slope"]
heart[numbers] = heart[numbers].astype(float)
heart[categories] = heart[categories].astype(object).where(heart[categories].notna(), None)
synthetic, train = (heart[heart["id"] % 3 == i][numbers + categories].reset_index(drop=True) for i in (0, 1))


def columns(frame):
    cell = lambda v: None if v is None or v != v else v
    return {c: [cell(v) for v in frame[c].tolist()] for c in frame.columns}


cases = []
for known, secret in [(["sex", "cp", "age"], "restecg"), (["sex", "cp", "restecg", "oldpeak"], "slope"), (["cp", "slope", "sex"], "chol"), (["age", "oldpeak", "cp", "sex", "restecg"], "slope")]:
    case = {"known": known, "secret": secret}
    for method in ("cap", "zero_cap", "generalized_cap"):
        found = DisclosureProtection.compute_breakdown(
            train, synthetic, known, [secret], method, [c for c in known + [secret] if c in numbers], 10
        )
        case[method] = 1 - float(found["cap_protection"])
    cases.append(case)
    print(case)
out = here.parent / "attacks_cap.json"
out.write_text(json.dumps({"synthetic": columns(synthetic), "train": columns(train), "cases": cases}, separators=(",", ":")) + "\n")
