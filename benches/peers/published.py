"""F1 of four classifiers trained on synthetic rows of UCI Adult, by the protocol of the benchmark of Xu et al. 2019 (the CTGAN paper),
so that the figures it published may stand beside ours.

usage: published.py --train FILE --test FILE [--repeats N] [--depth N] [NAME=FILE ...]

FILE: Parquet files of Adult, such as adult/train.parquet and adult/test.parquet below $LOOKALIKE_DATA; those of a NAME hold as many
synthetic rows as there are training rows. Prints a table in Markdown, the real training rows first: F1 of each classifier, their
mean, and the mean's standard deviation over repeats (and over the files of a NAME that is given several times).

requirements: scikit-learn==1.9.1 pandas==2.3.3 numpy==2.3.5 pyarrow

The protocol is that of SDGym 0.2.0 (sdist on PyPI: sdgym/evaluate.py, sdgym/benchmark.py), whose list of results (results/0.2.0.csv in
its repository) is the paper's: real .669, TVAE .626, CTGAN .601, TableGAN .492, MedGAN .375. Its authors ran it again for 0.2.2
(results/0.2.2.csv): real .663, TVAE .619, CTGAN .602, TableGAN .353, MedGAN .243, which shows the noise.
  learners   decision tree (depth 15, balanced), AdaBoost (50 stumps), logistic regression (50 iterations, balanced), a network of 50
             units (50 epochs); all else as scikit-learn of 2020 had it by default. AdaBoost was SAMME.R then, which scikit-learn
             has dropped: with two classes it is Real AdaBoost (Friedman, Hastie & Tibshirani 2000) and written out below.
  features   numbers that are never negative and reach 1000: the logarithm, that of 0.01 for less; other numbers: 0 to 5 over the real
             range. education: its rank in the benchmark's order. Two categories: 0 and 1. More: one-hot, unknown ones all 0.
  score      F1 of > 50K (the rarer class) in the real test rows; mean of the learners, then of three repeats. There the generator is
             trained anew for each repeat; here that takes three files of one NAME.
  data       there 22,561 rows of adult.data to train on and its other 10,000 to test; here what is given, such as the original split.
             A missing value is a category of its own.
"""
import argparse, warnings
import numpy as np, pandas as pd
from pandas.api.types import is_numeric_dtype
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

TARGET = "income"
EDUCATION = """Preschool 1st-4th 5th-6th 7th-8th 9th 10th 11th 12th HS-grad Prof-school Assoc-voc Assoc-acdm Some-college Bachelors
               Masters Doctorate""".split()


class RealAdaBoost:
    def fit(self, x, y, stumps=50):
        weight, self.stumps = np.full(len(y), 1 / len(y)), []
        for _ in range(stumps):
            self.stumps.append(DecisionTreeClassifier(max_depth=1).fit(x, y, weight))
            weight *= np.exp(np.where(y, -1, 1) * self.half_log_odds(self.stumps[-1], x))
            weight /= weight.sum()
        return self

    def half_log_odds(self, stump, x):
        return np.diff(np.log(np.maximum(stump.predict_proba(x), np.finfo(float).eps)))[:, 0] / 2

    def predict(self, x):
        return sum(self.half_log_odds(stump, x) for stump in self.stumps) > 0


def learners(depth, seed):
    return {
        "decision tree": DecisionTreeClassifier(max_depth=depth, class_weight="balanced", random_state=seed),
        "AdaBoost": RealAdaBoost(),
        "logistic regression": LogisticRegression(class_weight="balanced", max_iter=50),
        "network": MLPClassifier((50,), max_iter=50, random_state=seed),
    }


def feature(real, rows):
    """What turns a column into features, by the real values' range and the categories among those to learn from."""
    if real.name == "education":
        return lambda c: c.map(EDUCATION.index)
    if is_numeric_dtype(real):
        low, high = real.min(), real.max()
        if low >= 0 and high >= 1000:
            return lambda c: np.log(np.maximum(c, 0.01))
        return lambda c: (c - low) / (high - low) * 5
    if real.nunique() <= 2:
        return lambda c: c == real.iloc[0]
    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(rows.to_frame())
    return lambda c: one_hot.transform(c.to_frame())


def scores(real, test, rows, repeats=3, depth=15):
    """F1 by repeat and learner."""
    parts = {name: feature(real[name], rows[name]) for name in real.columns.drop(TARGET)}
    x, x_test = (np.column_stack([np.asarray(part(t[name]), float) for name, part in parts.items()]) for t in (rows, test))
    rarer = real[TARGET].value_counts().index[-1]
    y, y_test = rows[TARGET].values == rarer, test[TARGET].values == rarer
    if y.all() or not y.any():
        return [[f1_score(y_test, np.full(len(test), y[0]))] * len(learners(depth, 0))]
    orders = [np.random.default_rng(seed).permutation(len(y)) for seed in range(repeats)]
    fits = ([model.fit(x[order], y[order]) for model in learners(depth, seed).values()] for seed, order in enumerate(orders))
    return [[f1_score(y_test, model.predict(x_test)) for model in models] for models in fits]


def read(file):
    table = pd.read_parquet(file)
    return table.assign(**{name: c.astype(object).fillna("?") for name, c in table.items() if not is_numeric_dtype(c)})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--depth", type=int, default=15)
    parser.add_argument("releases", nargs="*", metavar="NAME=FILE")
    args = parser.parse_args()
    warnings.filterwarnings("ignore", category=UserWarning)  # fifty iterations do not converge
    real, test = read(args.train), read(args.test)
    files = {"(training rows)": [args.train]}
    for release in args.releases:
        name, _, file = release.rpartition("=")
        files.setdefault(name, []).append(file)
    titles = [*learners(args.depth, 0), "mean", "sd"]
    print(f"| rows | {' | '.join(titles)} |\n| --- |{' ---: |' * len(titles)}")
    for name, of_name in files.items():
        f1 = np.array([row for file in of_name for row in scores(real, test, read(file), args.repeats, args.depth)])
        print(f"| {name} | {' | '.join(f'{value:.3f}' for value in [*f1.mean(0), f1.mean(), f1.mean(1).std()])} |", flush=True)


if __name__ == "__main__":
    main()
