//! What mends a fault, in the words of each proxy's configuration. Complete files, which the tests run, are
//! in `examples/`. Where a proxy cannot do what is wanted it is said.

use std::borrow::Cow;

use serde::Serialize;

/// Lines of configuration for one fault.
#[derive(Debug, Clone, Serialize)]
pub struct Recipe {
    /// The hub's own settings, where they are what is wrong, or may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hub: Option<Cow<'static, str>>,
    pub nginx: &'static str,
    pub haproxy: &'static str,
    pub caddy: &'static str,
    pub aws_alb: &'static str,
    pub cloudflare: &'static str,
}

impl Recipe {
    /// Whose they are, and the lines.
    pub fn parts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let hub = self.hub.as_deref().map(|hub| ("hub", hub));
        hub.into_iter().chain([
            ("nginx", self.nginx),
            ("HAProxy", self.haproxy),
            ("Caddy", self.caddy),
            ("AWS ALB", self.aws_alb),
            ("Cloudflare", self.cloudflare),
        ])
    }

    pub fn and_hub(self, lines: impl Into<Cow<'static, str>>) -> Self {
        let hub = Some(lines.into());
        Self { hub, ..self }
    }
}

/// Events come late, or in heaps.
pub const BUFFERING: Recipe = Recipe {
    hub: None,
    nginx: "proxy_buffering off;   # and no proxy_ignore_headers X-Accel-Buffering\nproxy_http_version 1.1;",
    haproxy: "option http-no-delay   # and no http-response wait-for-body",
    caddy: "event streams are passed on at once: take out response_buffers (before 2.6.3 buffer_responses)",
    aws_alb: "does not buffer for instance and IP targets; a Lambda target cannot stream",
    cloudflare: "does not buffer unless told to: Response Buffering off; a Worker must pass response.body on unread",
};

/// The stream was compressed on its way.
pub const COMPRESSION: Recipe = Recipe {
    hub: None,
    nginx: "gzip off;   # or take text/event-stream, or *, out of gzip_types; likewise brotli",
    haproxy: "compression type application/json text/html   # without text/event-stream",
    caddy: "encode { match header Content-Type application/json* }   # the default, text/*, has event streams in it",
    aws_alb: "does not compress; CloudFront before it: Compress: false for this path",
    cloudflare: "Compression Rule for /api/admin/analytics/*: disable compression",
};

/// An answer came from a cache.
pub const CACHE: Recipe = Recipe {
    hub: None,
    nginx: "proxy_cache off;   # for this location, and no proxy_ignore_headers Cache-Control",
    haproxy: "no http-request cache-use for this path",
    caddy: "has no cache of its own: take the plugin's directive off this path",
    aws_alb: "does not cache; CloudFront before it: the managed policy CachingDisabled for this path",
    cloudflare: "Cache Rule for /api/*: bypass cache",
};

/// A quiet stream was cut.
pub const IDLE: Recipe = Recipe {
    hub: None,
    nginx: "proxy_read_timeout 90s;\nproxy_send_timeout 90s;",
    haproxy: "timeout client 90s\ntimeout server 90s\ntimeout tunnel 90s",
    caddy: "transport http { read_timeout 90s }   # or none; and no write timeout in servers { timeouts }",
    aws_alb: "aws elbv2 modify-load-balancer-attributes --load-balancer-arn ARN --attributes Key=idle_timeout.timeout_seconds,Value=90",
    cloudflare: "some 100 s of silence, fixed below Enterprise: what is cut earlier is cut elsewhere",
};

/// The upgrade to a WebSocket did not get through.
pub const UPGRADE: Recipe = Recipe {
    hub: None,
    nginx: "proxy_http_version 1.1;\nproxy_set_header Upgrade $http_upgrade;\nproxy_set_header Connection $connection_upgrade;   # the map is in examples/nginx",
    haproxy: "passes it on by itself, over HTTP/1.1 to the hub: no proto h2 in the server line, no http-request del-header Upgrade",
    caddy: "passes it on by itself: versions 1.1 in transport http, no header_up -Upgrade",
    aws_alb: "passes it on by itself where the target group's protocol version is HTTP1; HTTP2 and gRPC cannot",
    cloudflare: "Network: WebSockets on",
};

/// The token in `Sec-WebSocket-Protocol` did not get through.
pub const PROTOCOL_HEADER: Recipe = Recipe {
    hub: None,
    nginx: "take out proxy_set_header Sec-WebSocket-Protocol, and proxy_hide_header of it",
    haproxy: "take out http-request del-header Sec-WebSocket-Protocol, and http-response of it",
    caddy: "take out header_up -Sec-WebSocket-Protocol, and header_down of it",
    aws_alb: "passes it on; a WAF rule may refuse it",
    cloudflare: "take out the Transform Rule, or the WAF rule, that concerns it",
};

