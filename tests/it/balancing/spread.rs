//! Who gets the next stream.

use std::collections::BTreeSet;

use serde_json::json;

use super::{Site, behind_each, hubs, node};
use crate::support::either::{Client, Transport};
use crate::support::hub::Hub;
use crate::support::message::text;
use crate::support::token;

/// The connections that are open at `hub`.
async fn live(hub: &Hub) -> BTreeSet<String> {
    let node = node(hub).await;
    let api = hub.api(&token::admin("observer"));
    let sessions = api.sessions("?state=live").await;
    let here = sessions.iter().filter(|it| it["node"] == *node);
    here.map(|it| text(&it["connectionId"]).to_owned())
        .collect()
}

/// One of `user`, and its connection's id.
async fn open(site: &Site, transport: Transport, user: &str) -> (String, Client) {
    let token = token::admin(user);
    let mut client = match transport {
        Transport::Sse => Client::Sse(Box::new(site.sse("/stream", &token).await)),
        Transport::WebSocket => Client::WebSocket(Box::new(site.websocket("", &token).await)),
    };
    let notice = client.opened().await;
    (text(&notice["data"]["connectionId"]).to_owned(), client)
}

#[tokio::test]
async fn streams_go_where_the_fewest_are() {
    behind_each(async |kind| {
        let hubs = hubs(3, "").await;
        let site = Site::of(kind, &hubs).await;
        let mut clients = Vec::new();
        for nth in 0..6 {
            let user = format!("user{nth}");
            for transport in Transport::BOTH {
                clients.push(open(&site, transport, &user).await);
            }
            // Requests in between take no stream's place.
            let api = site.api(&token::admin(&user));
            assert_eq!(api.get("/metrics").await.status, 200);
        }
        for hub in hubs.iter() {
            assert_eq!(live(hub).await.len(), 4, "{kind:?}");
        }
        // All of one hub's end, and the proxy has seen it when their clients have.
        let ended = live(&hubs[0]).await;
        let api = hubs[0].api(&token::admin("observer"));
        for id in &ended {
            let answer = api.post("/disconnect", &json!({"connectionId": id})).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        let mut open_ones = Vec::new();
        for (id, client) in clients {
            match ended.contains(&id) {
                true => drop(client.rest().await),
                false => open_ones.push(client),
            }
        }
        let mut again = Vec::new();
        for nth in 0..4 {
            let user = format!("other{nth}");
            again.push(open(&site, Transport::BOTH[nth % 2], &user).await);
        }
        // In turn it would be one or two. One may have come before the last end was counted.
        assert!(live(&hubs[0]).await.len() >= 3, "{kind:?}");
    })
    .await;
}
