//! Who is asking, and whether they may: the door of every endpoint that is not open to all.
//!
//! A client is told tersely what is wrong with its credential, as RFC 6750 says; the exact reason
//! goes to the log, a few a minute, and the audit trail gets every refusal.

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures::future::LocalBoxFuture;
use jiff::Timestamp;

use super::reply::Problem;
use super::state::State;
use super::{client, origin};
use crate::auth::{
    self, Access, Credential, Endpoint, Refusal, Source, TakenTicket, TicketHash, credential,
    www_authenticate,
};
use crate::domain::message::UserId;
use crate::domain::session::Identity;
use crate::telemetry::audit::{Action, Event, Outcome};
use crate::telemetry::counters::Counter;
use crate::trace;
use crate::transport::tls::Shown;

/// When to ask again where there are no keys yet to judge tokens by.
const KEYS_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Why somebody may not publish whose token would do.
pub const CERTIFICATE_MISSING: &str =
    "Publishing takes a client certificate here, besides the token";
/// The same, where there is one that was good when its connection began.
pub const CERTIFICATE_OUTDATED: &str = "The client certificate of this connection is no longer taken here; connect again, with another";

/// Somebody whose credential was found good, and where they are.
#[derive(Debug, Clone)]
pub struct Caller {
    pub identity: Arc<Identity>,
    pub remote: IpAddr,
    pub request_id: Arc<str>,
    pub trace: trace::Context,
    /// Whose certificate the connection has shown, where publishers have any.
    pub certificate: Option<Arc<str>>,
}

impl Caller {
    fn new(req: &HttpRequest, identity: Identity) -> Self {
        Self {
            identity: identity.into(),
            remote: client::remote(req),
            request_id: client::request_id(req),
            trace: client::trace(req),
            certificate: req.conn_data::<Shown>().map(|it| it.subject().clone()),
        }
    }

    pub fn user(&self) -> &UserId {
        &self.identity.user
    }

    /// An event by them that went well; fill in the rest with `..caller.event(action)`.
    pub fn event(&self, action: Action) -> Event {
        Event {
            actor: Some(self.identity.user.clone()),
            role: Some(self.identity.role.to_string()),
            remote: Some(self.remote.to_string()),
            request_id: Some(self.request_id.to_string()),
            ..Event::new(action, Timestamp::now())
        }
    }
}

/// The outcome of what was done, for the audit trail.
pub fn outcome<T>(done: &Result<T, Problem>) -> Outcome {
    match done {
        Ok(_) => Outcome::Ok,
        Err(problem) => Outcome::Refused(problem.code().as_str()),
    }
}

/// Extractor: a caller who may use everything.
///
/// # Errors
/// 401, 403, 429, or 503 while there are no keys.
pub struct Admin(pub Caller);

/// Extractor: a caller who may publish at least. The errors are those of [`Admin`].
pub struct Publisher(pub Caller);

impl FromRequest for Admin {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move { plain_access(&req, Right::Everything).await.map(Self) })
    }
}

impl FromRequest for Publisher {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        let req = req.clone();
        Box::pin(async move {
            let caller = plain_access(&req, Right::Publish).await?;
            check_certificate(&req, &caller)?;
            Ok(Self(caller))
        })
    }
}

/// Where publishers have certificates, a token alone is not enough.
fn check_certificate(req: &HttpRequest, caller: &Caller) -> Result<(), Problem> {
    let state = State::of(req)?;
    if state.settings.load().tls.publisher_ca_file.is_none() {
        return Ok(());
    }
    let text = match req.conn_data::<Shown>().map(Shown::is_good) {
        Some(true) => return Ok(()),
        Some(false) => CERTIFICATE_OUTDATED,
        None => CERTIFICATE_MISSING,
    };
    Err(forbidden(req, state, caller, text))
}

/// By what right somebody asks for a stream.
#[derive(Debug, Clone)]
pub enum StreamCaller {
    Token(Caller),
    /// Put the ticket back if the stream is refused.
    Ticket(TakenTicket, Caller),
    /// A ticket nobody waits for with any more. The hub may know a session that it opened.
    SpentTicket(TicketHash),
}

/// Whether a stream may be asked for.
///
/// # Errors
/// As for [`Admin`]; but a caller above its rate is made to wait a while first.
pub async fn stream_access(
    req: &HttpRequest,
    state: &State,
    endpoint: Endpoint,
) -> Result<StreamCaller, Problem> {
    let Credential::Ticket(ticket) = credential(req, state, endpoint)? else {
        let caller = judged(req, state, endpoint, Right::Everything).await?;
        wait_for_turn(state, &caller).await?;
        return Ok(StreamCaller::Token(caller));
    };
    let Some(taken) = state.take_ticket(&ticket).await? else {
        return Ok(StreamCaller::SpentTicket(TicketHash::of(&ticket)));
    };
    let caller = permitted(req, state, taken.identity.clone(), Right::Everything)?;
    match wait_for_turn(state, &caller).await {
        Ok(()) => Ok(StreamCaller::Ticket(taken, caller)),
        Err(problem) => {
            state.put_back_ticket(taken).await;
            Err(problem)
        }
    }
}

