//! Scalar functions where SQL alone cannot look: what travels with a plan, and what must not.

use std::sync::Arc;

use datafusion::catalog::MemTable;
use datafusion::error::Result;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_proto::bytes::{
    logical_plan_to_bytes_with_extension_codec, physical_plan_from_bytes_with_extension_codec,
    physical_plan_to_bytes_with_extension_codec,
};
use lookalike::{LookalikeLogicalCodec, LookalikePhysicalCodec};

use crate::support::{rows, run, session, sorted_rows};

const KEY: &str = "a key for tests only";

const KEYED: &str = "SELECT pseudonym(value) AS p, pseudonym('x', 'constant') AS c, \
                     date_shift(DATE '2020-02-29', value, 30) AS d, date_shift(DATE '2020-02-29', 7, 30) AS e FROM range(3)";

#[tokio::test]
async fn the_key_stays_in_its_session() -> Result<()> {
    let ctx = session(2, 8192).await?;
    let holds_key = |text: &[u8]| text.windows(KEY.len()).any(|w| w == KEY.as_bytes());
    run(&ctx, &format!("SET lookalike.pseudonym_key = '{KEY}'")).await?;
    let expected = sorted_rows(&ctx, KEYED).await?;
    let frame = ctx.sql(KEYED).await?;
    let logical = frame.clone().into_optimized_plan()?;
    let physical = frame.create_physical_plan().await?;
    let bytes = physical_plan_to_bytes_with_extension_codec(Arc::clone(&physical), &LookalikePhysicalCodec)?;
    assert!(!bytes.is_empty() && !holds_key(&bytes));
    assert!(!holds_key(&logical_plan_to_bytes_with_extension_codec(
        &ctx.sql("SELECT pseudonym(x), date_shift(DATE '2020-02-29', x, 9) FROM (VALUES (1), (2)) AS t(x)")
            .await?
            .into_unoptimized_plan(),
        &LookalikeLogicalCodec
    )?));
    for printed in [
        format!("{logical:?} {}", logical.display_indent()),
        format!("{physical:?}"),
        format!("{:?}", ctx.state()),
        rows(&run(&ctx, &format!("EXPLAIN VERBOSE {KEYED}")).await?).join("\n"),
        rows(&run(&ctx, &format!("EXPLAIN ANALYZE {KEYED}")).await?).join("\n"),
        rows(&run(&ctx, "SHOW ALL").await?).join("\n"),
        run(&ctx, "SELECT pseudonym(1, NULL)").await.unwrap_err().to_string(),
    ] {
        assert!(!holds_key(printed.as_bytes()), "{printed}");
    }

    // Elsewhere the key of that place counts.
    let there = SessionContext::new();
    lookalike::register_all(&there)?;
    let travelled = |there: &SessionContext| {
        let codec = LookalikePhysicalCodec;
        let plan = physical_plan_from_bytes_with_extension_codec(&bytes, &there.task_ctx(), &codec)?;
        Ok::<_, datafusion::error::DataFusionError>((plan, there.task_ctx()))
    };
    let (plan, task) = travelled(&there)?;
    let error = datafusion::physical_plan::collect(plan, task).await.unwrap_err().to_string();
    assert!(error.contains("the session has no key"), "{error}");
    run(&there, &format!("SET lookalike.pseudonym_key = '{KEY}'")).await?;
    let (plan, task) = travelled(&there)?;
    let mut found = rows(&datafusion::physical_plan::collect(plan, task).await?);
    found.sort();
    assert_eq!(found, expected);

    // Registering again keeps the key.
    lookalike::register_all(&ctx)?;
    assert_eq!(sorted_rows(&ctx, KEYED).await?, expected);
    Ok(())
}

#[tokio::test]
async fn a_plan_takes_its_hierarchy_along() -> Result<()> {
    let here = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
    lookalike::register_all(&here)?;
    run(&here, "CREATE TABLE levels AS VALUES (1, 'odd'), (2, 'even'), (3, 'odd')").await?;
    let values = run(&here, "SELECT * FROM (VALUES (1), (2), (NULL)) AS t(x)").await?;
    here.register_table("t", Arc::new(MemTable::try_new(values[0].schema(), vec![values])?))?;
    let sql = "SELECT x, generalize(x, 'levels', 1), generalize(x, 'levels', 2) FROM t";
    let plan = here.sql(sql).await?.create_physical_plan().await?;
    let bytes = physical_plan_to_bytes_with_extension_codec(plan, &LookalikePhysicalCodec)?;
    // A session without that table.
    let there = SessionContext::new();
    lookalike::register_all(&there)?;
    let plan = physical_plan_from_bytes_with_extension_codec(&bytes, &there.task_ctx(), &LookalikePhysicalCodec)?;
    let mut found = rows(&datafusion::physical_plan::collect(plan, there.task_ctx()).await?);
    found.sort();
    assert_eq!(found, ["1\todd\t*", "2\teven\t*", "NULL\tNULL\tNULL"]);
    Ok(())
}

#[tokio::test]
async fn results_are_null_only_where_arguments_are() -> Result<()> {
    let ctx = session(2, 8192).await?;
    let sql = "SELECT generalize(value, 'widths(5)', 1), bucket(value, 5), mask_suffix('ab', value), \
               mask_prefix('ab', 1), pseudonym(value), date_shift(DATE '2020-02-29', value, 30), \
               generalize(CAST(value AS DOUBLE), 'widths(5)', 1) AS of_double, bucket(nullif(value, 1), 5) FROM \
               (SELECT count(*) AS value FROM heart)";
    let plan = ctx.sql(sql).await?.into_optimized_plan()?;
    let nullable: Vec<bool> = plan.schema().fields().iter().map(|f| f.is_nullable()).collect();
    // NaN is missing, so that a hierarchy of DOUBLE may give NULL.
    assert_eq!(nullable, [false, false, false, false, false, false, true, true]);
    Ok(())
}

#[tokio::test]
async fn rules_pass_through_the_plain_front() -> Result<()> {
    use datafusion::execution::session_state::SessionStateBuilder;
    // A session without relation planner.
    let builder = lookalike::configure(SessionStateBuilder::new().with_default_features());
    let plain = SessionContext::new_with_state(builder.with_relation_planners(vec![]).build());
    run(&plain, "CREATE TABLE people AS VALUES (21, 'a'), (23, 'b'), (38, 'c'), (36, 'd')").await?;
    let sql = "SELECT * FROM k_anonymize('people', {'k': 2, 'quasi_identifiers': 'column1', 'rules': {'column1': 'widths(5, 10)'}})";
    assert_eq!(sorted_rows(&plain, sql).await?, ["[20, 25)\ta", "[20, 25)\tb", "[35, 40)\tc", "[35, 40)\td"]);
    let sql = "SELECT level_1, level_2 FROM hierarchy('people', {'column': 'column1', 'rule': 'widths(5)'})";
    assert_eq!(sorted_rows(&plain, sql).await?, ["[20, 25)\t*", "[20, 25)\t*", "[35, 40)\t*", "[35, 40)\t*"]);
    Ok(())
}
