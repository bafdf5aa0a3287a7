-- Generators compared by what attackers learn from them, beside two releases whose leakage is known: copies of the training
-- rows, and rows of the same population that nobody trained on.
-- Run from the repository's root:  cargo run -p lookalike-cli -- -f sql/recipes/compare_by_attack.sql
CREATE EXTERNAL TABLE patients STORED AS PARQUET LOCATION 'tests/data/heart_disease/patients.parquet';
CREATE VIEW train AS SELECT * FROM patients WHERE md5(CAST(id AS VARCHAR)) < '5';
CREATE VIEW holdout AS SELECT * FROM patients WHERE md5(CAST(id AS VARCHAR)) BETWEEN '5' AND 'a';
CREATE VIEW fresh AS SELECT * FROM patients WHERE md5(CAST(id AS VARCHAR)) > 'a';

CREATE TABLE scores AS
SELECT 'independent' AS release, * FROM mia_score(train, holdout, synthesize(train, model => 'independent', seed => 3), seed => 3, identifiers => ['id'])
UNION ALL
SELECT 'gaussian', * FROM mia_score(train, holdout, synthesize(train, model => 'gaussian', seed => 3), seed => 3, identifiers => ['id'])
UNION ALL
SELECT 'gaussian_copula', * FROM mia_score(train, holdout, synthesize(train, model => 'gaussian_copula', seed => 3), seed => 3, identifiers => ['id'])
UNION ALL
SELECT 'fresh people', * FROM mia_score(train, holdout, fresh, seed => 3, identifiers => ['id'])
UNION ALL
SELECT 'copies', * FROM mia_score(train, holdout, train, seed => 3, identifiers => ['id']);

-- The strongest attack on each, and all of them side by side.
CREATE TABLE figures AS SELECT release, attack, mia_score(score, is_member) AS f FROM scores GROUP BY release, attack;
SELECT release, max(f['auc_lo']) > 0.5 AS any_interval_above_half, round(max(f['auc']), 3) AS largest_auc,
       round(max(f['tpr_at_fpr_10']), 3) AS largest_tpr_at_fpr_10
FROM figures GROUP BY release ORDER BY largest_auc DESC;
SELECT attack,
       round(max(f['auc']) FILTER (WHERE release = 'copies'), 3) AS copies,
       round(max(f['auc']) FILTER (WHERE release = 'gaussian_copula'), 3) AS gaussian_copula,
       round(max(f['auc']) FILTER (WHERE release = 'independent'), 3) AS independent,
       round(max(f['auc']) FILTER (WHERE release = 'fresh people'), 3) AS fresh_people
FROM figures GROUP BY attack ORDER BY attack;
COPY (SELECT release, attack, f['auc'] AS auc, f['auc_lo'] AS auc_lo, f['auc_hi'] AS auc_hi, f['p_value'] AS p_value FROM figures)
TO 'target/recipes/compare_by_attack.csv';
