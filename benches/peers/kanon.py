"""K_ANONYMIZE and the measures of the shell beside anonypy, anjana and pycanon on UCI Adult, turn by turn in one run.

usage: kanon.py SHELL [--anonypy PYTHON] [--anjana PYTHON] [--pycanon PYTHON] [--k 5,10] [--rounds 3]

SHELL is target/release/lookalike; each PYTHON is that of a virtual environment with the package and pandas, pyarrow; Adult
lies below $LOOKALIKE_DATA (default ../shared/data). This script itself needs the standard library alone.
requirements: anonypy==0.2.1 | anjana==1.2.3 | pycanon==1.3.6, one environment each

What is counted
  cpu_s          peers: CPU seconds of the call alone, the table read, its columns prepared and everything imported before.
                 Shell: CPU seconds of the process, all threads, less those of the same statement with LIMIT 0, which starts
                 and plans: so it includes reading the file and printing all released rows, which the peers' does not.
  process_cpu_s  the whole process of either, with start, imports, reading and writing
  ncp            of what leaves, by one definition: (highest - lowest) / range of a number, (values - 1) / (all values - 1) of a
                 category, mean over columns and released rows; labels of hierarchies stand for the values that occur below
                 them. ncp_all counts a suppressed row as 1.
  ratio          CPU of a peer over that of what it stands beside: anonypy mondrian, anjana datafly (the same hierarchies, 1 % of
                 the rows may be dropped), pycanon the aggregates; by cpu_s and by process_cpu_s
Tables have the medians of the rounds. One JSON line a run.
"""
import argparse, csv, io, json, os, re, statistics, sys, tempfile, time

ROOT = os.environ.get("LOOKALIKE_DATA", "../shared/data")
TRAIN = os.path.abspath(f"{ROOT}/adult/train.parquet")
QUASI, SENSITIVE = ["age", "education", "marital_status", "race", "sex"], "income"

SCHOOL = {"Preschool": "none", "1st-4th": "primary", "5th-6th": "primary", "7th-8th": "primary", "9th": "secondary", "10th": "secondary",
          "11th": "secondary", "12th": "secondary", "HS-grad": "secondary", "Some-college": "college", "Assoc-voc": "college",
          "Assoc-acdm": "college", "Bachelors": "degree", "Masters": "degree", "Prof-school": "degree", "Doctorate": "degree"}
PARTNER = lambda v: "spouse" if v in ("Married-civ-spouse", "Married-AF-spouse") else "never" if v == "Never-married" else "formerly"


def hierarchies(domain):
    """Rows of labels, the value first, for each column: what anjana and the shell's full-domain methods climb."""
    cell = lambda v, w: f"[{v // w * w}, {v // w * w + w})"
    rules = dict(age=lambda v: [cell(int(v), w) for w in (5, 10, 20)], education=lambda v: [SCHOOL[v]], marital_status=lambda v: [PARTNER(v)])
    return {q: [[v, *rules.get(q, lambda _: [])(v), "*"] for v in domain[q]] for q in QUASI}


# ---- in the environment of a peer -------------------------------------------------------------------------------------------


def worker(name, table, out, k):
    import contextlib
    import warnings

    import pandas as pd

    warnings.filterwarnings("ignore")
    data = pd.read_parquet(table, columns=QUASI + [SENSITIVE])
    data = data.astype({c: str for c in data if c != "age" or data.age.dtype.kind not in "iu"})
    result = {}

    def timed(call, into="cpu_s"):
        start = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            value = call()
        result[into] = time.process_time() - start
        return value

    if name == "anonypy":
        from anonypy import Preserver

        for column in QUASI[1:]:
            data[column] = data[column].astype("category")
        rows = timed(lambda: Preserver(data, QUASI, SENSITIVE).anonymize_k_anonymity(k=k))
        with open(out, "w", newline="") as file:
            sink = csv.writer(file)
            for row in rows:
                sink.writerow([*("|".join(row[c]) for c in QUASI), row["count"]])
    elif name == "anjana":
        from anjana.anonymity import k_anonymity

        domain = {q: sorted({str(v) for v in data[q]}) for q in QUASI}
        trees = {q: {level: list(labels) for level, labels in enumerate(zip(*rows))} for q, rows in hierarchies(domain).items()}
        data["age"] = data.age.astype(str)
        released = timed(lambda: k_anonymity(data, [], QUASI, k, 1, trees))
        released.groupby(QUASI).size().reset_index().to_csv(out, header=False, index=False)
    else:
        from pycanon import anonymity

        result["k"] = int(timed(lambda: anonymity.k_anonymity(data, QUASI), "k_anonymity"))
        result["l"] = int(timed(lambda: anonymity.l_diversity(data, QUASI, [SENSITIVE]), "l_diversity"))
        result["t"] = float(timed(lambda: anonymity.t_closeness(data, QUASI, [SENSITIVE]), "t_closeness"))
        result["cpu_s"] = result["k_anonymity"] + result["l_diversity"] + result["t_closeness"]
    print(json.dumps(result))


