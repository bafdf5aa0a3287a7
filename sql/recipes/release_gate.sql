-- Nothing leaves before it was attacked: a cohort is split by person, synthesised, attacked with the whole battery, and
-- written only when no finding is a leak.
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

-- The gate: the script stops here, with exit code 1, when an attack succeeds or nothing could be tested.
SELECT require(count(*) FILTER (WHERE verdict = 'leak') = 0, 'an attack succeeds') AS no_attack_succeeds,
       require(count(p_value) > 0, 'nothing could be tested') AS tested
FROM findings;
COPY release TO 'target/recipes/release_gate.parquet';
