-- Generators compared: how much their rows look like real ones, what a classifier learns from them, how near they come to single
-- training rows, and what they cost. A second sample of real patients stands beside them: what chance does.
-- Run from the repository's root:  cargo run -p lookalike-cli -- -f sql/recipes/compare_generators.sql
CREATE EXTERNAL TABLE patients STORED AS PARQUET LOCATION 'tests/data/heart_disease/patients.parquet';
CREATE VIEW train AS SELECT * FROM patients WHERE md5(CAST(id AS VARCHAR)) < '6';
CREATE VIEW test AS SELECT * FROM patients WHERE md5(CAST(id AS VARCHAR)) BETWEEN '6' AND 'a';
CREATE VIEW fresh AS SELECT * FROM patients WHERE md5(CAST(id AS VARCHAR)) > 'a';

-- One line of each: the model's name and its rows. Iterative models are kept short here; their pages say what they need.
CREATE TABLE independent AS SELECT * FROM synthesize(train, model => 'independent', seed => 1);
CREATE TABLE gaussian_copula AS SELECT * FROM synthesize(train, model => 'gaussian_copula', seed => 1);
CREATE TABLE bayes_net AS SELECT * FROM synthesize(train, model => 'bayes_net', seed => 1);
CREATE TABLE cart AS SELECT * FROM synthesize(train, model => 'cart', seed => 1);
CREATE TABLE arf AS SELECT * FROM synthesize(train, model => 'arf', seed => 1);
CREATE TABLE vae AS SELECT * FROM synthesize(train, model => 'vae', epochs => 100, seed => 1);
CREATE TABLE realnvp AS SELECT * FROM synthesize(train, model => 'realnvp', epochs => 40, seed => 1);

CREATE TABLE quality AS
SELECT 'independent' AS model, * FROM quality_report(train, independent, identifiers => ['id'])
UNION ALL SELECT 'gaussian_copula', * FROM quality_report(train, gaussian_copula, identifiers => ['id'])
UNION ALL SELECT 'bayes_net', * FROM quality_report(train, bayes_net, identifiers => ['id'])
UNION ALL SELECT 'cart', * FROM quality_report(train, cart, identifiers => ['id'])
UNION ALL SELECT 'arf', * FROM quality_report(train, arf, identifiers => ['id'])
UNION ALL SELECT 'vae', * FROM quality_report(train, vae, identifiers => ['id'])
UNION ALL SELECT 'realnvp', * FROM quality_report(train, realnvp, identifiers => ['id'])
UNION ALL SELECT 'fresh patients', * FROM quality_report(train, fresh, identifiers => ['id']);

CREATE TABLE utility AS
SELECT 'independent' AS model, * FROM utility_report(train, test, independent, target => 'exang', identifiers => ['id'])
UNION ALL SELECT 'gaussian_copula', * FROM utility_report(train, test, gaussian_copula, target => 'exang', identifiers => ['id'])
UNION ALL SELECT 'bayes_net', * FROM utility_report(train, test, bayes_net, target => 'exang', identifiers => ['id'])
UNION ALL SELECT 'cart', * FROM utility_report(train, test, cart, target => 'exang', identifiers => ['id'])
UNION ALL SELECT 'arf', * FROM utility_report(train, test, arf, target => 'exang', identifiers => ['id'])
UNION ALL SELECT 'vae', * FROM utility_report(train, test, vae, target => 'exang', identifiers => ['id'])
UNION ALL SELECT 'realnvp', * FROM utility_report(train, test, realnvp, target => 'exang', identifiers => ['id'])
UNION ALL SELECT 'fresh patients', * FROM utility_report(train, test, fresh, target => 'exang', identifiers => ['id']);

CREATE TABLE nearness AS
SELECT 'independent' AS model, dcr(dcr, holdout_dcr) AS d FROM dcr(independent, train, test, identifiers => ['id'])
UNION ALL SELECT 'gaussian_copula', dcr(dcr, holdout_dcr) FROM dcr(gaussian_copula, train, test, identifiers => ['id'])
UNION ALL SELECT 'bayes_net', dcr(dcr, holdout_dcr) FROM dcr(bayes_net, train, test, identifiers => ['id'])
UNION ALL SELECT 'cart', dcr(dcr, holdout_dcr) FROM dcr(cart, train, test, identifiers => ['id'])
UNION ALL SELECT 'arf', dcr(dcr, holdout_dcr) FROM dcr(arf, train, test, identifiers => ['id'])
UNION ALL SELECT 'vae', dcr(dcr, holdout_dcr) FROM dcr(vae, train, test, identifiers => ['id'])
UNION ALL SELECT 'realnvp', dcr(dcr, holdout_dcr) FROM dcr(realnvp, train, test, identifiers => ['id'])
UNION ALL SELECT 'fresh patients', dcr(dcr, holdout_dcr) FROM dcr(fresh, train, test, identifiers => ['id']);

-- Quality and areas are better high; the share of rows nearer to a training row than to any other patient's is best at null_share,
-- which fresh patients have but for chance. Distances are descriptive: PRIVACY_REPORT attacks.
CREATE TABLE comparison AS
SELECT q.model,
       round(max(q.value) FILTER (WHERE q.metric = 'quality_score'), 3) AS quality,
       round(max(q.value) FILTER (WHERE q.metric = 'column_shapes'), 3) AS shapes,
       round(max(q.value) FILTER (WHERE q.metric = 'column_pair_trends'), 3) AS pairs,
       max(u.auc) AS auc_trained_on_synthetic, max(u.auc_real) AS auc_trained_on_real,
       round(max(n.d['share']), 3) AS nearer_to_train, round(max(n.d['null_share']), 3) AS by_chance
FROM quality q
JOIN (SELECT model, round(max(value) FILTER (WHERE trained_on = 'synthetic'), 3) AS auc,
             round(max(value) FILTER (WHERE trained_on = 'train'), 3) AS auc_real
      FROM utility WHERE metric = 'auc' AND learner = 'linear' GROUP BY model) u ON u.model = q.model
JOIN nearness n ON n.model = q.model
GROUP BY q.model;
SELECT * FROM comparison ORDER BY quality DESC;
COPY (SELECT * FROM comparison ORDER BY model) TO 'target/recipes/compare_generators.csv';
