# Nearest neighbours by scikit-learn's brute search on numbers scaled to the range of the references.
# Requires: scikit-learn==1.9.1 numpy pandas pyarrow
# Usage: python attacks_neighbours.py  (writes ../attacks_neighbours.json)
#
# Rows of tests/data/heart_disease without NULL in the columns used; every third is a query, the others are references.
# metric 'l1' is scikit-learn's cityblock; 'cosine' is centred on the middle of the range. Equal distances may come in any
# order, so distances alone are kept.
import glob
import json
import pathlib

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

COLUMNS, K = ["age", "trestbps", "chol", "thalch", "oldpeak"], 10
here = pathlib.Path(__file__).parent
data = pd.concat(pd.read_parquet(f) for f in sorted(glob.glob(str(here.parent.parent / "data/heart_disease/*.parquet"))))
rows = data[COLUMNS].astype(float).dropna().to_numpy()[:450]
is_query = np.arange(len(rows)) % 3 == 0
queries, references = rows[is_query], rows[~is_query]
low, high = references.min(0), references.max(0)
scale = lambda x: (x - low) / (high - low)
result = {}
for name, metric, shift in [("euclidean", "euclidean", 0), ("l1", "cityblock", 0), ("cosine", "cosine", 0.5)]:
    search = NearestNeighbors(n_neighbors=K, algorithm="brute", metric=metric).fit(scale(references) - shift)
    result[name] = search.kneighbors(scale(queries) - shift)[0].tolist()
out = {"k": K, "queries": queries.T.tolist(), "references": references.T.tolist(), "distances": result}
(here.parent / "attacks_neighbours.json").write_text(json.dumps(out) + "\n")
