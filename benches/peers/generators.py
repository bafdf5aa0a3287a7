"""Every generator on three data sets, ours beside the peers, measured by one yardstick on one machine.

usage: generators.py SHELL [--peers-python PATH] [--mostly-python PATH] [--data NAME,...] [--only PATTERN,...]
                     [--tvae-epochs N,...] [--ctgan-epochs N,...] [--controls] [--results FILE] [--folder PATH]
       generators.py --table [--results FILE]     the tables in Markdown, nothing is run

SHELL is target/release/lookalike, or - to leave out what needs it: our generators and all figures of privacy. The script itself
needs the standard library alone. Lines are appended to FILE (JSON, one a stage of a generator and data set) as they are measured;
what is there already is skipped, so that a run can be cut and goes on. Release and model of each are kept in the folder.
PATTERN: names as in the table with * and ?, or `ours` or `peers`. Data lie below $LOOKALIKE_DATA (default ../shared/data).

requirements of --peers-python:  sdv==2.0.0 ctgan==0.12.1 sdmetrics==0.32.0 arfpy==0.1.1 torch==2.13.0 numpy==2.3.5
                                 pandas==2.3.3 scikit-learn==1.9.1 pyarrow       (arfpy calls what numpy 2.4 no longer has)
requirements of --mostly-python: mostlyai-engine==2.7.3 torch==2.13.0            (its pins pull others down)

  data       adult: the original split, target income. heart: the four hospitals' patients, halves, target diagnosis > 0.
             wdbc: halves, target diagnosis. Generators see the training rows alone; halves are drawn with a fixed seed.
  threads    one for all: --threads 1 for ours, OMP_NUM_THREADS and the like for the peers. Times are CPU seconds all the same.
  fit        ours: FIT_MODEL in a process of its own, less a process that does nothing. Peers: the call of fit, without imports.
  release    as many rows as the training rows; ours drawn again where they equal a training row, as SYNTHESIZE does.
  rows / s   rows a CPU second, of so many rows that it takes some seconds where a million suffice; ours written to Parquet and
             less a process that draws one row (which loads the model), the peers' into a data frame.
  peak       largest resident set of the process that fits and of the one that makes the release, interpreter and libraries included.
  quality    SDMetrics' QualityReport of the release against the training rows, missing categories as a category.
  F1, AUC    scikit-learn's HistGradientBoostingClassifier trained on the release and tested on the test rows, for the rarer class.
  DCR share  release rows nearer to training rows than to as many test rows (Gower), ties half; 1/2 is to expect without influence.
  MIA        attacks of MIA_SCORE that train no generators, training rows against as many test rows, half of which serve as reference:
             the largest area under the curve with the 95 % interval of that attack alone. The largest of nine is above 1/2 by chance.
             Where train is larger than test (adult) both figures are of as many training rows, drawn with a fixed seed: of a
             copy of all training rows, half is nearer to those and the other half to neither, so that DCR share is 3/4, not 1.

Peers that take no missing numbers get the median and a column of its own that says so, which is undone after sampling.
"""
import argparse, csv, fnmatch, io, itertools, json, os, pathlib, resource, subprocess, sys, time

