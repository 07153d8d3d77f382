WITH today AS (SELECT unixepoch('now', 'start of day') AS start)
SELECT
    (SELECT count(*) FROM content) AS "total",
    (SELECT count(*) FROM content WHERE created_at >= today.start) AS "createdToday",
    (SELECT json_group_object(type, items)
       FROM (SELECT type, count(*) AS items FROM content GROUP BY type)) AS "byType:json",
    (SELECT json_group_object(subject, items)
       FROM (SELECT subject, count(*) AS items FROM content GROUP BY subject)) AS "bySubject:json",
    (SELECT json_group_array(json_object('id', id, 'type', type, 'subject', subject, 'uses', uses))
       FROM (SELECT content.id, content.type, content.subject, count(*) AS uses
               FROM chat_sessions JOIN content ON content.id = chat_sessions.content_id
              WHERE chat_sessions.started_at >= unixepoch() - 3600
              GROUP BY content.id
              ORDER BY uses DESC, content.id
              LIMIT 5)) AS "mostUsed:json"
FROM today
