WITH today AS (SELECT unixepoch('now', 'start of day') AS start)
SELECT
    (SELECT sum(amount) FROM credit_transactions) AS "balance",
    (SELECT coalesce(sum(amount), 0) FROM credit_transactions
      WHERE created_at >= today.start AND amount > 0) AS "boughtToday",
    (SELECT coalesce(-sum(amount), 0) FROM credit_transactions
      WHERE created_at >= today.start AND amount < 0) AS "spentToday",
    (SELECT coalesce(-sum(amount), 0) FROM credit_transactions
      WHERE created_at >= unixepoch() - 3600 AND amount < 0) AS "spentLastHour",
    (SELECT json_group_object(type, json_object('count', transactions, 'credits', credits))
       FROM (SELECT type, count(*) AS transactions, abs(sum(amount)) AS credits
               FROM credit_transactions WHERE created_at >= today.start
              GROUP BY type)) AS "byType:json",
    (SELECT json_group_array(json_object('school', name, 'plan', plan_id, 'credits', credits))
       FROM (SELECT schools.name, schools.plan_id, -sum(spent.amount) AS credits
               FROM credit_transactions AS spent
               JOIN schools ON schools.id = spent.school_id
              WHERE spent.created_at >= unixepoch() - 3600 AND spent.amount < 0
              GROUP BY schools.id
              ORDER BY credits DESC, schools.name
              LIMIT 5)) AS "topSpenders:json"
FROM today