ROOT = pathlib.Path(os.environ.get("LOOKALIKE_DATA", "../shared/data"))
SOURCES = {
    "adult": ["adult/train.parquet", "adult/test.parquet"],
    "heart": ["heart_disease_uci/patients.parquet"],
    "wdbc": ["breast_cancer_wdbc/samples.parquet"],
}
TARGETS = {"adult": "income", "heart": "diagnosis", "wdbc": "diagnosis"}
# Options of our models that are not the defaults, by the name in the table.
OPTIONS = {
    "smote": {"control": True},
    "copy": {"control": True, "filter_copies": False},
}
# Networks that would learn Adult for ten minutes and more get fewer epochs there.
FEWER = {"gan": 100, "wgan": 100, "ctgan": 100, "medgan": 20, "tablegan": 5, "tabddpm": 50, "realnvp": 30, "glow": 30}
# Ours at the peers' epochs: the same batches, learning rate and rows learned from (all of them); and sizes of the peers' networks
# other than our defaults, which a second run of ours (`vae as TVAE`) has as well.
EQUAL = {
    "TVAE": ("vae", {"batch_size": 500, "modes": 10, "patience": 0, "held_out_share": 0}, {"hidden": 128, "latent": 128}),
    "CTGAN": ("ctgan", {"batch_size": 500, "modes": 10, "pac": 10, "critic_steps": 1, "hidden": 256}, {}),
}
EPOCHS = {
    "adult": {"TVAE": [20, 300], "CTGAN": [5, 20]},
    "heart": {"TVAE": [300], "CTGAN": [300]},
    "wdbc": {"TVAE": [300], "CTGAN": [300]},
}
OTHER_PEERS = ["GaussianCopula", "arfpy", "mostlyai"]
REAL = "(training rows)"
ONE_THREAD = dict.fromkeys(
    ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "RAYON_NUM_THREADS", "LOKY_MAX_CPU_COUNT"], "1"
)
MOST_ROWS, SECONDS = 1_000_000, 5.0


# Processes


def measured(command, log, **env):
    """Runs a command; its output, CPU seconds and largest resident set in MB. This process stays small, since a child's
    resident set is at least that of its parent when it starts."""
    with open(log, "w") as errors:
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=os.environ | env)
        out = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        tail = pathlib.Path(log).read_text().strip().splitlines()[-1:]
        raise RuntimeError(f"exit {child.returncode}: {' '.join(tail)[:300]}")
    return out, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def shell(args, sql, threads=1):
    command = [args.shell, "-q", "--format", "csv", "--threads", str(threads), "-c", sql]
    out, cpu, mb = measured(command, args.folder / "shell.log")
    return list(csv.DictReader(io.StringIO(out))), cpu, mb


def worker(args, name, **task):
    """A task of this script in a process of its own with one thread, under the Python that has what it needs."""
    python = args.mostly_python if task.get("peer") == "mostlyai" else args.peers_python
    command = [python, os.path.abspath(__file__), "--worker", name, json.dumps(task)]
    out, process_cpu, _ = measured(command, args.folder / f"{name}.log", **ONE_THREAD)
    return json.loads(out.splitlines()[-1]) | {"process_cpu_s": process_cpu}


# Ours


def option(value):
    return json.dumps(value) if isinstance(value, (bool, int, float)) else f"'{value}'"


def fit_ours(args, path, name, model, options):
    """Fits and saves the model, makes the release, measures sampling."""
    train, saved, release = path("train"), path(f"{name}.lookalike"), path(f"{name}.parquet")
    given = "".join(f", {key} => {option(value)}" for key, value in options.items())
    _, start, _ = shell(args, "SELECT 1")
    sql = f"SELECT max(epoch) AS epochs FROM fit_model('{train}', path => '{saved}', model => '{model}', seed => 1{given})"
    history, fit, fit_mb = shell(args, sql)
    # Controls give training rows away; nothing would be left of them.
    exclude = "" if options.get("filter_copies") is False else f", '{train}'"

    def draw(to, rows=""):
        return shell(args, f"COPY (SELECT * FROM sample_model('{saved}'{exclude}, seed => 1{rows})) TO '{to}'")[1:]

    spare = path("spare.parquet")
    load, _ = draw(spare, ", rows => 1")
    cpu, mb = draw(release)
    rows = int(shell(args, f"SELECT count(*) AS n FROM '{release}'")[0][0]["n"])
    more = rows_for(rows, cpu - load)
    if more > rows:
        rows, cpu = more, draw(spare, f", rows => {more}")[0]
    os.remove(spare)
    return dict(
        epochs=int(history[0]["epochs"]) or None, fit_cpu_s=fit - start, rows_per_cpu_s=rows / max(cpu - load, 1e-3),
        peak_mb=max(fit_mb, mb), rate_rows=rows, options=options,
    )


def rows_for(rows, seconds):
    """So many rows that sampling takes some seconds, if `rows` took so many."""
    return int(min(MOST_ROWS, max(rows, rows * SECONDS / max(seconds, 1e-3))))