/// `Last-Event-ID` did not get through. Until it does, `lastEventId` in the query says the same.
pub const LAST_EVENT_ID: Recipe = Recipe {
    hub: None,
    nginx: "proxy_set_header Last-Event-ID $http_last_event_id;   # and proxy_pass_request_headers on",
    haproxy: "take out http-request del-header Last-Event-ID",
    caddy: "take out header_up -Last-Event-ID",
    aws_alb: "passes it on; CloudFront before it: the managed origin request policy AllViewer",
    cloudflare: "passes it on: take out the Transform Rule that removes it",
};

/// The hub sees another `Host` than the browser asked for, so its own pages look foreign.
pub const HOST: Recipe = Recipe {
    hub: None,
    nginx: "proxy_set_header Host $http_host;",
    haproxy: "passes it on: take out http-request set-header Host",
    caddy: "passes it on: take out header_up Host",
    aws_alb: "aws elbv2 modify-load-balancer-attributes --load-balancer-arn ARN --attributes Key=routing.http.preserve_host_header.enabled,Value=true",
    cloudflare: "passes it on: take out the Origin Rule that overrides Host",
};

/// Cookies did not get through.
pub const COOKIE: Recipe = Recipe {
    hub: None,
    nginx: "take out proxy_set_header Cookie",
    haproxy: "take out http-request del-header Cookie",
    caddy: "take out header_up -Cookie",
    aws_alb: "passes them on; CloudFront before it: the managed origin request policy AllViewer",
    cloudflare: "take out the Transform Rule that removes them",
};

/// Who answers browsers about other origins is the hub, and only the hub.
pub const CORS: Recipe = Recipe {
    hub: None,
    nginx: "take out add_header Access-Control-*, and what answers OPTIONS itself",
    haproxy: "take out http-response set-header and add-header of Access-Control-*, and http-request return for OPTIONS",
    caddy: "take out header Access-Control-*, and respond for OPTIONS",
    aws_alb: "take out routing.http.response.access_control_* of the listener",
    cloudflare: "take out the Transform Rule that sets Access-Control-*",
};

/// A large request head was refused.
pub const HEAD: Recipe = Recipe {
    hub: None,
    nginx: "large_client_header_buffers 4 16k;",
    haproxy: "tune.bufsize 32768   # in global",
    caddy: "servers { max_header_size 64KB }   # in the global options; the default, 1 MB, is enough",
    aws_alb: "16 KB a line and 64 KB in all, which is enough and cannot be changed; a WAF rule may be stricter",
    cloudflare: "is enough and cannot be changed; a WAF rule may be stricter",
};

/// Browsers are not offered HTTP/2.
pub const HTTP2: Recipe = Recipe {
    hub: Some(Cow::Borrowed(
        "# where it ends TLS itself: cargo build --release --features http2, or a proxy before it",
    )),
    nginx: "http2 on;   # before 1.25.1: listen 443 ssl http2;",
    haproxy: "bind :443 ssl crt /etc/haproxy/tls.pem alpn h2,http/1.1",
    caddy: "speaks it by itself with TLS: no protocols in servers that leaves h2 out",
    aws_alb: "aws elbv2 modify-load-balancer-attributes --load-balancer-arn ARN --attributes Key=routing.http2.enabled,Value=true",
    cloudflare: "Speed, Protocol: HTTP/2 on",
};

/// The way is not encrypted.
pub const TLS: Recipe = Recipe {
    hub: None,
    nginx: "listen 443 ssl;\nssl_certificate /etc/nginx/tls/fullchain.pem;\nssl_certificate_key /etc/nginx/tls/privkey.pem;",
    haproxy: "bind :443 ssl crt /etc/haproxy/tls.pem alpn h2,http/1.1",
    caddy: "stats.example.org {   # a name in the place of http://:8080: it gets a certificate by itself",
    aws_alb: "an HTTPS listener with a certificate of ACM",
    cloudflare: "SSL/TLS: Full (strict), and Always Use HTTPS",
};

/// Nothing at all, or nothing of the hub's, came back.
pub const NO_HUB: Recipe = Recipe {
    hub: Some(Cow::Borrowed(
        "statshub health   # on its own machine: is it there?",
    )),
    nginx: "proxy_pass http://hub:3001;   # without a path, so that none is cut off",
    haproxy: "server hub1 hub:3001   # and no http-request set-path",
    caddy: "reverse_proxy hub:3001   # handle and not handle_path, which cuts the path",
    aws_alb: "a target group with port 3001, health check path /health/ready",
    cloudflare: "an error 52x says that the origin does not answer: its address, its firewall",
};

pub const UNTRUSTED: Recipe = Recipe {
    hub: Some(Cow::Borrowed(
        "SSL_CERT_FILE=authority.pem statshub doctor --url https://NAME   # NAME as in the certificate",
    )),
    nginx: "ssl_certificate fullchain.pem;   # with the certificates in between",
    haproxy: "bind :443 ssl crt fullchain-and-key.pem   # with the certificates in between",
    caddy: "hub.example.org {   # by its name: it fetches a certificate itself",
    aws_alb: "a certificate of ACM for that name on the HTTPS listener",
    cloudflare: "SSL/TLS, Edge Certificates: one that covers that name",
};
