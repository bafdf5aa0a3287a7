"""The battery on releases whose leakage is known: which attack sees what, at which sizes, and how often clean ones are accused.

usage: controls.py SHELL [--rows 1000,4000] [--clean-seeds 200] [--leaky-seeds 20] [--only NAME,...] [--options "..."]

SHELL is target/release/lookalike; Adult lies below $LOOKALIKE_DATA (default ../shared/data).
requirements: numpy, pandas, pyarrow

For every seed, three disjoint samples of Adult of so many rows each, and from them a release of as many rows:
  fresh         the third sample: rows of the same population, nothing to find
  strangers     SYNTHESIZE(the third sample, model => 'independent'): smoothed marginals of people who are no targets
  independent   SYNTHESIZE(training rows, model => 'independent'): smoothed marginals of the training rows and nothing else
  shuffled      every column of the training rows shuffled by itself: no row is anybody's, but every value is, and fnlwgt names
                its person
  leak_1        1 % of the training rows verbatim among fresh ones; leak_5 and leak_20 likewise
  smote         rows between a training row and one of its five nearest (Chawla et al. 2002); categories from either
  copy          the training rows
A table in Markdown for every size. Clean releases: the share of seeds in which a single test has a p-value of at most .05, which
may be one in twenty (`any column`: of 15 tests). Leaky ones: the share in which the finding is a leak after correction for
all tests of the report, and the mean value. Last line: in how many seeds the report accuses the release at all; for clean
releases that is at most alpha, .05: 24 or more of 200 have a probability below 1e-4 then, 28 below 1e-6.
"""
import argparse, collections, csv, io, itertools, os, subprocess, sys, tempfile, time

import numpy as np
import pandas as pd

ROOT = os.environ.get("LOOKALIKE_DATA", "../shared/data")
CLEAN, LEAKY = ["fresh", "strangers"], ["independent", "shuffled", "leak_1", "leak_5", "leak_20", "smote", "copy"]


def samples(table, rows, seed):
    chosen = np.random.default_rng(seed).permutation(len(table))[: 3 * rows]
    return [table.iloc[chosen[i * rows : (i + 1) * rows]].reset_index(drop=True) for i in range(3)]


def smote(train, rng):
    numbers = train.select_dtypes("number").columns
    scaled = (train[numbers] - train[numbers].min()) / (train[numbers].max() - train[numbers].min()).replace(0, 1)
    codes = np.stack([pd.factorize(train[c])[0] for c in train if c not in numbers], axis=1)
    release = train.copy()
    for i in range(len(train)):
        distance = np.abs(scaled.values - scaled.values[i]).sum(1) + (codes != codes[i]).sum(1)
        distance[i] = np.inf
        other = rng.choice(np.argsort(distance, kind="stable")[:5])
        share = rng.random()
        for column in train:
            a, b = train.at[i, column], train.at[other, column]
            release.at[i, column] = int(round(a + share * (b - a))) if column in numbers else (a if rng.random() < 0.5 else b)
    return release


def release(name, train, fresh, seed):
    rng = np.random.default_rng([seed, 1])
    if name == "fresh":
        return fresh
    if name == "shuffled":
        return pd.DataFrame({c: rng.permutation(train[c].values) for c in train})
    if name == "smote":
        return smote(train, rng)
    if name == "copy":
        return train
    copies = round(len(train) * int(name.split("_")[1]) / 100)
    return pd.concat([train.sample(copies, random_state=seed), fresh.iloc[copies:]])


def report(args, table, name, rows, seed):
    """The findings on one release."""
    train, holdout, fresh = samples(table, rows, seed)
    with tempfile.TemporaryDirectory() as folder:
        parts = dict(train=train, holdout=holdout)
        by_model = dict(strangers=fresh, independent=train).get(name)
        if by_model is None:
            parts["synthetic"] = release(name, train, fresh, seed)
        else:
            by_model.to_parquet(f"{folder}/learned.parquet", index=False)
        for role, part in parts.items():
            part.to_parquet(f"{folder}/{role}.parquet", index=False)
        made = f"synthesize('{folder}/learned.parquet', model => 'independent', seed => {seed})"
        relations = ", ".join(f"'{folder}/{role}.parquet'" if role in parts else made for role in ("train", "holdout", "synthetic"))
        sql = f"SELECT * FROM privacy_report({relations}, seed => {seed}{args.options})"
        out = subprocess.run([args.shell, "-q", "--format", "csv", "-c", sql], check=True, capture_output=True, text=True)
    return list(csv.DictReader(io.StringIO(out.stdout)))


def tested(finding):
    return finding["p_value"] != ""


def what(finding):
    """Secrets are one line of the table."""
    inference = finding["criterion"] == "attribute_inference"
    return finding["criterion"], finding["attack"], "risk of any column" if inference else finding["figure"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("shell")
    parser.add_argument("--rows", default="1000")
    parser.add_argument("--clean-seeds", type=int, default=200)
    parser.add_argument("--leaky-seeds", type=int, default=20)
    parser.add_argument("--only", default=",".join(CLEAN + LEAKY))
    parser.add_argument("--options", default="")
    args = parser.parse_args()
    table = pd.read_parquet(f"{ROOT}/adult/train.parquet")
    for rows in map(int, args.rows.split(",")):
        table_of, names, accused = collections.defaultdict(dict), args.only.split(","), {}
        for name in names:
            seeds, start, found, hit = args.clean_seeds if name in CLEAN else args.leaky_seeds, time.time(), collections.defaultdict(list), 0
            for seed in range(seeds):
                findings = report(args, table, name, rows, seed)
                hit += any(f["verdict"] == "leak" for f in findings)
                for key, group in itertools.groupby(sorted(filter(tested, findings), key=what), key=what):
                    group = list(group)
                    found[key].append((any(f["verdict"] == "leak" for f in group), any(float(f["p_value"]) <= 0.05 for f in group), float(group[0]["value"])))
            accused[name] = f"{hit} of {seeds}"
            print(f"{name}, {rows} rows: accused in {hit} of {seeds} ({time.time() - start:.0f} s)", file=sys.stderr, flush=True)
            for key, results in found.items():
                leak, p05, value = (np.mean(column) for column in zip(*results))
                # Single tests of clean releases may reject in one of twenty.
                table_of[key][name] = f"{p05:.2f}" if name in CLEAN else f"{leak:.2f}" if key[0] == "attribute_inference" else f"{leak:.2f} ({value:.3f})"
        print(f"\n{rows} rows\n\n| criterion | attack | figure | {' | '.join(names)} |\n|{' --- |' * (3 + len(names))}")
        for key in sorted(table_of):
            print(f"| {' | '.join(key)} | {' | '.join(table_of[key].get(name, '') for name in names)} |")
        print(f"| **any** | after correction | | {' | '.join(accused[name] for name in names)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
