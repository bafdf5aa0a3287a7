# requirements: anonypy==0.2.1 pandas==2.3.3
"""Classes of anonypy's Mondrian on numbers, where its rules are the same as ours.

anonypy cuts at pandas' median, left < median <= right. On negated numbers that is ours: right side <= m, left side > m,
with m the lower median (for an even number of rows pandas takes the mean of the two middle values, which lies between
them or is both). All values of a column differ, so that a cut refused on one side of the median is refused on the
other too, which anonypy does not try. Categories are left out: anonypy cuts them by order of appearance.
"""
import json
import pathlib

import pandas as pd
from anonypy.mondrian import Mondrian

N = 211  # prime: i -> a * i mod N visits every number once
rows = [[(37 * i) % N, ((101 * i + 7) % N) ** 2, 3 * ((59 * i + 100) % N) - 50] for i in range(N)]
table = pd.DataFrame(rows, columns=["a", "b", "c"])
releases = []
for k in (3, 7, 16):
    classes = Mondrian(-table, ["a", "b", "c"]).partition(k)
    releases.append(dict(k=k, classes=sorted(sorted(int(i) for i in part) for part in classes)))
path = pathlib.Path(__file__).parent.parent / "anonymize_anonypy.json"
path.write_text(json.dumps(dict(rows=rows, releases=releases)) + "\n")
