//! What the Hub is asked from outside of its connections: publishing, subscriptions, operators.

use actix::{Context, Handler, MessageResult, ResponseFuture};
use futures::future::join_all;

use super::actor::Hub;
use super::fanout::Settle;
use super::follow::Follower;
use super::messages::{
    Alert, ChangeConnection, ChangeUser, Disconnect, Explain, Follow, GetLatest, GetSessions,
    GetStatistics, Newest, Publish, Pulse, Refresh, Remember, Renewed, Test,
};
use super::publishing::remembered;
use crate::domain::hub::RefreshError;
use crate::domain::message::{Json, Priority, Retain, Topic};
use crate::domain::pattern::NameError;
use crate::domain::session::Session;
use crate::domain::time::Now;
use crate::store::Answer;
use crate::wire::message::Publication;

impl Handler<Pulse> for Hub {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: Pulse, _: &mut Context<Self>) -> Self::Result {
        // Each stands in its worker's mailbox from now on.
        let settled = self
            .workers
            .values()
            .map(|worker| worker.fanout.send(Settle));
        let settled = join_all(settled.collect::<Vec<_>>());
        Box::pin(async {
            settled.await;
        })
    }
}

impl Handler<Publish> for Hub {
    type Result = ();

    fn handle(&mut self, wanted: Publish, ctx: &mut Context<Self>) {
        self.pace(ctx);
        let drafts = wanted.drafts.into_iter();
        let publications = drafts.map(|draft| self.complete(draft)).collect();
        self.publish(
            publications,
            wanted.keys,
            None,
            wanted.answer,
            wanted.held,
            ctx,
        );
    }
}

impl Handler<Remember> for Hub {
    type Result = ();

    fn handle(&mut self, wanted: Remember, ctx: &mut Context<Self>) {
        self.pace(ctx);
        let publications = wanted.states.into_iter().map(remembered).collect();
        let Remember { held, answer, .. } = wanted;
        self.publish(publications, Vec::new(), None, answer, held, ctx);
    }
}

impl Handler<Follow> for Hub {
    type Result = MessageResult<Follow>;

    fn handle(&mut self, wanted: Follow, _: &mut Context<Self>) -> Self::Result {
        let Follow { wants, waiting_max } = wanted;
        let kept = self.state.history().kept(&wants);
        let (follower, following) = Follower::new(wants, waiting_max, kept);
        self.followers.retain(Follower::is_there);
        self.followers.push(follower);
        MessageResult(following)
    }
}

impl Handler<Alert> for Hub {
    type Result = ();

    fn handle(&mut self, wanted: Alert, ctx: &mut Context<Self>) {
        self.pace(ctx);
        let Alert {
            data,
            write,
            keys,
            answer,
        } = wanted;
        let alert = Publication {
            topic: Topic::Alerts,
            data,
            priority: Priority::Critical,
            retain: Retain::All,
        };
        self.publish(vec![alert], keys, Some(write), answer, None, ctx);
    }
}

impl Handler<Test> for Hub {
    type Result = usize;

    fn handle(&mut self, test: Test, ctx: &mut Context<Self>) -> Self::Result {
        self.pace(ctx);
        let topic = Topic::Test(test.user, test.transport);
        let connections = test
            .connections
            .unwrap_or_else(|| self.state.audience(&topic));
        if connections > 0 {
            let data = test_data(self.clock.now());
            let test = Publication {
                topic,
                data,
                priority: Priority::Low,
                retain: Retain::All,
            };
            // Whoever asked sees on the connections whether it came.
            self.publish(vec![test], Vec::new(), None, Answer::unheard(), None, ctx);
        }
        connections
    }
}

fn test_data(now: Now) -> Json {
    let millis = i64::try_from(now.wall_ms).unwrap_or(i64::MAX);
    let timestamp = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    let data = serde_json::json!({
        "message": "Test message",
        "timestamp": format!("{timestamp:.3}"),
    });
    Json::trusted(data.to_string())
}

impl Handler<ChangeConnection> for Hub {
    type Result = Result<(), NameError>;

    fn handle(&mut self, wanted: ChangeConnection, ctx: &mut Context<Self>) -> Self::Result {
        self.pace(ctx);
        let ChangeConnection {
            key,
            change,
            selectors,
        } = wanted;
        self.with(|state, _, outlets| state.change_connection(key, change, &selectors, outlets))
    }
}

impl Handler<ChangeUser> for Hub {
    type Result = Result<usize, NameError>;

    fn handle(&mut self, wanted: ChangeUser, ctx: &mut Context<Self>) -> Self::Result {
        self.pace(ctx);
        let ChangeUser {
            user,
            only,
            change,
            selectors,
        } = wanted;
        self.with(|state, _, outlets| state.change_user(&user, only, change, &selectors, outlets))
    }
}

impl Handler<Refresh> for Hub {
    type Result = Result<u64, RefreshError>;

    fn handle(&mut self, Refresh { of, identity }: Refresh, _: &mut Context<Self>) -> Self::Result {
        self.with(|state, _, outlets| {
            let token = match of {
                Renewed::Session(token) => Some(token),
                Renewed::Connection(key) => state.session_of(key).map(|session| session.token),
            };
            let unknown = RefreshError::UnknownSession;
            state.refresh(token.ok_or(unknown)?, identity, outlets)
        })
    }
}

impl Handler<Disconnect> for Hub {
    type Result = MessageResult<Disconnect>;

    fn handle(&mut self, Disconnect(chosen): Disconnect, _: &mut Context<Self>) -> Self::Result {
        let picks = |session: &Session| chosen.picks(session);
        MessageResult(self.with(|state, _, outlets| state.disconnect(picks, outlets)))
    }
}

impl Handler<GetStatistics> for Hub {
    type Result = MessageResult<GetStatistics>;

    fn handle(&mut self, _: GetStatistics, ctx: &mut Context<Self>) -> Self::Result {
        self.pace(ctx);
        MessageResult(self.state.statistics())
    }
}

impl Handler<GetSessions> for Hub {
    type Result = MessageResult<GetSessions>;

    fn handle(&mut self, wanted: GetSessions, ctx: &mut Context<Self>) -> Self::Result {
        self.pace(ctx);
        let GetSessions {
            filter,
            offset,
            limit,
        } = wanted;
        MessageResult(self.state.sessions(&filter, offset, limit))
    }
}

impl Handler<Explain> for Hub {
    type Result = MessageResult<Explain>;

    fn handle(&mut self, Explain { id, user }: Explain, ctx: &mut Context<Self>) -> Self::Result {
        self.pace(ctx);
        MessageResult(self.state.explain(id, &user))
    }
}

impl Handler<GetLatest> for Hub {
    type Result = MessageResult<GetLatest>;

    fn handle(&mut self, GetLatest(user): GetLatest, ctx: &mut Context<Self>) -> Self::Result {
        self.pace(ctx);
        let newest = |(metric, message)| Newest {
            is_stale: self.state.is_stale(&metric),
            metric,
            message,
        };
        MessageResult(
            self.state
                .latest_for(&user)
                .into_iter()
                .map(newest)
                .collect(),
        )
    }
}