def attack(args, path, name):
    """Figures of privacy of a release, from our own functions for all."""
    members, holdout, release = path("members"), path("holdout"), path(f"{name}.parquet")
    sql = f"""SELECT d['share'] AS share, d['share_lo'] AS lo, d['share_hi'] AS hi
        FROM (SELECT dcr(dcr, holdout_dcr) AS d FROM dcr('{release}', '{members}', '{holdout}'))"""
    nearer = shell(args, sql, args.threads)[0][0]
    sql = f"""SELECT attack, f['auc'] AS auc, f['auc_lo'] AS lo, f['auc_hi'] AS hi FROM (
        SELECT attack, mia_score(score, is_member) AS f
        FROM mia_score('{members}', '{holdout}', '{release}', seed => 1) GROUP BY attack)"""
    rows = shell(args, sql, args.threads)[0]
    found = {row["attack"]: [float(row[key]) for key in ("auc", "lo", "hi")] for row in rows if row["auc"]}
    best = max(found, key=lambda attack: found[attack][0])
    return dict(
        dcr_share=float(nearer["share"]), dcr_lo=float(nearer["lo"]), dcr_hi=float(nearer["hi"]), attack=best,
        mia_auc=found[best][0], mia_lo=found[best][1], mia_hi=found[best][2],
        attacks={attack: figures[0] for attack, figures in found.items()},
    )


# Workers: the data, the peers, the scores


def prepare(data, files):
    """The parts of a data set as Parquet: train, test, and members and holdout of equal size."""
    import numpy as np, pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq

    tables = [pq.read_table(ROOT / source) for source in SOURCES[data]]
    if data == "heart":
        diagnosis = pa.array(np.where(tables[0]["diagnosis"].to_numpy() > 0, "diseased", "healthy"))
        tables[0] = tables[0].drop_columns(["id", "diagnosis"]).append_column("diagnosis", diagnosis)
    if len(tables) == 1:
        order = np.random.default_rng(0).permutation(len(tables[0]))
        tables = [tables[0].take(half) for half in np.array_split(order, 2)]
    train, test = tables
    size = min(len(train), len(test))
    drawn = lambda table: table.take(np.sort(np.random.default_rng(1).permutation(len(table))[:size]))
    for part, table in dict(train=train, test=test, members=drawn(train), holdout=drawn(test)).items():
        pq.write_table(table, files[part])
    return dict(train=len(train), test=len(test), holdout=size, columns=len(train.schema))


def frame(file):
    """A data frame of numbers and strings; missing categories are "?"."""
    import pandas as pd

    table = pd.read_parquet(file)
    categories = [c for c in table if not pd.api.types.is_numeric_dtype(table[c]) or pd.api.types.is_bool_dtype(table[c])]
    for column in categories:
        table[column] = table[column].astype(object).where(table[column].notna(), "?").astype(str).astype(object)
    return table, categories


def save(table, like, file):
    """A data frame as `frame` makes them, in the types of another file."""
    import numpy as np, pandas as pd, pyarrow as pa, pyarrow.parquet as pq

    schema, columns = pq.read_schema(like).remove_metadata(), []
    for field in schema:
        values = table[field.name]
        if pa.types.is_boolean(field.type):
            values = values.map({"True": True, "False": False}).astype(object)
        elif pa.types.is_string(field.type) or pa.types.is_large_string(field.type):
            values = values.astype(object).where(values.astype(str) != "?", None)
        else:
            values = pd.to_numeric(values).astype(float)
            values = np.rint(values) if pa.types.is_integer(field.type) else values
        columns.append(pa.Array.from_pandas(values, type=field.type, safe=False))
    pq.write_table(pa.Table.from_arrays(columns, schema=schema), file)


def without_missing(table, categories):
    """The frame with medians for missing numbers and a category beside them that says so; and the way back."""
    missing = [c for c in table if c not in categories and table[c].isna().any()]
    filled, mark = table.copy(), "{} is missing"
    for column in missing:
        filled[mark.format(column)] = table[column].isna().map({True: "yes", False: "no"}).astype(object)
        filled[column] = table[column].fillna(table[column].median())

    def back(made):
        for column in missing:
            made[column] = made[column].where(made[mark.format(column)].astype(str) == "no")
        return made

    return filled, categories + [mark.format(c) for c in missing], back


