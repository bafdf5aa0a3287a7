-- A release with k = 11 and l = 3: every combination of quasi-identifiers is shared by eleven patients, who have at least three different
-- diagnoses among them and are no further than t = 0.3 from the diagnoses of all.
-- Run from the repository's root:  cargo run -p lookalike-cli -- -f sql/recipes/k11_l3.sql
CREATE EXTERNAL TABLE patients STORED AS PARQUET LOCATION 'tests/data/heart_disease/patients.parquet';

CREATE TABLE release AS
SELECT * FROM k_anonymize(patients, k => 11, l => 3, t => 0.3, quasi_identifiers => ['age', 'sex', 'site', 'trestbps'],
                          sensitive => 'diagnosis', suppression_limit => 0.02, identifiers => ['id']);
SELECT age, sex, site, trestbps, count(*) AS patients, count(DISTINCT diagnosis) AS diagnoses
FROM release GROUP BY age, sex, site, trestbps ORDER BY patients, age LIMIT 5;

-- What was reached, what it cost, and what risk is left.
CREATE TABLE report AS
SELECT * FROM anonymity_report(release, quasi_identifiers => ['age', 'sex', 'site', 'trestbps'], sensitive => 'diagnosis', original => patients);
SELECT metric, column_name, round(value, 4) AS value FROM report
WHERE metric IN ('k', 'distinct_l', 'entropy_l', 't_ordered', 'prosecutor_max', 'prosecutor_max_before', 'rows_suppressed', 'gcp')
ORDER BY metric;

-- The gate, and only then the file.
SELECT require(k_anonymity(age, sex, site, trestbps) >= 11, 'k is below 11') AS k_holds,
       require(l_diversity(diagnosis, age, sex, site, trestbps) >= 3, 'l is below 3') AS l_holds,
       require(t_closeness(diagnosis, age, sex, site, trestbps) <= 0.3, 't is above 0.3') AS t_holds
FROM release;
COPY release TO 'target/recipes/k11_l3.parquet';
