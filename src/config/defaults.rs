//! What holds where nothing was written. `config.toml` says why each number is what it is, and a
//! test holds the two together.

use std::time::Duration;

use super::{
    Acknowledge, Alerting, Audit, Auth, AuthKeys, Console, Covered, Driver, Durability, Events,
    History, Http, Limits, Log, LogFormat, Outgoing, Prometheus, RealTime, Redis, Retention,
    Sessions, Settings, Store, Tls, Traces, WebSocket,
};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Settings {
    /// The default of every setting, with `keys`, which have none.
    pub fn with_keys(keys: AuthKeys) -> Self {
        Self {
            http: http(),
            tls: Tls::default(),
            realtime: realtime(),
            websocket: websocket(),
            sessions: sessions(),
            history: history(),
            store: store(),
            redis: redis(),
            outgoing: outgoing(),
            events: Events {
                queue_events_max: 200_000,
            },
            auth: auth(keys),
            limits: limits(),
            audit: Audit {
                enabled: true,
                file: None,
                required: false,
                retention: seconds(365 * 24 * 3600),
                denied_per_minute: 100,
                alike_per_hour: 60,
            },
            prometheus: Prometheus {
                enabled: true,
                token: None,
            },
            console: Console { enabled: true },
            log: Log {
                filter: "info".to_owned(),
                format: LogFormat::Text,
            },
            traces: Traces {
                endpoint: None,
                ratio: 1.0,
                service_name: "statshub".to_owned(),
                queue_spans_max: 4096,
            },
            metrics: Vec::new(),
            sources: Vec::new(),
            aggregates: Vec::new(),
            alerting: Alerting {
                lives_max: 10_000,
                notifications_max: 1000,
            },
            alerts: Vec::new(),
            webhooks: Vec::new(),
            covered: Covered::default(),
            dev: false,
        }
    }
}

fn http() -> Http {
    Http {
        host: "127.0.0.1".to_owned(),
        port: 3001,
        health_listen: None,
        workers: 0,
        sockets_max: 25_000,
        body_bytes_max: MIB,
        message_bytes_max: 64 * KIB,
        query_bytes_max: 8 * KIB,
        header_timeout: seconds(5),
        body_timeout: seconds(10),
        keep_alive: seconds(75),
        drain_timeout: seconds(10),
        allowed_origins: Vec::new(),
        trusted_proxies: Vec::new(),
    }
}

fn realtime() -> RealTime {
    RealTime {
        enabled: true,
        update_interval: seconds(30),
        heartbeat_interval: seconds(30),
        cleanup_interval: seconds(300),
        buffer_flush_interval: seconds(10),
        sse_retry: seconds(3),
        sse_comment_after: seconds(15),
        reconnect_spread: (Duration::from_millis(500), seconds(5)),
    }
}

fn websocket() -> WebSocket {
    WebSocket {
        enabled: true,
        path: "/api/admin/analytics/websocket".to_owned(),
        ping_interval: seconds(30),
        message_bytes_max: 64 * KIB,
        fragments_max: 128,
        messages_per_second: 50,
        message_burst: 100,
    }
}

fn sessions() -> Sessions {
    Sessions {
        connections_per_user_max: 5,
        connections_max: 20_000,
        backlog_messages_max: 100,
        timeout: seconds(1800),
        away_max: 100_000,
    }
}

fn history() -> History {
    History {
        bytes_max: 64 * MIB,
        user_bytes_max: 8 * MIB,
        user_messages_max: 10_000,
        metrics_max: 10_000,
        metric_idle_timeout: seconds(24 * 3600),
        counted_ids_max: 1_000_000,
    }
}

fn redis() -> Redis {
    Redis {
        url: None,
        ca_file: None,
        prefix: "statshub".into(),
        acknowledge: Acknowledge::Primary,
        replicas: 1,
        timeout: Duration::from_secs(2),
        log_messages_max: 100_000,
        lease: Duration::from_secs(5),
    }
}

fn store() -> Store {
    Store {
        durability: Durability::Process,
        file: "statshub.db".into(),
        url: None,
        key_ttl: seconds(24 * 3600),
        retention: Retention {
            age: seconds(30 * 24 * 3600),
            messages_per_metric_max: 1_000_000,
            file_bytes_max: 4 << 30,
        },
    }
}

fn outgoing() -> Outgoing {
    Outgoing {
        driver: Driver::Auto,
        gzip: true,
        gzip_min_bytes: 128,
        queue_messages_max: 1024,
        queue_bytes_max: MIB,
        stall_timeout: seconds(60),
        notsent_lowat_bytes: 16 * 1024,
        tcp_user_timeout: seconds(30),
        tcp_keepalive: seconds(30),
        worker_backlog_bytes_max: 32 * MIB,
    }
}

fn auth(keys: AuthKeys) -> Auth {
    Auth {
        keys,
        previous_secret_file: None,
        permitted_roles: vec!["platform_admin".to_owned()],
        publisher_roles: vec!["service".to_owned()],
        audiences: Vec::new(),
        issuers: Vec::new(),
        leeway: seconds(5),
        token_ttl_max: None,
        ticket_ttl: seconds(30),
    }
}

fn limits() -> Limits {
    Limits {
        per_ip_per_second: 5000,
        per_ip_burst: 10_000,
        per_user_per_second: 2000,
        per_user_burst: 5000,
        failed_resumes_per_minute: 10,
    }
}
