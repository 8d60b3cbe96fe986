-- name: log_window
SELECT b.last_seq, b.base_seq,
       (SELECT md5(l::text) FROM nyx.log l WHERE l.bandit = b.bandit AND l.seq = $2) AS mark
FROM nyx.bandit b WHERE b.bandit = $1;
