-- Hierarchies from ARX: its CSV files (separated by semicolons, no header, one column a level) are tables. The full-domain search of least
-- information loss with 5 % of the rows to drop, beside the cuts of Mondrian.
-- Run from the repository's root:  cargo run -p lookalike-cli -- -f sql/recipes/arx_hierarchies.sql
CREATE EXTERNAL TABLE patients STORED AS PARQUET LOCATION 'tests/data/heart_disease/patients.parquet';
CREATE EXTERNAL TABLE chest_pain STORED AS CSV LOCATION 'tests/data/hierarchies/chest_pain.csv'
OPTIONS ('format.delimiter' ';', 'format.has_header' 'false');
SELECT * FROM chest_pain;
-- Where there is no file, a rule makes the table; it can be looked at, changed and kept.
SELECT * FROM hierarchy(patients, column => 'age', rule => 'widths(5, 10, 20, 40)') LIMIT 3;

CREATE TABLE optimal AS
SELECT * FROM k_anonymize(patients, k => 5, method => 'optimal', suppression_limit => 0.05, quasi_identifiers => ['age', 'sex', 'site', 'cp'],
                          hierarchies => {'cp': 'chest_pain'}, rules => {'age': 'widths(5, 10, 20, 40)'});
CREATE TABLE mondrian AS
SELECT * FROM k_anonymize(patients, k => 5, quasi_identifiers => ['age', 'sex', 'site', 'cp'],
                          hierarchies => {'cp': 'chest_pain'}, rules => {'age': 'widths(5, 10, 20, 40)'});
SELECT 'optimal' AS method, count(*) AS rows, k_anonymity(age, sex, site, cp) AS k FROM optimal
UNION ALL SELECT 'mondrian', count(*), k_anonymity(age, sex, site, cp) FROM mondrian ORDER BY method;
SELECT age, sex, site, cp, count(*) AS patients FROM optimal GROUP BY age, sex, site, cp ORDER BY patients DESC LIMIT 5;
SELECT require(k_anonymity(age, sex, site, cp) >= 5, 'the release is not 5-anonymous') AS is_5_anonymous FROM optimal;
COPY optimal TO 'target/recipes/arx_hierarchies.parquet';