/// Whether an open endpoint is asked by somebody who may see more there. A bad credential counts as
/// none: nothing is refused, so nothing is recorded either.
pub(super) async fn is_admin(req: &HttpRequest, state: &State) -> bool {
    let Some(Credential::Jwt { text, source }) = credential::find(req, Endpoint::Plain) else {
        return false;
    };
    let origins = &state.settings.load_full().http.allowed_origins;
    if source == Source::Cookie && origin::check(req, origins).is_err() {
        return false;
    }
    let verified = state.authenticator.verify(&text, state.now_ms()).await;
    verified.is_ok_and(|identity| state.authenticator.access(&identity) == Access::Admin)
}

/// 401 for a credential that is not good, counted and recorded. `reason` goes to the log and must
/// not repeat the credential.
pub fn unauthenticated(req: &HttpRequest, state: &State, reason: impl Display) -> Problem {
    refuse_credential(req, state, auth::Problem::Invalid, reason)
}

/// What an endpoint asks of its callers.
#[derive(Clone, Copy)]
enum Right {
    Everything,
    Publish,
}

async fn plain_access(req: &HttpRequest, right: Right) -> Result<Caller, Problem> {
    let state = State::of(req)?;
    let caller = judged(req, state, Endpoint::Plain, right).await?;
    let turn = state.check_user(caller.user()).await;
    counted_rate(state, turn)?;
    Ok(caller)
}

async fn wait_for_turn(state: &State, caller: &Caller) -> Result<(), Problem> {
    counted_rate(state, state.wait_user(caller.user()).await)
}

fn counted_rate(state: &State, turn: Result<(), Problem>) -> Result<(), Problem> {
    turn.inspect_err(|_| state.counters.count(Counter::RateLimitedUser))
}

fn credential(req: &HttpRequest, state: &State, endpoint: Endpoint) -> Result<Credential, Problem> {
    let found = credential::find(req, endpoint);
    found.ok_or_else(|| refuse_credential(req, state, auth::Problem::Missing, "there is none"))
}

async fn judged(
    req: &HttpRequest,
    state: &State,
    endpoint: Endpoint,
    right: Right,
) -> Result<Caller, Problem> {
    let Credential::Jwt { text, source } = credential(req, state, endpoint)? else {
        return Err(unauthenticated(req, state, "it cannot be read"));
    };
    if source == Source::Cookie {
        origin::check(req, &state.settings.load().http.allowed_origins)
            .inspect_err(|problem| record_denied(req, state, None, problem))?;
    }
    match state.authenticator.verify(&text, state.now_ms()).await {
        Ok(identity) => permitted(req, state, identity, right),
        Err(Refusal::Unauthenticated(reason)) => Err(unauthenticated(req, state, reason)),
        Err(Refusal::Unavailable(why)) => {
            let line = || format!("no token can be judged: {why}");
            state.throttle.log("no signing keys", Instant::now(), line);
            let text = "Tokens cannot be verified at the moment";
            Err(Problem::unavailable(text, KEYS_RETRY_AFTER))
        }
    }
}

fn permitted(
    req: &HttpRequest,
    state: &State,
    identity: auth::Identity,
    right: Right,
) -> Result<Caller, Problem> {
    client::remember_user(req, identity.user.clone());
    let (user, roles) = (identity.user.clone(), identity.roles.join(","));
    let now_ms = state.now_ms();
    let holder = match right {
        Right::Everything => state.authenticator.as_admin(identity, now_ms),
        Right::Publish => state.authenticator.as_publisher(identity, now_ms),
    };
    let Some(identity) = holder else {
        let challenge = www_authenticate(auth::Problem::Forbidden);
        let problem = Problem::forbidden("Your role does not permit this").challenge(challenge);
        record_denied(req, state, Some((user, roles)), &problem);
        return Err(problem);
    };
    Ok(Caller::new(req, identity))
}

fn refuse_credential(
    req: &HttpRequest,
    state: &State,
    kind: auth::Problem,
    reason: impl Display,
) -> Problem {
    let problem = Problem::unauthenticated(www_authenticate(kind));
    let line = || {
        let (remote, request_id) = (client::remote(req), client::request_id(req));
        format!("a credential was refused: {reason}, remote={remote} request_id={request_id:?}")
    };
    state
        .throttle
        .log("refused credentials", Instant::now(), line);
    record_denied(req, state, None, &problem);
    problem
}

/// 403 for somebody whose credential is good and who asks for something of another's, counted and
/// recorded.
pub fn forbidden(req: &HttpRequest, state: &State, caller: &Caller, text: &'static str) -> Problem {
    let problem = Problem::forbidden(text);
    let who = (caller.user().clone(), caller.identity.role.to_string());
    record_denied(req, state, Some(who), &problem);
    problem
}

/// `who` is a user whose credential was good, and its roles.
pub(super) fn record_denied(
    req: &HttpRequest,
    state: &State,
    who: Option<(UserId, String)>,
    problem: &Problem,
) {
    state.counters.count(match problem.code() {
        super::reply::Code::Unauthenticated => Counter::Unauthenticated,
        _ => Counter::Forbidden,
    });
    let (actor, role) = who.unzip();
    state.audit.record(Event {
        actor,
        role: role.filter(|role| !role.is_empty()),
        target: Some(req.path().to_owned()),
        remote: Some(client::remote(req).to_string()),
        outcome: Outcome::Refused(problem.code().as_str()),
        request_id: Some(client::request_id(req).to_string()),
        ..Event::new(Action::Denied, Timestamp::now())
    });
}
