# requirements: pycanon==1.3.6 pandas==2.3.3 numpy==2.0.2 pyarrow==21.0.0
"""Figures of ANONYMITY_REPORT as pycanon measures them, on the heart disease patients in tests/data.

Classes are sex, sex and hospital, decade of age and sex, as SQL writes them; no column has missing values.

Where pycanon 1.3.6 differs from the papers, and what is expected instead:
* entropy l is cut to an integer: `entropy_l` is exp(entropy) as defined (Machanavajjhala et al. 2007, definition 4.1);
  pycanon's integer is checked against its floor.
* recursive (c, l) sorts the counts ascending, so that its r1 is the least frequent value, and adds 1 to round up:
  `recursive_c` is r1 / (rl + ... + rm) with r1 the most frequent (definition 4.2); pycanon's c is kept for the record.
* enhanced beta is max over values of min(largest gain, -ln p), which is finite for every table. By definition (Cao & Karras
  2012, definition 3) every gain has to be at most min(beta, -ln p): `enhanced_beta` is the largest gain if all gains keep to
  -ln p, and null (no beta is enough) otherwise.
* t-closeness takes the ordered distance for numbers, the equal distance for strings: both are asked for by type.
"""
import json
import math
import pathlib
from collections import Counter

import pandas as pd
from pycanon import anonymity

here = pathlib.Path(__file__).parent
data = pd.read_parquet(here.parent.parent / "data" / "heart_disease" / "patients.parquet")
data["decade"] = data.age // 10


def definitions(quasi, sensitive):
    whole = Counter(data[sensitive])
    classes = [Counter(part[sensitive]) for _, part in data.groupby(quasi)]
    entropy, enhanced, c = math.inf, 0.0, {2: 0.0, 3: 0.0}
    for counts in classes:
        n = sum(counts.values())
        entropy = min(entropy, math.exp(-sum(v / n * math.log(v / n) for v in counts.values())))
        for value, v in counts.items():
            p = whole[value] / len(data)
            gain = v / n / p - 1
            enhanced = max(enhanced, gain if gain <= -math.log(p) + 1e-12 else math.inf)
        sizes = sorted(counts.values(), reverse=True)
        for l in c:
            rest = sum(sizes[l - 1:])
            c[l] = max(c[l], sizes[0] / rest if rest else math.inf)
    finite = lambda x: x if math.isfinite(x) else None
    return dict(entropy_l=entropy, enhanced_beta=finite(enhanced), recursive_c_2=finite(c[2]), recursive_c_3=finite(c[3]))


reports = []
for quasi in (["sex"], ["sex", "site"], ["decade", "sex"], ["decade", "sex", "cp"]):
    for sensitive in ("diagnosis", "cp", "age"):
        if sensitive in quasi or (sensitive == "age" and "decade" in quasi):
            continue
        text = data.assign(**{sensitive: data[sensitive].astype(str)})
        numeric = pd.api.types.is_numeric_dtype(data[sensitive])
        ask = lambda f, table=data: float(f(table, quasi, [sensitive]))
        pycanon = dict(
            k=int(anonymity.k_anonymity(data, quasi)),
            distinct_l=ask(anonymity.l_diversity),
            t_equal=ask(anonymity.t_closeness, text),
            t_ordered=ask(anonymity.t_closeness) if numeric else None,
            delta_disclosure=ask(anonymity.delta_disclosure),
            basic_beta=ask(anonymity.basic_beta_likeness),
            alpha=float(anonymity.alpha_k_anonymity(data, quasi, [sensitive])[0]),
        )
        differing = dict(
            entropy_l=int(anonymity.entropy_l_diversity(data, quasi, [sensitive])),
            enhanced_beta=ask(anonymity.enhanced_beta_likeness),
            recursive=[None if x != x else float(x) for x in anonymity.recursive_c_l_diversity(data, quasi, [sensitive])],
        )
        reports.append(dict(quasi_identifiers=quasi, sensitive=sensitive, pycanon=pycanon, differing=differing,
                            definitions=definitions(quasi, sensitive)))
(here.parent / "report_pycanon.json").write_text(json.dumps(dict(reports=reports)) + "\n")