def cpu():
    return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def copula(table, categories, _epochs, _folder):
    from sdv.metadata import Metadata
    from sdv.single_table import GaussianCopulaSynthesizer

    columns = {c: {"sdtype": "categorical" if c in categories else "numerical"} for c in table}
    model = GaussianCopulaSynthesizer(Metadata.load_from_dict({"tables": {"t": {"columns": columns}}, "relationships": []}))

    def sample(rows):
        made = model.sample(rows)
        return made["t"] if isinstance(made, dict) else made

    return lambda: model.fit({"t": table}), sample, lambda: None


def ctgan(kind):
    def peer(table, categories, epochs, _folder):
        import ctgan, torch

        torch.manual_seed(0)
        filled, discrete, back = without_missing(table, categories)
        model = getattr(ctgan, kind)(epochs=epochs, enable_gpu=False)
        return lambda: model.fit(filled, discrete), lambda rows: back(model.sample(rows)), lambda: epochs

    return peer


def arf(table, categories, _epochs, _folder):
    from arfpy.arf import arf

    filled, _, back = without_missing(table, categories)
    model = []

    def fit():
        model.append(arf(filled, verbose=False))
        model[0].forde()

    return fit, lambda rows: back(model[0].forge(rows)), lambda: None


def mostly(table, _categories, _epochs, folder):
    from mostlyai.engine import TabularARGN

    model = TabularARGN(device="cpu", random_state=0, verbose=0, workspace_dir=folder)

    def epochs():
        import pandas as pd

        messages = list(pathlib.Path(folder).rglob("progress-messages.csv"))
        return float(pd.read_csv(messages[0])["epoch"].max()) if messages else None

    return lambda: model.fit(table), model.sample, epochs


PEERS = {"GaussianCopula": copula, "TVAE": ctgan("TVAE"), "CTGAN": ctgan("CTGAN"), "arfpy": arf, "mostlyai": mostly}
PACKAGES = {"GaussianCopula": "sdv", "TVAE": "ctgan", "CTGAN": "ctgan", "arfpy": "arfpy", "mostlyai": "mostlyai-engine"}


def fit_peer(peer, epochs, train, release, folder):
    """Fits, samples and saves the release, measures sampling; times without imports."""
    import importlib.metadata, warnings
    import numpy as np

    warnings.filterwarnings("ignore")
    np.random.seed(0)
    table, categories = frame(train)
    fit, sample, trained = PEERS[peer](table, categories, epochs, folder)
    times = [cpu()]
    fit()
    times.append(cpu())
    made = sample(len(table))
    times.append(cpu())
    fit_s, cpu_s, rows = times[1] - times[0], times[2] - times[1], len(made)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    save(made, train, release)
    more = rows_for(rows, cpu_s)
    if more > rows:
        start = cpu()
        rows = len(sample(more))
        cpu_s = cpu() - start
    version = f"{PACKAGES[peer]} {importlib.metadata.version(PACKAGES[peer])}"
    return dict(version=version, epochs=trained(), fit_cpu_s=fit_s, rows_per_cpu_s=rows / cpu_s, peak_mb=peak, rate_rows=rows)


def score(train, test, release, target):
    """Quality by SDMetrics, and what a classifier learns from the release."""
    import pandas as pd
    from sdmetrics.reports.single_table import QualityReport
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import f1_score, roc_auc_score

    (real, categories), (held, _), (made, _) = frame(train), frame(test), frame(release)
    report = QualityReport()
    columns = {c: {"sdtype": "categorical" if c in categories else "numerical"} for c in real}
    report.generate(real, made[real.columns], {"columns": columns}, verbose=False)
    properties = dict(zip(*report.get_properties()[["Property", "Score"]].values.T))
    shapes, pairs = properties["Column Shapes"], properties["Column Pair Trends"]
    result = dict(quality=report.get_score(), shapes=shapes, pairs=pairs, rows=len(made))
    both = pd.concat([made, held])[real.columns]
    positive = real[target].value_counts().idxmin()
    inputs, labels = both.drop(columns=target), (both[target] == positive).to_numpy()
    for column in set(categories) - {target}:
        inputs[column] = inputs[column].astype("category")
    n = len(made)
    if len(set(labels[:n])) < 2:
        return result | dict(f1=0.0, auc=0.5, note="the release has one class alone")
    model = HistGradientBoostingClassifier(random_state=0, categorical_features="from_dtype").fit(inputs[:n], labels[:n])
    chance = model.predict_proba(inputs[n:])[:, 1]
    return result | dict(f1=f1_score(labels[n:], chance > 0.5), auc=roc_auc_score(labels[n:], chance))


