# Distances to the closest record by SDMetrics.
# Requires: sdmetrics==0.32.0
# Usage: python attacks_dcr.py  (writes ../attacks_dcr.json)
#
# SDMetrics' calculate_dcr uses the rule of metric 'gower': range of the reference, cap at 1, mean over columns, both NULL 0, one
# NULL 1, a column of one value compares as equal or unequal.
import json
import pathlib
import random

import pandas as pd
from sdmetrics.single_table.privacy.dcr_utils import calculate_dcr

rng = random.Random(20240607)


def table(rows, spread):
    def null(value):
        return None if rng.random() < 0.1 else value

    return {
        "age": [null(rng.randint(20, 20 + spread)) for _ in range(rows)],
        "dose": [null(round(rng.gauss(0, spread), 3)) for _ in range(rows)],
        "site": [1.0 + (spread > 50 and rng.random() < 0.1) for _ in range(rows)],
        "sex": [null(rng.choice("FM")) for _ in range(rows)],
        "code": [null(rng.choice("ABCDEFG")) for _ in range(rows)],
    }


reference, dataset = table(120, 50), table(60, 70)
# Verbatim copies, one with NULLs.
for name in reference:
    dataset[name][0] = reference[name][3]
    dataset[name][1] = reference[name][17]
metadata = {
    "columns": {
        "age": {"sdtype": "numerical"},
        "dose": {"sdtype": "numerical"},
        "site": {"sdtype": "numerical"},
        "sex": {"sdtype": "categorical"},
        "code": {"sdtype": "categorical"},
    }
}
numeric = ("age", "dose", "site")
frame = lambda t: pd.DataFrame({c: pd.Series(v, dtype=float if c in numeric else object) for c, v in t.items()})
dcr = calculate_dcr(frame(dataset), frame(reference), metadata)
out = pathlib.Path(__file__).parent.parent / "attacks_dcr.json"
out.write_text(json.dumps({"reference": reference, "dataset": dataset, "dcr": dcr.tolist()}) + "\n")
