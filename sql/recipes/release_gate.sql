-- Nothing leaves before it was attacked: a cohort is split by person, synthesised, attacked with the whole battery, and
-- written only when what the attacks found stays within bounds.
-- Run from the repository's root:  cargo run -p lookalike-cli -- -f sql/recipes/release_gate.sql
CREATE EXTERNAL TABLE patients STORED AS PARQUET LOCATION 'tests/data/heart_disease/patients.parquet';

-- Who trains and who is held out is decided by a hash of the person, so that it never changes between runs.
CREATE VIEW train AS SELECT * FROM patients WHERE md5(CAST(id AS VARCHAR)) < '8';
CREATE VIEW holdout AS SELECT * FROM patients WHERE md5(CAST(id AS VARCHAR)) >= '8';
CREATE TABLE release AS SELECT * FROM synthesize(train, seed => 11, identifiers => ['id']);

CREATE TABLE findings AS
SELECT * FROM privacy_report(train, holdout, release, model => 'gaussian_copula', secrets => ['diagnosis', 'chol'], seed => 11,
                             identifiers => ['id']);
-- What could be measured and tested, the most suspicious first.
SELECT criterion, attack, figure, round(value, 3) AS value, round(null_value, 3) AS null_value, round(p_adjusted, 3) AS p_adjusted,
       verdict
FROM findings WHERE p_value IS NOT NULL ORDER BY p_value, criterion, attack, figure LIMIT 10;
SELECT verdict, count(*) AS findings FROM findings GROUP BY verdict ORDER BY verdict;

-- The gate: the script stops here, with exit code 1, when a bound is passed. A verdict says that a leak can be measured, with many
-- rows also a tiny one; how much is too much is decided by who answers for the release (no authority endorses a threshold).
SELECT require(count(p_value) > 20, 'too little could be tested') AS tested,
       require(count(*) FILTER (WHERE attack = 'identical_match' AND verdict = 'leak') = 0, 'rows are copied beyond chance') AS no_copies,
       require(max(lo) FILTER (WHERE criterion = 'membership' AND figure IN ('auc', 'worst_decile_auc')) <= 0.6,
               'membership shows') AS members_hidden,
       require(max(lo) FILTER (WHERE criterion IN ('singling_out', 'linkability', 'attribute_inference')) <= 0.1,
               'single persons show') AS persons_hidden
FROM findings;
COPY release TO 'target/recipes/release_gate.parquet';