# The run


def generators(args, data):
    """(name, kind, model or peer, options or epochs), ours and theirs taking turns."""
    epochs = {peer: getattr(args, f"{peer.lower()}_epochs") or EPOCHS[data][peer] for peer in EQUAL}
    ours, theirs = [], []
    for peer, (model, options, sizes) in EQUAL.items():
        for n in epochs[peer]:
            theirs.append((f"{peer}@{n}", "peers", peer, n))
            ours.append((f"{model}@{n}", "ours", model, options | {"epochs": n}))
            if sizes:
                ours.append((f"{model} as {peer}@{n}", "ours", model, options | sizes | {"epochs": n}))
    theirs += [(peer, "peers", peer, None) for peer in OTHER_PEERS]
    sql = """SELECT name, max(option = 'control') AS control, max(CASE WHEN option = 'epochs' THEN "default" END) AS epochs
        FROM lookalike_models() GROUP BY name ORDER BY name"""
    models = shell(args, sql)[0] if args.shell != "-" else []
    # A model whose own epochs are among those of its peer is there already.
    there = {row["name"] for row in models if any(name == f"{row['name']}@{row['epochs']}" for name, *_ in ours)}
    ours = ours if models else []
    for row in models:
        if row["name"] not in there and (args.controls or row["control"] != "true"):
            fewer = {"epochs": FEWER[row["name"]]} if data == "adult" and row["name"] in FEWER else {}
            ours.append((row["name"], "ours", row["name"], OPTIONS.get(row["name"], {}) | fewer))
    turns = [job for pair in itertools.zip_longest(theirs, ours) for job in pair if job]
    wanted = lambda job: any(pattern == job[1] or fnmatch.fnmatchcase(job[0], pattern) for pattern in args.only)
    return [(REAL, "real", None, None)] + list(filter(wanted, turns))


def results(file):
    """{(data, generator): all fields measured so far}."""
    found = {}
    for line in pathlib.Path(file).read_text().splitlines() if os.path.exists(file) else []:
        line = json.loads(line)
        found.setdefault((line["data"], line["generator"]), {}).update(line)
    return found


def run(args, data, job):
    """The stages of one generator on one data set that are not in the results yet."""
    name, kind, what, how = job
    parts = args.folder / data

    def path(file):
        return os.path.abspath(parts / (file if "." in file else f"{file}.parquet"))

    if not os.path.exists(path("holdout")):
        parts.mkdir(parents=True, exist_ok=True)
        files = {part: path(part) for part in ("train", "test", "members", "holdout")}
        print(data, worker(args, "prepare", data=data, files=files))
    release = path("train" if kind == "real" else f"{name}.parquet")

    def fit():
        if kind == "ours":
            return fit_ours(args, path, name, what, how)
        folder = path(f"{name}.workspace")
        return worker(args, "fit_peer", peer=what, epochs=how, train=path("train"), release=release, folder=folder)

    files = dict(train=path("train"), test=path("test"), release=release)
    stages = [("score", "quality", lambda: worker(args, "score", **files, target=TARGETS[data]))]
    if kind != "real":
        stages.insert(0, ("fit", "fit_cpu_s", fit))
        if args.shell != "-":
            stages.append(("attack", "dcr_share", lambda: attack(args, path, name)))
    for stage, field, work in stages:
        if field in results(args.results).get((data, name), {}):
            continue
        line, wall = dict(data=data, generator=name, kind=kind), time.perf_counter()
        try:
            line |= work()
        except Exception as error:
            line["error"] = f"{stage}: {error}"
        line |= {f"{stage}_wall_s": time.perf_counter() - wall, f"{stage}_load": os.getloadavg()[0]}
        line = {key: float(f"{value:.6g}") if isinstance(value, float) else value for key, value in line.items()}
        with open(args.results, "a") as file:
            print(json.dumps(line), file=file)
        print(json.dumps(line), flush=True)
        if "error" in line:
            break


