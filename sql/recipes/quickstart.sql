-- The whole job on real data: build a cohort, synthesise it, anonymise it, attack the result, gate, write Parquet.
-- Run from the repository's root:  cargo run -p lookalike-cli -- -f sql/recipes/quickstart.sql
-- In object storage: the same script with the LOCATIONs and COPY targets changed to s3:// URLs.

-- The CDISC pilot trial (306 people, real structure of a submitted trial) and 2,694 synthetic people in OMOP form.
CREATE EXTERNAL TABLE subjects STORED AS PARQUET LOCATION 'tests/data/cdisc_pilot/subjects.parquet';
CREATE EXTERNAL TABLE events STORED AS PARQUET LOCATION 'tests/data/cdisc_pilot/events.parquet';
CREATE EXTERNAL TABLE person STORED AS PARQUET LOCATION 'tests/data/omop/person.parquet';
CREATE EXTERNAL TABLE conditions STORED AS PARQUET LOCATION 'tests/data/omop/conditions.parquet';

-- 1. Cohorts: one row a person. Vital signs are those of the screening visit.
CREATE VIEW trial AS
SELECT s.subject_id, s.site_id, s.age, s.sex, s.race, s.arm, s.ref_start_date,
       v.systolic, v.diastolic, v.pulse, v.weight
FROM subjects s
JOIN (SELECT subject_id,
             round(avg(value) FILTER (WHERE variable = 'SYSBP')) AS systolic,
             round(avg(value) FILTER (WHERE variable = 'DIABP')) AS diastolic,
             round(avg(value) FILTER (WHERE variable = 'PULSE')) AS pulse,
             round(avg(value) FILTER (WHERE variable = 'WEIGHT'), 1) AS weight
      FROM events WHERE visit_num = 1 GROUP BY subject_id) v ON v.subject_id = s.subject_id;

CREATE VIEW people AS
SELECT p.person_id, p.gender_source_value AS sex, p.race_source_value AS race, p.birth_datetime AS born,
       count(c.code) AS conditions, count(DISTINCT c.code) AS distinct_conditions
FROM person p LEFT JOIN conditions c ON c.record_id = p.person_id
GROUP BY p.person_id, p.gender_source_value, p.race_source_value, p.birth_datetime;

-- 2. Who trains and who is held out is decided by a hash of the person, so that it never changes between runs.
CREATE VIEW trial_train AS SELECT * FROM trial WHERE md5(subject_id) < 'b';
CREATE VIEW trial_holdout AS SELECT * FROM trial WHERE md5(subject_id) >= 'b';
CREATE VIEW people_train AS SELECT * FROM people WHERE md5(CAST(person_id AS VARCHAR)) < '8';
CREATE VIEW people_holdout AS SELECT * FROM people WHERE md5(CAST(person_id AS VARCHAR)) >= '8';

-- 3. Synthesise. Identifiers are recognised and replaced by fresh ones; rare categories never leave.
CREATE TABLE trial_synthetic AS SELECT * FROM synthesize(trial_train, rows => 300, seed => 42);
CREATE TABLE people_synthetic AS SELECT * FROM synthesize(people_train, rows => 2694, seed => 42);
SELECT * FROM trial_synthetic LIMIT 5;

-- 4. Anonymise the real trial instead: every combination of age, sex, race and site is shared by at least five people.
CREATE TABLE trial_anonymous AS
SELECT * FROM k_anonymize(trial, k => 5, quasi_identifiers => ['age', 'sex', 'race', 'site_id'],
                          identifiers => ['subject_id']);
SELECT k_anonymity(age, sex, race, site_id) AS k, count(*) AS rows FROM trial_anonymous;

-- 5. Attack. Distances to the training records beside those to people the generator never saw.
CREATE TABLE people_dcr AS
SELECT dcr(dcr, holdout_dcr, train_rows, holdout_rows) AS figures
FROM dcr(people_synthetic, people_train, people_holdout);
SELECT figures['rows'] AS rows, round(figures['median'], 4) AS median, round(figures['holdout_median'], 4) AS holdout_median,
       figures['identical_share'] AS identical_share, figures['holdout_identical_share'] AS holdout_identical_share,
       round(figures['share'], 3) AS share, round(figures['null_share'], 3) AS null_share
FROM people_dcr;

-- Membership inference: can an attacker tell who was in the training data?
CREATE TABLE people_mia AS
SELECT attack, mia_score(score, is_member) AS figures
FROM mia_score(people_train, people_holdout, people_synthetic, seed => 7) GROUP BY attack;
SELECT attack, figures['members'] AS members, figures['non_members'] AS non_members, round(figures['auc'], 3) AS auc,
       round(figures['auc_lo'], 3) AS auc_lo, round(figures['auc_hi'], 3) AS auc_hi,
       round(figures['tpr_at_fpr_10'], 3) AS tpr_at_fpr_10, round(figures['epsilon_lower'], 3) AS epsilon_lower
FROM people_mia ORDER BY attack;

-- 6. The gate: the script stops here, with exit code 1, when a figure is out of bounds.
SELECT require(figures['identical_share'] = 0, 'synthetic rows copy training rows') AS no_copies FROM people_dcr;
SELECT attack, require(figures['auc_lo'] <= 0.55, 'an attack tells members from non-members') AS attack_fails
FROM people_mia ORDER BY attack;
SELECT require(k_anonymity(age, sex, race, site_id) >= 5, 'the release is not 5-anonymous') AS is_5_anonymous
FROM trial_anonymous;

-- 7. Only now does anything leave.
COPY trial_synthetic TO 'target/quickstart/trial_synthetic.parquet';
COPY trial_anonymous TO 'target/quickstart/trial_anonymous.parquet';
COPY people_synthetic TO 'target/quickstart/people_synthetic.parquet';
