-- name: server_time
SELECT extract(epoch FROM clock_timestamp())::float8;

-- name: open_budget
INSERT INTO nyx.budget (bandit, name, begins_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING;

-- name: lock_budget
SELECT held, spent FROM nyx.budget WHERE bandit = $1 AND name = $2 AND begins_at = $3 FOR UPDATE;

-- name: budgets
-- The newest window of each budget.
SELECT DISTINCT ON (name) name, begins_at, held, spent FROM nyx.budget WHERE bandit = $1 ORDER BY name, begins_at DESC;

-- name: reservations
SELECT name, begins_at, amount, used FROM nyx.reservation
WHERE bandit = $1 AND decision_id = $2 ORDER BY name, begins_at;

-- name: hold_budget
UPDATE nyx.budget SET held = held + $4 WHERE bandit = $1 AND name = $2 AND begins_at = $3;

-- name: add_reservation
INSERT INTO nyx.reservation (bandit, name, decision_id, begins_at, amount) VALUES ($1, $2, $3, $4, $5);

-- name: spend_budget
UPDATE nyx.budget SET held = held - $4, spent = spent + $5 WHERE bandit = $1 AND name = $2 AND begins_at = $3;

-- name: settle_reservation
UPDATE nyx.reservation SET used = $4 WHERE bandit = $1 AND name = $2 AND decision_id = $3;
