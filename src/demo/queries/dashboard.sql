WITH today AS (SELECT unixepoch('now', 'start of day') AS start)
SELECT
    (SELECT count(*) FROM users) AS "totalUsers",
    (SELECT count(*) FROM schools) AS "totalSchools",
    (SELECT count(DISTINCT user_id) FROM chat_sessions WHERE ended_at IS NULL) AS "activeUsers",
    (SELECT count(*) FROM chat_sessions WHERE ended_at IS NULL) AS "activeSessions",
    (SELECT count(*) FROM chat_sessions WHERE started_at >= today.start) AS "sessionsToday",
    (SELECT count(*) FROM users WHERE created_at >= today.start) AS "signUpsToday",
    (SELECT coalesce(-sum(amount), 0) FROM credit_transactions
      WHERE created_at >= today.start AND amount < 0) AS "creditsSpentToday",
    (SELECT coalesce(sum(plans.pack_cents), 0) / 100.0
       FROM credit_transactions AS bought
       JOIN schools ON schools.id = bought.school_id
       JOIN plans ON plans.id = schools.plan_id
      WHERE bought.created_at >= today.start AND bought.type = 'purchase') AS "revenueToday",
    (SELECT json_group_array(json_object('school', name, 'sessions', sessions, 'students', students))
       FROM (SELECT schools.name, count(*) AS sessions, count(DISTINCT users.id) AS students
               FROM chat_sessions
               JOIN users ON users.id = chat_sessions.user_id
               JOIN schools ON schools.id = users.school_id
              WHERE chat_sessions.started_at >= unixepoch() - 3600
              GROUP BY schools.id
              ORDER BY sessions DESC, schools.name
              LIMIT 5)) AS "topSchools:json"
FROM today