# The table


def tables(found):
    cells = {
        "quality": "{:.3f}", "f1": "{:.3f}", "auc": "{:.3f}", "dcr_share": "{:.3f}", "mia_auc": "{:.3f}", "fit_cpu_s": "{:,.3g}",
        "rows_per_cpu_s": "{:,.0f}", "peak_mb": "{:,.0f}", "epochs": "{:g}",
    }
    titles = ["quality", "F1", "AUC", "DCR share", "best MIA AUC (95 %), attack", "fit, CPU s", "rows / CPU s", "peak MB", "epochs"]

    def cell(row, field):
        if row.get(field) is None:
            return ""
        text = cells[field].format(row[field])
        return f"{text} ({row['mia_lo']:.3f}-{row['mia_hi']:.3f}), {row['attack']}" if field == "mia_auc" else text

    for data in SOURCES:
        rows = {name: row for (where, name), row in found.items() if where == data}
        if not rows:
            continue
        print(f"\n## {data}\n\n| generator | {' | '.join(titles)} |\n|{' --- |' * (1 + len(titles))}")
        order = lambda row: (["real", "ours", "peers"].index(row["kind"]), -row.get("quality", 0))
        for row in sorted(rows.values(), key=order):
            name = row["generator"].split("@")[0] + (f" ({row['version']})" if "version" in row else "")
            if "error" in row and "quality" not in row:
                print(f"| {name} | {row['error']} |{' |' * (len(titles) - 1)}")
                continue
            print(f"| {name if row['kind'] != 'ours' else f'**{name}**'} | {' | '.join(cell(row, field) for field in cells)} |")
        equal = []
        for name, theirs in rows.items():
            peer, _, epochs = name.partition("@")
            for model in [EQUAL[peer][0], f"{EQUAL[peer][0]} as {peer}"] if peer in EQUAL else []:
                ours = rows.get(f"{model}@{epochs}", {})
                if "fit_cpu_s" in ours and "fit_cpu_s" in theirs and "quality" in ours and "quality" in theirs:
                    times = f"{theirs['fit_cpu_s']:.3g} | {ours['fit_cpu_s']:.3g} | {theirs['fit_cpu_s'] / ours['fit_cpu_s']:.2f}"
                    equal.append(f"| {peer} | **{model}** | {epochs} | {times} | {theirs['quality']:.3f} | {ours['quality']:.3f} |")
        if equal:
            head = "| peer | ours | epochs | peer's fit, CPU s | our fit, CPU s | ratio | peer's quality | our quality |"
            print("\nEqual epochs and batches, and in the lines `as` a peer equal networks:\n", head, "|" + " --- |" * 8, *equal, sep="\n")


def numbers(text):
    return [int(n) for n in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shell", nargs="?")
    parser.add_argument("--peers-python", default=sys.executable)
    parser.add_argument("--mostly-python", default=sys.executable)
    parser.add_argument("--data", default=list(SOURCES), type=lambda text: text.split(","))
    parser.add_argument("--only", default=["*"], type=lambda text: text.split(","))
    parser.add_argument("--tvae-epochs", type=numbers)
    parser.add_argument("--ctgan-epochs", type=numbers)
    parser.add_argument("--controls", action="store_true", help="our positive controls as well")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of the attacks, which are not timed")
    parser.add_argument("--results", default="generators.jsonl")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("generators"))
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    if args.table:
        return tables(results(args.results))
    if args.shell is None:
        parser.error("SHELL is missing")
    args.folder.mkdir(parents=True, exist_ok=True)
    for data in args.data:
        for job in generators(args, data):
            run(args, data, job)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work = dict(prepare=prepare, fit_peer=fit_peer, score=score)[sys.argv[2]]
        print(json.dumps(work(**json.loads(sys.argv[3]))))
    else:
        main()
