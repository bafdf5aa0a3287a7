"""The battery on releases whose leakage is known: which attack sees what, at which sizes, and how often clean ones are accused.

usage: controls.py SHELL [--rows 1000,4000] [--clean-seeds 200] [--leaky-seeds 20] [--only NAME,...] [--options "..."] [--markdown]

SHELL is target/release/lookalike; Adult lies below $LOOKALIKE_DATA (default ../shared/data).
requirements: numpy, pandas, pyarrow

For every seed, three disjoint samples of Adult of so many rows each, and from them a release of as many rows:
  fresh         the third sample: rows of the same population, nothing to find
  independent   every column of the training rows shuffled by itself: marginals and nothing else
  leak_1        1 % of the training rows verbatim among fresh ones; leak_5 and leak_20 likewise
  smote         rows between a training row and one of its five nearest (Chawla et al. 2002); categories from either
  copy          the training rows
Printed: the share of seeds in which a finding of PRIVACY_REPORT is a leak after correction for all its tests (`leak`), the
share with a plain p-value of at most .05 (`p05`), and the mean value. Clean releases may be accused in at most alpha of the
seeds: for 200 seeds and alpha .05, up to 26 times has a probability of 1e-6 of being passed by chance.
"""
import argparse, collections, csv, io, os, subprocess, sys, tempfile, time

import numpy as np
import pandas as pd

ROOT = os.environ.get("LOOKALIKE_DATA", "../shared/data")
CLEAN, LEAKY = ["fresh", "independent"], ["leak_1", "leak_5", "leak_20", "smote", "copy"]


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
    if name == "independent":
        return pd.DataFrame({c: rng.permutation(train[c].values) for c in train})
    if name == "smote":
        return smote(train, rng)
    if name == "copy":
        return train
    copies = round(len(train) * int(name.split("_")[1]) / 100)
    return pd.concat([train.sample(copies, random_state=seed), fresh.iloc[copies:]])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("shell")
    parser.add_argument("--rows", default="1000")
    parser.add_argument("--clean-seeds", type=int, default=200)
    parser.add_argument("--leaky-seeds", type=int, default=20)
    parser.add_argument("--only", default=",".join(CLEAN + LEAKY))
    parser.add_argument("--options", default="")
    parser.add_argument("--markdown", action="store_true")
    args = parser.parse_args()
    table = pd.read_parquet(f"{ROOT}/adult/train.parquet")
    for rows in map(int, args.rows.split(",")):
        for name in args.only.split(","):
            seeds, start = args.clean_seeds if name in CLEAN else args.leaky_seeds, time.time()
            found, accused = collections.defaultdict(list), 0
            for seed in range(seeds):
                train, holdout, fresh = samples(table, rows, seed)
                with tempfile.TemporaryDirectory() as folder:
                    for role, part in dict(train=train, holdout=holdout, synthetic=release(name, train, fresh, seed)).items():
                        part.to_parquet(f"{folder}/{role}.parquet", index=False)
                    relations = ", ".join(f"'{folder}/{role}.parquet'" for role in ("train", "holdout", "synthetic"))
                    sql = f"SELECT * FROM privacy_report({relations}, seed => {seed}{args.options})"
                    out = subprocess.run([args.shell, "-q", "--format", "csv", "-c", sql], check=True, capture_output=True, text=True)
                findings = list(csv.DictReader(io.StringIO(out.stdout)))
                accused += any(f["verdict"] == "leak" for f in findings)
                for f in findings:
                    found[f["criterion"], f["attack"], f["figure"]].append(f)
            print(f"\n## {name}, {rows} rows, {seeds} seeds: accused in {accused} ({time.time() - start:.0f} s)\n", flush=True)
            separator = " | " if args.markdown else "  "
            lines = [["criterion", "attack", "figure", "mean", "p05", "leak"]]
            for key, group in found.items():
                values = [float(f["value"]) for f in group if f["value"]]
                tested = [float(f["p_value"]) for f in group if f["p_value"]]
                if tested:
                    share = lambda n: f"{n / len(group):.2f}"
                    lines.append([*key, f"{np.mean(values):.3f}", share(sum(p <= 0.05 for p in tested)), share(sum(f["verdict"] == "leak" for f in group))])
            if args.markdown:
                lines.insert(1, ["---"] * 6)
            for line in lines:
                print(f"| {separator.join(line)} |" if args.markdown else separator.join(f"{v:<20}" for v in line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
