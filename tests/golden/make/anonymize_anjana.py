# requirements: anjana==1.2.3 pycanon==1.3.5 pandas==2.3.3 numpy==2.0.2 pyarrow==21.0.0
"""Releases of anjana beside method 'datafly', and what the released tables measure, on the heart disease patients in tests/data.

anjana 1.2.3 climbs as Datafly does: the quasi-identifier with the most different values goes up one level, the first one of
equals, until the rows of classes below k are within the share that may be dropped. For k alone the releases are the same,
row for row, without and with suppression, and for t-closeness and l-diversity without suppression.

They differ (`same` is false) where a further criterion meets a share that may be dropped:
* t-closeness: anjana reaches k first and drops rows for it. They stay dropped at the higher levels that t needs, where most
  of them would stand in classes of k again; and different values are counted without them. 'datafly' asks for all criteria
  at each step and drops rows at the last levels alone.
* l-diversity: anjana drops rows for k first as well, and for l only where no class has l values (`l_div > max(...)`), which
  leaves nothing: for l it climbs on.

`measures` are the definitions on the released rows, by counting: discernibility (Bayardo & Agrawal 2005), c_avg (LeFevre et al.
2006), ncp with hierarchies (Xu et al. 2006: leaves below the node - 1 over all leaves - 1), precision (Sweeney 2002).
"""
import contextlib
import io
import json
import pathlib
from collections import Counter

import pandas as pd
from anjana.anonymity import k_anonymity, l_diversity, t_closeness

here = pathlib.Path(__file__).parent
QUASI = ["age", "sex", "site", "cp", "chol"]
whole = pd.read_parquet(here.parent.parent / "data" / "heart_disease" / "patients.parquet")
whole = whole[whole.chol.notna()].reset_index(drop=True)
data = whole[QUASI].astype(dict(age=int, chol=int)).astype(str)
data["diagnosis"] = whole.diagnosis


def widths(column, *steps):
    values = sorted({int(v) for v in data[column]})
    cell = lambda v, w: f"[{v // w * w}, {v // w * w + w})"
    return [[str(v), *(cell(v, w) for w in steps), "*"] for v in values]


HIERARCHIES = dict(
    age=widths("age", 5, 10, 20),
    sex=[[s, "*"] for s in ("Female", "Male")],
    site=[["Cleveland", "USA", "*"], ["VA Long Beach", "USA", "*"], ["Hungary", "Europe", "*"], ["Switzerland", "Europe", "*"]],
    cp=[["typical angina", "angina", "*"], ["atypical angina", "angina", "*"], ["non-anginal", "other", "*"], ["asymptomatic", "other", "*"]],
    chol=widths("chol", 20, 100),
)
columns = {q: {level: list(labels) for level, labels in enumerate(zip(*rows))} for q, rows in HIERARCHIES.items()}


def measures(released, quasi, k):
    """By counting; the level of a label is the highest that has it, as where a value is alone at its node."""
    n, kept = len(data), len(released)
    sizes = Counter(map(tuple, released[quasi].values)).values()
    ncp, precision = {}, {}
    for q in quasi:
        rows = HIERARCHIES[q]
        leaves, level = {}, {}
        for at in range(len(rows[0])):
            below = Counter(row[at] for row in rows)
            for label, count in below.items():
                leaves[label], level[label] = count, at
        ncp[q] = sum((leaves[v] - 1) / (len(rows) - 1) for v in released[q]) / kept
        precision[q] = 1 - sum(level[v] / (len(rows[0]) - 1) for v in released[q]) / kept
    gcp = sum(ncp.values()) / len(quasi)
    return dict(
        rows=kept, classes=len(sizes), k=min(sizes), average_class_size=kept / len(sizes), c_avg=kept / len(sizes) / k,
        rows_suppressed=n - kept, discernibility=sum(s * s for s in sizes) + (n - kept) * n, gcp=gcp,
        gcp_with_suppression=(gcp * kept + n - kept) / n, precision=sum(precision.values()) / len(quasi),
        **{f"ncp {q}": v for q, v in ncp.items()}, **{f"precision {q}": v for q, v in precision.items()},
    )


def run(quasi, k, percent, l=None, t=None, text=False):
    hierarchies = {q: {level: list(labels) for level, labels in columns[q].items()} for q in quasi}
    table = data[quasi + ["diagnosis"]].copy()
    if text:
        table["diagnosis"] = table.diagnosis.astype(str)
    with contextlib.redirect_stdout(io.StringIO()):
        if l:
            out = l_diversity(table, [], quasi, "diagnosis", k, l, percent, hierarchies)
        elif t:
            out = t_closeness(table, [], quasi, "diagnosis", k, t, percent, hierarchies)
        else:
            out = k_anonymity(table, [], quasi, k, percent, hierarchies)
    assert len(out)
    cells = Counter(map(tuple, out[quasi].values))
    ask = dict(quasi_identifiers=quasi, k=k, suppression_limit=percent / 100)
    ask.update({name: v for name, v in dict(l=l, t=t, t_distance="equal" if text else None).items() if v})
    return dict(ask=ask, same=not (percent and (l or t)), measures=measures(out, quasi, k),
                classes=sorted([*cell, n] for cell, n in cells.items()))


cases = [run(quasi, k, percent) for quasi in (["age", "sex"], ["chol", "age"], QUASI[:4], QUASI) for k in (3, 20) for percent in (0, 2, 10)]
cases += [run(quasi, 3, 0, l=l) for quasi in (["age", "sex"], QUASI) for l in (2, 3)]
cases += [run(quasi, 5, 0, t=t, text=text) for quasi in (["age", "sex"], QUASI[:4]) for t, text in ((0.3, False), (0.1, False), (0.4, True), (0.3, True))]
cases += [run(QUASI, 5, 10, l=3), run(QUASI, 5, 10, t=0.2)]
(here.parent / "anonymize_anjana.json").write_text(json.dumps(dict(hierarchies=HIERARCHIES, cases=cases)) + "\n")
