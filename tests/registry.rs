//! The registries and what hangs on them: pages, listings, codecs, registration.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{MemTable, Session, TableProvider};
use datafusion::common::TableReference;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{FunctionRegistry, TaskContext};
use datafusion::logical_expr::{Extension, LogicalPlan};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_proto::bytes::{
    logical_plan_from_bytes_with_extension_codec, logical_plan_to_bytes_with_extension_codec,
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use lookalike::{FUNCTIONS, LookalikeLogicalCodec, LookalikePhysicalCodec};
use lookalike_anonymize::METHODS;
use lookalike_attacks::ATTACKS;
use lookalike_core::{Default, Options, ParamKind, ParamSpec, Value};
use lookalike_models::MODELS;

use crate::slt::files;
use crate::support::{TABLES, rows, run, session, sorted_rows};

/// Pages that belong to no single entry.
const COMMON: [&str; 5] = [
    "functions/arguments",
    "functions/types",
    "functions/synthesize_pairs",
    "functions/k_anonymize_items",
    "functions/k_anonymize_epsilon",
];

/// The header of a page below `sql/`, without comment signs.
pub fn header(page: &str) -> String {
    let path = Path::new("sql").join(page).with_extension("slt");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines = text.lines().take_while(|l| l.starts_with('#'));
    lines
        .map(|l| l.trim_start_matches('#').strip_prefix(' ').unwrap_or_default().trim_end().to_string() + "\n")
        .collect()
}

/// Names of the aggregates and scalar functions that Lookalike adds to a session.
pub fn added() -> (BTreeSet<String>, BTreeSet<String>) {
    let (plain, ctx) = (SessionContext::new(), SessionContext::new());
    lookalike::register_all(&ctx).expect("the functions register");
    let difference = |a: std::collections::HashSet<String>, b| a.difference(&b).cloned().collect();
    (difference(ctx.udafs(), plain.udafs()), difference(ctx.udfs(), plain.udfs()))
}

/// Page of an aggregate: its own name, or with `_aggregate` where a table function has the name.
pub fn aggregate_page(name: &str) -> String {
    let taken = FUNCTIONS.iter().any(|f| f.name() == name);
    format!("functions/{name}{}", if taken { "_aggregate" } else { "" })
}

#[test]
fn every_entry_has_a_name_of_its_own_and_a_page() {
    let (aggregates, scalars) = added();
    let mut pages: BTreeSet<String> = COMMON.map(String::from).into();
    let mut page = |page: String, start: String| {
        let header = header(&page);
        assert!(
            header.starts_with(&start),
            "sql/{page}.slt begins with: {}",
            header.lines().next().unwrap_or_default()
        );
        assert!(header.lines().count() > 3, "sql/{page}.slt says too little");
        assert!(pages.insert(page.clone()), "two entries have the page {page}");
    };
    for function in FUNCTIONS {
        assert!(!function.summary().is_empty());
        page(format!("functions/{}", function.name()), format!("{}(", function.name().to_uppercase()));
    }
    for model in MODELS {
        page(format!("models/{}", model.name()), format!("model => '{}'", model.name()));
    }
    for attack in ATTACKS {
        page(format!("attacks/{}", attack.name()), format!("attack '{}'", attack.name()));
    }
    for aggregate in &aggregates {
        page(aggregate_page(aggregate), format!("{aggregate}("));
    }
    for scalar in &scalars {
        page(format!("functions/{scalar}"), format!("{}(", scalar.to_uppercase()));
    }
    assert_eq!(aggregates.len() + scalars.len(), 13);
    let found: BTreeSet<String> = files()
        .iter()
        .map(|f| f.strip_prefix("sql").expect("below sql").with_extension("").to_string_lossy().replace('\\', "/"))
        .collect();
    assert_eq!(found, pages, "pages without an entry, or entries without a page");
    let methods: BTreeSet<&str> = METHODS.iter().map(|m| m.name()).collect();
    assert_eq!(methods.len(), METHODS.len());
    assert!(methods.iter().all(|m| header("functions/k_anonymize").to_lowercase().contains(m)));
}

fn check_options(place: &str, specs: &[ParamSpec]) {
    for (i, spec) in specs.iter().enumerate() {
        let place = format!("{place}, option '{}'", spec.name);
        assert!(specs[..i].iter().all(|s| s.name != spec.name), "{place}: twice");
        assert!(spec.name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{place}");
        assert!(spec.purpose.ends_with('.'), "{place}: {}", spec.purpose);
        let default = match spec.default {
            Default::Required | Default::Unset(_) => continue,
            Default::Bool(v) => Value::Bool(v),
            Default::Int(v) => Value::Int(v),
            Default::Float(v) => Value::Float(v),
            Default::Text(v) => Value::Text(v.into()),
        };
        if let Err(e) = Options::check(&[*spec], &[(spec.name.into(), default)]) {
            panic!("{place}: the default is not allowed: {e}");
        }
    }
}

#[test]
fn every_option_is_sound_and_documented() {
    let parts = MODELS.iter().map(|m| ("models", m.name(), m.params()));
    let parts: Vec<_> = parts.chain(ATTACKS.iter().map(|a| ("attacks", a.name(), a.params()))).collect();
    let synthesize = FUNCTIONS.iter().find(|f| f.name() == "synthesize").expect("SYNTHESIZE is registered");
    let joint = synthesize.options();
    for (kind, name, params) in &parts {
        check_options(name, params);
        for param in *params {
            let page = header(&format!("{kind}/{name}"));
            assert!(
                page.contains(&format!("{} =>", param.name)),
                "sql/{kind}/{name}.slt is silent about {}",
                param.name
            );
            // A call has one table of options: attacks say the same by a name, models by a type that holds all their values.
            if *kind == "attacks" {
                let same = parts.iter().filter(|p| p.0 == *kind).flat_map(|p| p.2).filter(|p| p.name == param.name);
                assert!(same.into_iter().all(|p| p == param), "{name}: '{}' differs between {kind}", param.name);
            } else {
                let joint: Vec<_> = joint.iter().filter(|o| o.name == param.name).collect();
                let [joint] = joint.as_slice() else { panic!("{name}: '{}' is no option of SYNTHESIZE", param.name) };
                assert_eq!(joint.kind.type_name(), param.kind.type_name(), "{name}: {}", param.name);
                let holds = match (joint.kind, param.kind) {
                    (ParamKind::Int { min: a, max: b }, ParamKind::Int { min: c, max: d }) => a <= c && d <= b,
                    (ParamKind::Float { min: a, max: b }, ParamKind::Float { min: c, max: d }) => a <= c && d <= b,
                    (joint, own) => joint == own,
                };
                assert!(holds, "{name}: SYNTHESIZE refuses values of '{}'", param.name);
            }
        }
    }
    for function in FUNCTIONS {
        check_options(function.name(), &function.options());
        let page = header(&format!("functions/{}", function.name()));
        for option in function.options() {
            let of_a_part = parts.iter().any(|(_, _, params)| params.iter().any(|p| p.name == option.name));
            let documented = page.contains(&format!("{} =>", option.name)) || of_a_part;
            assert!(documented, "sql/functions/{}.slt is silent about {}", function.name(), option.name);
        }
        for relation in function.relations() {
            assert!(page.contains(relation.name), "sql/functions/{}.slt: {}", function.name(), relation.name);
        }
        for name in function.schema_options() {
            assert!(function.options().iter().any(|o| o.name == *name), "{}: {name}", function.name());
        }
    }
}

#[tokio::test]
async fn listings_are_the_registries() -> Result<()> {
    let ctx = session(1, 8192).await?;
    let listed = |params: &[ParamSpec], name: &str, summary: &str| -> Vec<String> {
        let row = |rest: [String; 5]| format!("{name}\t{summary}\t{}", rest.join("\t"));
        if params.is_empty() {
            return vec![row([(); 5].map(|()| "NULL".to_string()))];
        }
        let cells = |p: &ParamSpec| {
            [p.name.into(), p.kind.type_name().into(), p.default.text(), p.kind.range(), p.purpose.into()]
        };
        params.iter().map(|p| row(cells(p))).collect()
    };
    let mut expected: [Vec<String>; 3] = [
        MODELS.iter().flat_map(|m| listed(m.params(), m.name(), m.summary())).collect(),
        ATTACKS.iter().flat_map(|a| listed(a.params(), a.name(), a.summary())).collect(),
        FUNCTIONS.iter().flat_map(|f| listed(&f.options(), f.name(), f.summary())).collect(),
    ];
    for (expected, name) in expected.iter_mut().zip(["models", "attacks", "functions"]) {
        expected.sort();
        let columns = r#"name, summary, option, type, "default", range, purpose"#;
        assert_eq!(sorted_rows(&ctx, &format!("SELECT {columns} FROM lookalike_{name}()")).await?, *expected);
    }
    Ok(())
}

/// A call of every table function, with every kind of option and every way to give a relation.
const CALLS: &[(&str, &str)] = &[
    (
        "synthesize",
        "SELECT * FROM synthesize(heart, rows => 300, seed => 1, identifiers => ['id'], filter_copies => true)",
    ),
    // Constants, lists, ranges, NULL, shares.
    (
        "synthesize",
        "SELECT * FROM synthesize(heart, model => 'independent', rows => 300, seed => 1, max_tries => 500, balance => 'cp', \
         condition => {'diagnosis': 0, 'site': ['Cleveland', 'Hungary'], 'oldpeak': {'min': 0.5, 'max': 2}, 'ca': [NULL, 0]}, \
         proportions => {'sex': {'Female': 0.5, 'Male': 0.5}, 'exang': {'true': 0.25}}, k => 3, \
         quasi_identifiers => ['sex', 'site'], sensitive => ['cp'], l => 2, max_padding => 2)",
    ),
    (
        "quality_report",
        "SELECT * FROM quality_report((SELECT age, sex, cp, chol, id % 40 AS who FROM heart WHERE id <= 400), (SELECT age, sex, \
         cp, chol, id % 30 AS who FROM heart WHERE id > 500), metrics => ['score', 'shapes', 'pairs', 'pmse', 'two_sample', \
         'support'], max_rows => 300, privacy_unit => 'who', seed => 1)",
    ),
    (
        "utility_report",
        "SELECT * FROM utility_report((SELECT age, sex, cp, exang FROM heart WHERE id <= 300), (SELECT age, sex, cp, exang FROM \
         heart WHERE id > 600), (SELECT age, sex, cp, exang FROM heart WHERE id BETWEEN 301 AND 450), target => 'exang', \
         task => 'classification', positive => 'true', second => (SELECT age, sex, cp, exang FROM heart WHERE id BETWEEN 451 \
         AND 600), seed => 1)",
    ),
    (
        "fit_model",
        "SELECT epoch, loss FROM fit_model(heart, path => 'target/registry.lookalike', seed => 1, model => 'independent', knots => 64)",
    ),
    (
        "sample_model",
        "SELECT * FROM sample_model('target/registry.lookalike', (SELECT * FROM heart WHERE id < 300), rows => 300, seed => 1)",
    ),
    (
        "k_anonymize",
        "SELECT * FROM k_anonymize(heart, k => 5, quasi_identifiers => ['age', 'sex'], hierarchies => {'sex': 'sexes'}, \
         suppression_limit => 0.05, output => 'range', class_id => true)",
    ),
    (
        "k_anonymize",
        "SELECT * FROM k_anonymize(heart, k => 5, quasi_identifiers => ['age', 'sex'], rules => {'age': 'widths(5, 10)'})",
    ),
    (
        "k_anonymize",
        "SELECT * FROM k_anonymize((SELECT id, age, [cp, site] AS codes FROM heart), k => 5, items => 'codes', m => 2, \
         rules => {'codes': 'prefix(4, 1)'}, item_suppression_limit => 0.1, guarantee => true)",
    ),
    // Noise that is 0 but with a probability below 1e-10, so that two runs agree.
    (
        "k_anonymize",
        "SELECT * FROM k_anonymize((SELECT id, age, sex, id % 2 AS n FROM heart), k => 5, quasi_identifiers => ['age'], \
         epsilon => 100, epsilon_columns => ['sex', 'n'], bounds => {'sex': ['Female', 'Male'], 'n': [0, 1]}, \
         epsilon_nulls => 'sex')",
    ),
    ("hierarchy", "SELECT * FROM hierarchy(heart, column => 'age', rule => 'widths(5, 10)')"),
    // A scalar that takes a table along.
    (
        "generalize",
        "SELECT generalize(sex, 'sexes', 1), generalize(age, 'widths(10)', 1), count(*) FROM heart \
         WHERE generalize(sex, 'sexes', 0) = 'Male' GROUP BY 1, 2",
    ),
    (
        "anonymity_report",
        "SELECT * FROM anonymity_report(k_anonymize(heart, k => 5, quasi_identifiers => ['age', 'sex']), \
         quasi_identifiers => ['age', 'sex'], sensitive => 'site', original => heart, population => TABLE(heart), \
         hierarchies => {'sex': 'sexes'}, risk_threshold => 0.1, k => 5, privacy_unit => 'id')",
    ),
    (
        "linkage_attack",
        "SELECT * FROM linkage_attack((SELECT * FROM heart WHERE id < 300), heart, on => ['age', 'sex', 'chol'], \
         hierarchies => {'sex': 'sexes'}, privacy_unit => 'id')",
    ),
    (
        "dcr",
        "SELECT age, dcr, holdout_dcr FROM dcr(synthesize(heart, rows => 50, seed => 1), (SELECT * FROM heart WHERE id < 400), \
         TABLE(heart)) WHERE dcr < 0.2",
    ),
    (
        "dcr",
        "SELECT dcr(d.dcr) FROM dcr((SELECT age, sex FROM heart WHERE age > 50), (SELECT age, sex FROM heart)) AS d",
    ),
    (
        "distance_report",
        "SELECT metric, value, holdout FROM distance_report((SELECT * FROM heart WHERE id < 200), (SELECT * FROM heart WHERE id < 400), \
         TABLE(heart), seed => 3, metric => 'l1', identifiers => ['id'])",
    ),
    (
        "vulnerable_records",
        "SELECT id, decile FROM vulnerable_records((SELECT * FROM heart WHERE id < 200), neighbours => 3, identifiers => ['id'])",
    ),
    (
        "mia_score",
        "SELECT attack, mia_score(score, is_member) FROM mia_score((SELECT * FROM heart WHERE id < 300), \
         (SELECT * FROM heart WHERE id >= 600), heart, seed => 2, reference => (SELECT * FROM heart WHERE id BETWEEN 300 AND 599), \
         privacy_unit => 'id') GROUP BY attack",
    ),
    (
        "singling_out",
        "SELECT * FROM singling_out((SELECT * FROM heart WHERE id < 300), heart, (SELECT * FROM heart WHERE id >= 600), \
         attempts => 50, seed => 2, privacy_unit => 'id')",
    ),
    (
        "linkability",
        "SELECT * FROM linkability((SELECT * FROM heart WHERE id < 300), heart, (SELECT * FROM heart WHERE id >= 600), \
         columns_a => ['age', 'sex'], columns_b => ['chol', 'cp'], neighbours => 3, max_targets => 100, seed => 2)",
    ),
    (
        "attribute_inference",
        "SELECT * FROM attribute_inference((SELECT * FROM heart WHERE id < 300), heart, TABLE(heart), secret => 'cp', \
         known => ['age', 'sex', 'thalch'], tau => 0.9, confidence => 0.99, seed => 2)",
    ),
    (
        "mia_score",
        "SELECT * FROM mia_score((SELECT * FROM heart WHERE id < 300), (SELECT * FROM heart WHERE id >= 600), heart, seed => 2, \
         attacks => ['lira', 'groundhog'], model => 'independent', knots => 64, filter_copies => false, shadow_models => 4, \
         max_targets => 50, identifiers => 'id')",
    ),
    (
        "exposure",
        "SELECT * FROM exposure(heart, model => 'independent', canaries => 3, repeats => 2, references => 50, seed => 1, \
         method => 'distance', privacy_unit => 'id')",
    ),
    (
        "privacy_report",
        "SELECT * FROM privacy_report((SELECT * FROM heart WHERE id < 300), (SELECT * FROM heart WHERE id BETWEEN 300 AND 599), \
         (SELECT * FROM heart WHERE id >= 600), reference => TABLE(heart), model => 'independent', secrets => 'cp', \
         columns_a => ['age', 'sex'], columns_b => ['chol', 'cp'], attempts => 50, attacks => ['dcr', 'domias'], max_targets => 100, \
         alpha => 0.01, metric => 'l1', seed => 2, privacy_unit => 'id')",
    ),
    ("lookalike_models", "SELECT * FROM lookalike_models()"),
    ("lookalike_attacks", "SELECT name, option FROM lookalike_attacks()"),
    ("lookalike_methods", "SELECT name, cost FROM lookalike_methods()"),
    ("lookalike_functions", "SELECT count(*) FROM lookalike_functions() WHERE option = 'seed'"),
];

#[test]
fn every_function_is_called_here() {
    assert!(FUNCTIONS.iter().all(|f| CALLS.iter().any(|(name, _)| *name == f.name())));
}

type Tables = HashMap<String, Arc<dyn TableProvider>>;

/// The shipped tables in memory, and a small hierarchy.
async fn tables() -> Result<Tables> {
    let ctx = session(1, 8192).await?;
    run(&ctx, "CREATE TABLE sexes AS VALUES ('Male', 'any'), ('Female', 'any')").await?;
    let mut tables = Tables::new();
    for name in TABLES.iter().map(|t| t.0).chain(["sexes"]) {
        let batches = ctx.table(name).await?.collect().await?;
        tables.insert(name.into(), Arc::new(MemTable::try_new(batches[0].schema(), vec![batches])?));
    }
    Ok(tables)
}

fn with_tables(ctx: SessionContext, tables: &Tables) -> Result<SessionContext> {
    for (name, table) in tables {
        ctx.register_table(name.as_str(), Arc::clone(table))?;
    }
    Ok(ctx)
}

/// A session of two partitions with the given functions.
fn plain_session(tables: &Tables) -> Result<SessionContext> {
    let ctx = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
    lookalike::register_all(&ctx)?;
    with_tables(ctx, tables)
}

/// The codec with tables that are sent by name.
#[derive(Debug)]
struct ByName(LookalikeLogicalCodec, Tables);

impl LogicalExtensionCodec for ByName {
    fn try_decode(&self, buf: &[u8], inputs: &[LogicalPlan], ctx: &TaskContext) -> Result<Extension> {
        self.0.try_decode(buf, inputs, ctx)
    }
    fn try_encode(&self, node: &Extension, buf: &mut Vec<u8>) -> Result<()> {
        self.0.try_encode(node, buf)
    }
    fn try_decode_table_provider(
        &self,
        _: &[u8],
        table: &TableReference,
        _: SchemaRef,
        _: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        let found = self.1.get(table.table()).cloned();
        found.ok_or_else(|| DataFusionError::Plan(format!("{table} was not sent")))
    }
    fn try_encode_table_provider(&self, _: &TableReference, _: Arc<dyn TableProvider>, _: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_the_same_after_a_journey() -> Result<()> {
    let tables = tables().await?;
    let (here, there) = (plain_session(&tables)?, plain_session(&tables)?);
    let codec = ByName(LookalikeLogicalCodec, tables);
    for (_, sql) in CALLS {
        let expected = sorted_rows(&here, sql).await?;
        assert!(!expected.is_empty());
        let sorted = |batches: &[RecordBatch]| {
            let mut rows = rows(batches);
            rows.sort();
            rows
        };
        let frame = here.sql(sql).await?;
        for plan in [frame.logical_plan().clone(), frame.into_optimized_plan()?] {
            let bytes = logical_plan_to_bytes_with_extension_codec(&plan, &codec)?;
            let decoded = logical_plan_from_bytes_with_extension_codec(&bytes, &there.task_ctx(), &codec)?;
            assert_eq!(format!("{}", decoded.display_indent()), format!("{}", plan.display_indent()));
            let found = there.execute_logical_plan(decoded).await?.collect().await?;
            assert_eq!(sorted(&found), expected, "{sql} as a logical plan");
        }
        let plan = here.sql(sql).await?.create_physical_plan().await?;
        let bytes = physical_plan_to_bytes_with_extension_codec(plan, &LookalikePhysicalCodec)?;
        let decoded =
            physical_plan_from_bytes_with_extension_codec(&bytes, &there.task_ctx(), &LookalikePhysicalCodec)?;
        let found = datafusion::physical_plan::collect(decoded, there.task_ctx()).await?;
        assert_eq!(sorted(&found), expected, "{sql} as a physical plan");
    }
    Ok(())
}

#[tokio::test]
async fn a_plan_without_seed_travels_with_the_seed_it_got() -> Result<()> {
    let tables = tables().await?;
    let ctx = plain_session(&tables)?;
    let plan = ctx.sql("SELECT * FROM synthesize(heart, rows => 100)").await?.create_physical_plan().await?;
    let bytes = physical_plan_to_bytes_with_extension_codec(Arc::clone(&plan), &LookalikePhysicalCodec)?;
    let mut found = Vec::new();
    for _ in 0..2 {
        let decoded = physical_plan_from_bytes_with_extension_codec(&bytes, &ctx.task_ctx(), &LookalikePhysicalCodec)?;
        let mut rows = rows(&datafusion::physical_plan::collect(decoded, ctx.task_ctx()).await?);
        rows.sort();
        found.push(rows);
    }
    assert_eq!(found[0].len(), 100);
    assert_eq!(found[0], found[1]);
    Ok(())
}

#[tokio::test]
async fn foreign_bytes_are_refused() -> Result<()> {
    let ctx = SessionContext::new();
    let error = LookalikeLogicalCodec.try_decode(b"{\"function\": 1}", &[], &ctx.task_ctx()).unwrap_err();
    assert!(error.to_string().contains("this is no Lookalike node, or of another version"), "{error}");
    let bytes = br#"{"function": "clone", "roles": [], "options": []}"#;
    let error = LookalikeLogicalCodec.try_decode(bytes, &[], &ctx.task_ctx()).unwrap_err();
    assert!(error.to_string().contains("this version has no function 'clone'"), "{error}");
    Ok(())
}

#[tokio::test]
async fn registering_twice_changes_nothing() -> Result<()> {
    let ctx = session(2, 8192).await?;
    let state = |ctx: &SessionContext| {
        let state = ctx.state();
        let mut names: Vec<String> = state.table_functions().keys().cloned().collect();
        names.extend(ctx.udafs().into_iter().chain(ctx.udfs()));
        names.sort();
        let rules: Vec<String> = state.physical_optimizers().iter().map(|r| r.name().to_string()).collect();
        let planners = (state.relation_planners().len(), format!("{:?}", state.query_planner()));
        (names, rules, planners, state.session_id().to_string())
    };
    let before = state(&ctx);
    lookalike::register_all(&ctx)?;
    assert_eq!(state(&ctx), before);
    // Tables and settings survive.
    assert_eq!(sorted_rows(&ctx, "SELECT count(*) FROM dcr(heart, heart) WHERE dcr = 0").await?, ["920"]);
    assert_eq!(ctx.state().config().target_partitions(), 2);
    Ok(())
}

#[tokio::test]
async fn a_state_under_construction_takes_the_functions() -> Result<()> {
    let tables = tables().await?;
    let builder = SessionStateBuilder::new().with_default_features();
    let state = lookalike::configure(lookalike::configure(builder)).build();
    let built = with_tables(SessionContext::new_with_state(state), &tables)?;
    let registered = plain_session(&tables)?;
    for (_, sql) in CALLS {
        assert_eq!(sorted_rows(&built, sql).await?, sorted_rows(&registered, sql).await?, "{sql}");
    }
    Ok(())
}

/// A planner that knows the engine's own nodes alone.
#[derive(Debug, std::default::Default)]
struct Foreign {
    plans: AtomicUsize,
}

#[async_trait]
impl QueryPlanner for Foreign {
    async fn create_physical_plan(&self, plan: &LogicalPlan, session: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        self.plans.fetch_add(1, Ordering::Relaxed);
        plan.apply_with_subqueries(|node| {
            assert!(!matches!(node, LogicalPlan::Extension(_)), "{}", node.display());
            Ok(TreeNodeRecursion::Continue)
        })?;
        DefaultPhysicalPlanner::default().create_physical_plan(plan, session).await
    }
}

#[tokio::test]
async fn a_foreign_query_planner_plans_our_calls() -> Result<()> {
    let tables = tables().await?;
    let foreign = Arc::new(Foreign::default());
    let config = SessionConfig::new().with_target_partitions(2);
    let builder = SessionStateBuilder::new().with_config(config).with_default_features();
    let builder = lookalike::configure(builder.with_query_planner(Arc::clone(&foreign) as _));
    let ctx = with_tables(SessionContext::new_with_state(builder.build()), &tables)?;
    // Twice around a foreign planner is once.
    lookalike::register_all(&ctx)?;
    let ours = plain_session(&tables)?;
    for (_, sql) in CALLS {
        let before = foreign.plans.load(Ordering::Relaxed);
        assert_eq!(sorted_rows(&ctx, sql).await?, sorted_rows(&ours, sql).await?, "{sql}");
        assert!(foreign.plans.load(Ordering::Relaxed) > before);
    }
    let planned =
        rows(&run(&ctx, "EXPLAIN FORMAT INDENT SELECT dcr FROM dcr(heart, heart) WHERE age > 50").await?).join("\n");
    assert!(planned.contains("LookalikeExec: dcr(synthetic, train)"), "{planned}");
    Ok(())
}

#[tokio::test]
async fn explain_shows_the_call_and_what_reaches_the_files() -> Result<()> {
    let ctx = session(2, 8192).await?;
    let sql = "SELECT age, dcr FROM dcr((SELECT age, sex FROM heart WHERE age > 50), (SELECT age, sex FROM heart), metric => 'l1') LIMIT 5";
    let plan = rows(&run(&ctx, &format!("EXPLAIN FORMAT INDENT {sql}")).await?).join("\n");
    for part in [
        "DCR: synthetic, train, metric => 'l1'\n",
        "TableScan: heart projection=[age, sex], partial_filters=[heart.age > Int32(50)]",
        "LookalikeExec: dcr(synthetic, train), metric => 'l1', fetch=5\n",
        "projection=[age, sex], file_type=parquet, predicate=age",
        "pruning_predicate=",
    ] {
        assert!(plan.contains(part), "'{part}' is not in\n{plan}");
    }
    assert_eq!(plan.matches("DataSourceExec").count(), 2, "{plan}");
    let plan = rows(&run(&ctx, &format!("EXPLAIN ANALYZE {sql}")).await?).join("\n");
    let operator = plan.lines().find(|l| l.contains("LookalikeExec")).expect("the operator");
    for metric in ["output_rows=5,", "compute_time=", "input_time=", "peak_memory_bytes="] {
        assert!(operator.contains(metric), "'{metric}' is not in {operator}");
    }
    Ok(())
}
