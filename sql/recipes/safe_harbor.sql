-- A release in the style of HIPAA's Safe Harbor (45 CFR 164.514(b)(2)): direct identifiers out, dates as years, ages of 90 and more
-- together, ZIP codes as their first three digits where enough people live there. Then what Safe Harbor does not measure: whom
-- a register singles out all the same, and the generalisation that stops it.
-- Run from the repository's root:  cargo run -p lookalike-cli -- -f sql/recipes/safe_harbor.sql

-- 1. Patients with made-up identities over the 2,694 people of the OMOP sample. Put your own table here.
CREATE EXTERNAL TABLE person STORED AS PARQUET LOCATION 'tests/data/omop/person.parquet';
CREATE VIEW patients AS
SELECT CAST(person_id AS VARCHAR) AS id, CAST(birth_datetime AS DATE) AS birthdate,
       concat('999-', lpad(CAST(person_id % 89 + 10 AS VARCHAR), 2, '0'), '-', lpad(CAST(person_id * 7 % 9000 + 1000 AS VARCHAR), 4, '0')) AS ssn,
       concat('Given', person_id % 211) AS first, concat('Family', person_id % 977) AS last,
       concat(person_id % 300 + 1, ' Main Street') AS address, gender_source_value AS gender, race_source_value AS race,
       CASE WHEN person_id % 10 < 7 THEN concat('021', lpad(CAST(person_id % 40 AS VARCHAR), 2, '0'))
            WHEN person_id % 10 < 9 THEN concat('018', lpad(CAST(person_id % 20 AS VARCHAR), 2, '0')) ELSE '03601' END AS zip
FROM person;
-- Inhabitants of each three-digit ZIP area, from the census.
CREATE VIEW zip3_population AS SELECT * FROM (VALUES ('021', 900000), ('018', 310000), ('036', 11000)) AS t(zip3, inhabitants);

-- 2. The key that pseudonyms depend on: from a vault, never in a script. It appears in no plan and no error.
SET lookalike.pseudonym_key = 'replace me by 32 random bytes';

-- 3. Safe Harbor. A fixed day makes ages reproducible.
CREATE VIEW aged AS
SELECT *, CAST(floor((DATE '2026-01-01' - birthdate) / 365.2425) AS INT) AS age FROM patients;
CREATE TABLE safe_harbor AS
SELECT pseudonym(id, 'release 2026') AS code, least(age, 90) AS age,
       CASE WHEN age < 90 THEN CAST(date_part('year', birthdate) AS INT) END AS birth_year,
       gender, race, CASE WHEN inhabitants > 20000 THEN generalize(zip, 'prefix(3)', 1) ELSE '000' END AS zip3
FROM aged LEFT JOIN zip3_population ON zip3 = substr(zip, 1, 3);
SELECT * FROM safe_harbor ORDER BY code LIMIT 3;

-- 4. What a register of names with the same facts makes of it (Sweeney's linkage of the Massachusetts governor).
CREATE VIEW register AS
SELECT pseudonym(id, 'release 2026') AS code, first, last, least(age, 90) AS age, gender, race,
       CASE WHEN inhabitants > 20000 THEN substr(zip, 1, 3) ELSE '000' END AS zip3
FROM aged LEFT JOIN zip3_population ON zip3 = substr(zip, 1, 3);
SELECT released, singled_out, round(singled_out_share, 3) AS share, correct
FROM linkage_attack(safe_harbor, register, on => ['age', 'gender', 'race', 'zip3'], privacy_unit => 'code');

-- 5. The same facts generalised until eleven people share each combination: nobody is singled out.
CREATE TABLE release AS
SELECT * FROM k_anonymize((SELECT * EXCEPT (birth_year) FROM safe_harbor), k => 11,
                          quasi_identifiers => ['age', 'gender', 'race', 'zip3']);
SELECT released, singled_out, round(max_risk, 4) AS max_risk
FROM linkage_attack(release, register, on => ['age', 'gender', 'race', 'zip3'], privacy_unit => 'code');

-- 6. The gate, and only then the file.
SELECT require(k_anonymity(age, gender, race, zip3) >= 11, 'the release is not 11-anonymous') AS is_11_anonymous FROM release;
COPY release TO 'target/recipes/safe_harbor.parquet';