# ---- outside ----------------------------------------------------------------------------------------------------------------


def process(command):
    """Output of a process, with its CPU and wall seconds and its peak of memory."""
    wall, out = time.perf_counter(), tempfile.TemporaryFile("w+")
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, out.fileno(), 1)])
    _, status, used = os.wait4(pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    out.seek(0)
    usage = dict(process_cpu_s=used.ru_utime + used.ru_stime, wall_s=time.perf_counter() - wall, peak_mb=used.ru_maxrss / 1024)
    return out.read(), usage


def shell(sql, net=True, before=""):
    run = lambda text: process([ARGS.shell, "-q", "--format", "csv", "-c", before + text])
    out, usage = run(sql)
    usage["cpu_s"] = usage["process_cpu_s"] - (run(f"SELECT * FROM ({sql}) LIMIT 0")[1]["process_cpu_s"] if net else 0)
    return [row for row in csv.reader(io.StringIO(out))][1:], usage


def peer(name, k=0, table=None):
    with tempfile.NamedTemporaryFile("r", suffix=".csv") as file:
        command = [getattr(ARGS, name), os.path.abspath(__file__), "--worker", name, table or TRAIN, file.name, str(k)]
        out, usage = process(command)
        return list(csv.reader(file)), {**usage, **json.loads(out.strip().split("\n")[-1])}


def cell_values(column, text, domain, trees):
    """The values that a released cell stands for, numbers as their lowest and highest."""
    if text in trees[column]:
        values = trees[column][text]
        return [min(values, key=int), max(values, key=int)] if column == "age" else values
    if column == "age":
        return re.split(r", |-", text.strip("[]"))
    return [text] if text in domain[column] else re.split(r", ?|\|", text.strip("{}"))


def loss(rows, domain, trees, total):
    """NCP and classes of rows of cells, the last a number of rows."""
    low, high = min(map(int, domain["age"])), max(map(int, domain["age"]))
    lost, released, classes = 0.0, 0, {}
    for *cells, count in rows:
        count = int(count)
        for column, cell in zip(QUASI, cells):
            values = cell_values(column, cell, domain, trees)
            assert all(v in domain[column] for v in values), (column, cell)
            if column == "age":
                part = (int(values[-1]) - int(values[0])) / (high - low)
            else:
                part = (len(set(values)) - 1) / (len(domain[column]) - 1)
            lost += part * count
        released += count
        read = tuple(cells)
        classes[read] = classes.get(read, 0) + count
    ncp = lost / len(QUASI) / released
    return dict(ncp=ncp, ncp_all=(ncp * released + total - released) / total, classes=len(classes), average_class=released / len(classes),
                smallest=min(classes.values()), suppressed=1 - released / total)


def anonymisers(domain, total):
    rows_of = hierarchies(domain)
    trees = {q: {} for q in QUASI}
    for q, rows in rows_of.items():
        for row in rows:
            for label in row[1:]:
                trees[q].setdefault(label, []).append(row[0])
    quote = lambda texts: ", ".join("'" + t + "'" for t in texts)
    tables = "".join(f"CREATE TABLE {q}_levels AS VALUES {', '.join('(' + quote(row) + ')' for row in rows)};" for q, rows in rows_of.items())
    levels = "hierarchies => {" + ", ".join(f"'{q}': '{q}_levels'" for q in QUASI) + "}, suppression_limit => 0.01"

    def ours(method, k, options="", before=""):
        sql = f"SELECT {', '.join(QUASI)} FROM k_anonymize('{TRAIN}', k => {k}, method => '{method}', quasi_identifiers => [{quote(QUASI)}]{options})"
        rows, usage = shell(sql, before=before)
        return [[*row, 1] for row in rows], usage

    # Peers follow what they are compared with.
    contenders = {"lookalike mondrian": lambda k: ours("mondrian", k), "anonypy": lambda k: peer("anonypy", k),
                  "lookalike datafly": lambda k: ours("datafly", k, ", " + levels, tables), "anjana": lambda k: peer("anjana", k),
                  "lookalike optimal": lambda k: ours("optimal", k, ", " + levels, tables),
                  "lookalike k_member": lambda k: ours("k_member", k)}
    contenders = {name: run for name, run in contenders.items() if name.startswith("lookalike") or getattr(ARGS, name)}
    for k in ARGS.k:
        runs = {name: [] for name in contenders}
        for round in range(ARGS.rounds):
            for name, run in contenders.items():
                rows, usage = run(k)
                runs[name].append({**usage, **loss(rows, domain, trees, total)})
                emit(bench="k-anonymity", name=name, k=k, round=round, **runs[name][-1])
                assert runs[name][-1]["smallest"] >= k
        table(f"k = {k}", runs, ["cpu_s", "process_cpu_s", "wall_s", "peak_mb", "ncp", "ncp_all", "classes", "average_class", "suppressed"],
              dict(anonypy="lookalike mondrian", anjana="lookalike datafly"))


def measures():
    columns = ", ".join(QUASI)
    quoted = ", ".join(f"'{q}'" for q in QUASI)
    with tempfile.TemporaryDirectory() as folder:
        released = f"{folder}/released.parquet"
        source = f"SELECT {columns}, {SENSITIVE} FROM k_anonymize('{TRAIN}', k => 5, quasi_identifiers => [{quoted}])"
        process([ARGS.shell, "-q", "-c", f"COPY ({source}) TO '{released}'"])
        for name, path in (("Adult as it is", TRAIN), ("released, k = 5", released)):
            runs = {"lookalike aggregates": [], "lookalike report": [], "pycanon": []}
            for round in range(ARGS.rounds):
                by = f"{SENSITIVE}, {columns}"
                rows, usage = shell(f"SELECT k_anonymity({columns}), l_diversity({by}), t_closeness({by}) FROM '{path}'")
                k, l, t = (float(v) for v in rows[0])
                runs["lookalike aggregates"].append(dict(usage, k=k, l=l, t=t))
                report = f"SELECT metric, value FROM anonymity_report('{path}', quasi_identifiers => [{quoted}], sensitive => ['{SENSITIVE}'])"
                rows, usage = shell(report)
                found = {row[0]: float(row[1]) for row in rows}
                runs["lookalike report"].append(dict(usage, k=found["k"], l=found["distinct_l"], t=found["t_equal"]))
                runs["pycanon"].append(peer("pycanon", table=path)[1])
                for run, values in runs.items():
                    emit(bench="measures", name=run, table=name, round=round, **values[-1])
                for run in runs.values():
                    assert (run[-1]["k"], run[-1]["l"]) == (k, l) and abs(run[-1]["t"] - t) < 1e-9, runs
            table(f"k, l, t of {name}", runs, ["cpu_s", "process_cpu_s", "wall_s", "peak_mb", "k", "l", "t"], dict(pycanon="lookalike aggregates"))


def emit(**values):
    print(json.dumps({k: round(v, 5) if isinstance(v, float) else v for k, v in values.items()}), flush=True)


def table(title, runs, columns, beside):
    middle = {name: {c: statistics.median(run[c] for run in all_runs) for c in columns} for name, all_runs in runs.items()}
    print(f"\n{title:24}" + "".join(f"{c:>15}" for c in columns) + f"{'cpu ratio':>12}{'process ratio':>15}")
    for name, row in middle.items():
        ours = middle.get(beside.get(name))
        ratios = [row[c] / max(ours[c], 1e-3) for c in ("cpu_s", "process_cpu_s")] if ours else []
        print(f"{name:24}" + "".join(f"{row[c]:>15.5g}" for c in columns) + "".join(f"{r:>{w}.3g}" for r, w in zip(ratios, (12, 15))))
    print(flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        worker(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]))
        raise SystemExit
    parser = argparse.ArgumentParser()
    parser.add_argument("shell", type=os.path.abspath)
    for name in ("anonypy", "anjana", "pycanon"):
        parser.add_argument(f"--{name}", type=os.path.abspath)
    parser.add_argument("--k", type=lambda text: [int(k) for k in text.split(",")], default=[5, 10])
    parser.add_argument("--rounds", type=int, default=3)
    ARGS = parser.parse_args()
    rows, _ = shell(f"SELECT {', '.join(QUASI)} FROM '{TRAIN}'", net=False)
    anonymisers({q: sorted({row[i] for row in rows}) for i, q in enumerate(QUASI)}, len(rows))
    if ARGS.pycanon:
        measures()
