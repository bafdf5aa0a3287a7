"""Lookalike's shell beside its peers on UCI Adult, in one run: times in CPU seconds, ratios at the end.

usage: adult.py SHELL [sdv|faiss]...     SHELL is target/release/lookalike; Adult lies below $LOOKALIKE_DATA (default ../shared/data)
requirements: sdv==2.0.0 faiss-cpu==1.15.1 pandas pyarrow scikit-learn
"""
import json, os, resource, subprocess, sys, time
import numpy as np, pandas as pd

ROOT = os.environ.get("LOOKALIKE_DATA", "../shared/data")
TRAIN, TEST = f"{ROOT}/adult/train.parquet", f"{ROOT}/adult/test.parquet"


def cpu_of(work):
    start, wall = time.process_time(), time.perf_counter()
    result = work()
    return time.process_time() - start, time.perf_counter() - wall, result


def shell(sql):
    """CPU and wall seconds of one statement in a process of its own, start-up included."""
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    out = subprocess.run([SHELL, "-q", "-c", sql], check=True, capture_output=True, text=True).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - wall, out


def sdv():
    from sdv.metadata import Metadata
    from sdv.single_table import GaussianCopulaSynthesizer

    data = pd.read_parquet(TRAIN)
    kind = lambda c: "numerical" if pd.api.types.is_numeric_dtype(data[c]) else "categorical"
    tables = {"t": {"columns": {c: {"sdtype": kind(c)} for c in data}}}
    model = GaussianCopulaSynthesizer(Metadata.load_from_dict({"tables": tables, "relationships": []}))
    theirs, wall, _ = cpu_of(lambda: model.fit({"t": data}))
    # One row: what is measured is start, reading, fitting.
    ours, our_wall, _ = shell(f"SELECT * FROM synthesize('{TRAIN}', rows => 1, seed => 1)")
    return dict(bench="fit", sdv_cpu_s=theirs, sdv_wall_s=wall, lookalike_cpu_s=ours, lookalike_wall_s=our_wall, ratio=theirs / ours)


def faiss():
    import faiss

    train, test = pd.read_parquet(TRAIN), pd.read_parquet(TEST)
    both = pd.concat([train, test])
    columns = []
    for name in both:
        column = both[name]
        if pd.api.types.is_numeric_dtype(column):
            low, high = train[name].min(), train[name].max()
            columns.append(((column - low) / (high - low)).to_numpy(np.float32)[:, None])
        else:
            columns.append((pd.get_dummies(column.fillna("?")).to_numpy() / np.sqrt(2)).astype(np.float32))
    matrix = np.ascontiguousarray(np.hstack(columns))
    references, queries = matrix[: len(train)], matrix[len(train) :]
    faiss.omp_set_num_threads(1)

    def search():
        index = faiss.IndexFlatL2(matrix.shape[1])
        index.add(references)
        return index.search(queries, 2)

    theirs, wall, (distances, _) = cpu_of(search)
    sql = f"SELECT sum(dcr), sum(CASE WHEN dcr = 0 THEN 1 ELSE 0 END) FROM dcr('{TEST}', '{TRAIN}', metric => 'euclidean')"
    ours, our_wall, out = shell(sql)
    return dict(
        bench="euclidean 1-NN, test x train", columns=matrix.shape[1], faiss_cpu_s=theirs, faiss_wall_s=wall,
        lookalike_cpu_s=ours, lookalike_wall_s=our_wall, ratio=theirs / ours,
        faiss_sum=float(np.sqrt(np.maximum(distances[:, 0], 0)).sum()), lookalike=out.split("\n")[3].strip(),
    )


if __name__ == "__main__":
    SHELL = sys.argv[1]
    for name in sys.argv[2:] or ["sdv", "faiss"]:
        result = dict(sdv=sdv, faiss=faiss)[name]()
        print(json.dumps({k: round(v, 4) if isinstance(v, float) else v for k, v in result.items()}, ensure_ascii=False))
