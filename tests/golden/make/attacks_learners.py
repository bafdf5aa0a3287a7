# Logistic regression and boosted trees by scikit-learn.
# Requires: scikit-learn==1.9.1, pandas==3.1.1, pyarrow==26.0.1
# Usage: python attacks_learners.py  (writes ../attacks_learners.json)
#
# Rows are patients of tests/data/heart_disease, numbers standardised; odd ids train, even ids test. scikit-learn's trees hold
# derivatives in float32, ours in float64, so that splits of nearly equal gain may differ.
import json
import pathlib

import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score, roc_auc_score

here = pathlib.Path(__file__).parent
columns = ["age", "trestbps", "chol", "thalch", "oldpeak"]
patients = pd.read_parquet(here / "../../data/heart_disease/patients.parquet").dropna(subset=columns)
x = patients[columns].to_numpy(float)
x = ((x - x.mean(axis=0)) / x.std(axis=0)).round(4)
train = patients["id"].to_numpy() % 2 == 1
diagnosis = patients["diagnosis"].to_numpy()
binary, three = (diagnosis > 0).astype(int), diagnosis.clip(max=2)
exact = dict(tol=1e-12, max_iter=100_000)
two = LogisticRegression(C=1 / 2.0, **exact).fit(x[train], binary[train])
many = LogisticRegression(C=1 / 2.0, **exact).fit(x[train], three[train])
grown = dict(max_iter=30, learning_rate=0.1, max_leaf_nodes=8, min_samples_leaf=10, l2_regularization=1.0, early_stopping=False)
trees = HistGradientBoostingClassifier(**grown).fit(x[train], binary[train])
trees_many = HistGradientBoostingClassifier(**grown).fit(x[train], three[train])
trees_number = HistGradientBoostingRegressor(**grown).fit(x[train], diagnosis[train])
out = {
    "x": x.tolist(),
    "train": train.tolist(),
    "diagnosis": diagnosis.tolist(),
    "logistic_two": [*two.coef_[0].tolist(), two.intercept_[0]],
    "logistic_many": [[*w.tolist(), b] for w, b in zip(many.coef_, many.intercept_)],
    "trees_two": trees.decision_function(x).round(9).tolist(),
    "trees_two_auc": roc_auc_score(binary[~train], trees.decision_function(x[~train])),
    "trees_many": trees_many.predict_proba(x).round(9).tolist(),
    "trees_number": trees_number.predict(x).round(9).tolist(),
    "trees_number_r2": r2_score(diagnosis[~train], trees_number.predict(x[~train])),
}
(here / "../attacks_learners.json").write_text(json.dumps(out) + "\n")
