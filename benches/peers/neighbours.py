"""Exact nearest neighbours, k = 1, of Lookalike beside its peers, in one run and with one thread.

usage: neighbours.py OURS [--rows 20000] [--columns 40] [--only numbers|adult]

OURS is the shell (target/release/lookalike), which reads the tables and runs DCR, or the example `neighbours` of crates/attacks
(cargo build --release -p lookalike-attacks --example neighbours), which takes raw files and no start-up. The example measures the
numbers alone. Adult lies below $LOOKALIKE_DATA (default ../shared/data); numbers are uniform, drawn with a seed.
requirements: numpy scikit-learn==1.9.1 faiss-cpu==1.15.1 pandas pyarrow sdmetrics==0.32.0 anonymeter==1.1.0

What is counted: CPU seconds of the search with its index, or of the process for OURS. gflops is 2 * rows * rows * columns over
CPU seconds, share_of_peak that over numpy's own product of matrices, measured in the same run; a search that prunes, as a k-d tree,
does less than that. SDMetrics and anonymeter are measured on few rows and reported as pairs per CPU second, which is how both
grow. One JSON line a measure.
"""
import os
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = "1"
import argparse, json, resource, subprocess, sys, tempfile, time
import numpy as np, pandas as pd

ROOT = os.environ.get("LOOKALIKE_DATA", "../shared/data")
TRAIN, TEST = f"{ROOT}/adult/train.parquet", f"{ROOT}/adult/test.parquet"


def cpu_of(work):
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def child(*command):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, out


def shell(queries, references, metric):
    sql = f"SELECT sum(dcr) FROM dcr('{queries}', '{references}', metric => '{metric}')"
    cpu, out = child(OURS, "-t", "1", "-q", "-c", sql)
    return cpu, float(out.split("\n")[3].strip(" |"))


def emit(**values):
    print(json.dumps({k: float(f"{v:.5g}") if isinstance(v, float) else v for k, v in values.items()}), flush=True)


def numbers(rows, columns, is_example):
    import faiss
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(3)
    queries, references = (rng.random((rows, columns), dtype=np.float32) for _ in range(2))
    square = rng.random((2048, 2048), dtype=np.float32)
    square @ square
    cpu, _ = cpu_of(lambda: [square @ square for _ in range(5)])
    peak = 10 * 2048**3 / cpu / 1e9
    emit(bench="sgemm", gflops=peak)
    low, width = references.min(0), np.ptp(references, axis=0)
    q, r = ((x - low) / width for x in (queries, references))  # the scale of metric 'euclidean'
    faiss.omp_set_num_threads(1)

    def flat():
        index = faiss.IndexFlatL2(columns)
        index.add(r)
        return np.sqrt(np.maximum(index.search(q, 1)[0], 0)).sum()

    scikit = lambda how: NearestNeighbors(n_neighbors=1, algorithm=how, n_jobs=1).fit(r).kneighbors(q)[0].sum()

    def ours():
        with tempfile.TemporaryDirectory() as folder:
            files = [f"{folder}/{name}" for name in ("queries", "references")]
            if is_example:
                for file, table in zip(files, (queries, references)):
                    table.astype("<f4").tofile(file)
                cpu, out = child(OURS, *files, str(columns), "euclidean", "1")
                return cpu, json.loads(out)["sum"]
            for file, table in zip(files, (queries, references)):
                pd.DataFrame(table, columns=[f"c{c}" for c in range(columns)]).to_parquet(f"{file}.parquet")
            return shell(f"{files[0]}.parquet", f"{files[1]}.parquet", "euclidean")

    for name, work in [("lookalike", ours), ("faiss IndexFlatL2", lambda: cpu_of(flat)), ("scikit-learn brute", lambda: cpu_of(lambda: scikit("brute"))),
                       ("scikit-learn kd_tree", lambda: cpu_of(lambda: scikit("kd_tree")))]:
        if name.endswith("kd_tree") and rows * columns > 1_000_000:
            emit(bench="numbers", peer=name, skipped="more than a few minutes at this size")
            continue
        cpu, total = work()
        gflops = 2 * rows * rows * columns / cpu / 1e9
        emit(bench="numbers", peer=name, rows=rows, columns=columns, cpu_s=cpu, gflops=gflops, share_of_peak=gflops / peak, sum=float(total))


def adult(is_example):
    import anonymeter.evaluators  # first: the other way round its imports are circular
    from anonymeter.neighbors.mixed_types_kneighbors import MixedTypeKNeighbors
    from sdmetrics.single_table.privacy.dcr_utils import calculate_dcr

    train, test = pd.read_parquet(TRAIN), pd.read_parquet(TEST)
    if not is_example:
        cpu, total = shell(TEST, TRAIN, "gower")
        emit(bench="adult", peer="lookalike gower", cpu_s=cpu, pairs_per_cpu_s=len(test) * len(train) / cpu, mean=total / len(test))
    few = 1000
    a, b = test.sample(few, random_state=0), train.sample(few, random_state=0)
    kind = lambda c: "numerical" if pd.api.types.is_numeric_dtype(train[c]) else "categorical"
    metadata = {"columns": {c: {"sdtype": kind(c)} for c in train}}
    cpu, distances = cpu_of(lambda: calculate_dcr(a, b, metadata))
    emit(bench="adult", peer="sdmetrics DCR", rows=few, cpu_s=cpu, pairs_per_cpu_s=few * few / cpu, mean=float(distances.mean()))
    queries = test.iloc[:few]
    search = lambda: MixedTypeKNeighbors(n_neighbors=1, n_jobs=1).fit(train).kneighbors(queries)
    cpu, _ = cpu_of(search)
    emit(bench="adult", peer="anonymeter MixedTypeKNeighbors", rows=few, cpu_s=cpu, pairs_per_cpu_s=few * len(train) / cpu)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ours")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--columns", type=int, default=40)
    parser.add_argument("--only", choices=["numbers", "adult"])
    options = parser.parse_args()
    OURS = options.ours
    is_example = os.path.basename(OURS) == "neighbours"
    if options.only != "adult":
        numbers(options.rows, options.columns, is_example)
    if options.only != "numbers":
        adult(is_example)
