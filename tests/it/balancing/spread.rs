//! Who gets the next stream.

use super::{Site, behind_each, hubs};
use crate::support::token;

#[tokio::test]
async fn streams_are_spread_evenly_however_long_they_live() {
    behind_each(async |kind| {
        let hubs = hubs(3, "").await;
        let site = Site::of(kind, &hubs).await;
        let mut streams = Vec::new();
        let mut sockets = Vec::new();
        for nth in 0..6 {
            let user = token::admin(&format!("user{nth}"));
            let mut stream = site.sse("/stream", &user).await;
            stream.opened().await;
            streams.push(stream);
            let mut socket = site.websocket("", &user).await;
            socket.opened().await;
            sockets.push(socket);
            // Requests in between take no stream's place.
            assert_eq!(site.api(&user).get("/metrics").await.status, 200);
        }
        let mut counts = Vec::new();
        for hub in &hubs {
            let api = hub.api(&token::admin("observer"));
            counts.push(api.sessions("?state=live").await.len());
        }
        assert_eq!(counts, [4, 4, 4], "{kind:?}");
    })
    .await;
}
