-- Auditing somebody else's synthetic Parquet: there is the file, the training rows and a holdout, but no generator. Here the
-- vendor's file is made first, and one row in eleven is a patient.
-- Run from the repository's root:  cargo run -p lookalike-cli -- -f sql/recipes/audit_release.sql
CREATE EXTERNAL TABLE patients STORED AS PARQUET LOCATION 'tests/data/heart_disease/patients.parquet';
CREATE VIEW train AS SELECT * FROM patients WHERE md5(CAST(id AS VARCHAR)) < '8';
CREATE VIEW holdout AS SELECT * FROM patients WHERE md5(CAST(id AS VARCHAR)) >= '8';
COPY (SELECT * EXCEPT (id) FROM synthesize(train, seed => 5, identifiers => ['id'])
      UNION ALL SELECT * EXCEPT (id) FROM train WHERE md5(CAST(id AS VARCHAR)) < '08') TO 'target/recipes/vendor.parquet';

-- Copies, row by row: to be kept inside.
CREATE EXTERNAL TABLE vendor STORED AS PARQUET LOCATION 'target/recipes/vendor.parquet';
SELECT count(*) AS rows, count(*) FILTER (WHERE dcr = 0) AS copies, count(*) FILTER (WHERE holdout_dcr = 0) AS copies_of_holdout
FROM dcr(vendor, (SELECT * EXCEPT (id) FROM train), (SELECT * EXCEPT (id) FROM holdout));

-- The battery. Nothing but files is needed; shadow models and canaries would need the vendor's generator.
CREATE TABLE findings AS
SELECT * FROM privacy_report((SELECT * EXCEPT (id) FROM train), (SELECT * EXCEPT (id) FROM holdout), vendor, secrets => ['diagnosis'], seed => 5);
SELECT criterion, attack, figure, round(value, 3) AS value, round(null_value, 3) AS null_value, p_adjusted < 0.001 AS beyond_doubt, verdict
FROM findings WHERE verdict = 'leak' ORDER BY p_adjusted, criterion, attack, figure;
SELECT DISTINCT threat_model FROM findings ORDER BY threat_model;
