WITH today AS (SELECT unixepoch('now', 'start of day') AS start)
SELECT
    (SELECT count(*) FROM users) AS "total",
    (SELECT count(DISTINCT user_id) FROM chat_sessions WHERE ended_at IS NULL) AS "activeNow",
    (SELECT count(DISTINCT user_id) FROM chat_sessions WHERE started_at >= today.start) AS "activeToday",
    (SELECT count(*) FROM users WHERE created_at >= today.start) AS "newToday",
    (SELECT count(*) FROM users WHERE created_at >= unixepoch() - 3600) AS "newLastHour",
    (SELECT json_group_object(role, users)
       FROM (SELECT role, count(*) AS users FROM users GROUP BY role)) AS "byRole:json",
    (SELECT json_group_object(plan_id, users)
       FROM (SELECT schools.plan_id, count(*) AS users
               FROM users JOIN schools ON schools.id = users.school_id
              GROUP BY schools.plan_id)) AS "byPlan:json"
FROM today
