//! The three endpoints that answer with a stream.

use actix_web::http::header::ACCEPT;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::access::{Caller, StreamCaller, forbidden, stream_access, unauthenticated};
use super::asked::{Asked, Query};
use super::asset::takes_gzip;
use super::body::QueryOf;
use super::client;
use super::reply::{Code, Problem, RECONNECT_TOKEN_IS_REQUIRED};
use super::state::State;
use crate::auth;
use crate::domain::hub::{Opening, Refusal};
use crate::domain::message::{MessageId, Transport};
use crate::domain::session::TicketHash;
use crate::domain::view::Selector;
use crate::hub::{Error, Stream, Takes, Wanted, Worker};
use crate::telemetry::audit::{Action, Event, Outcome};
use crate::telemetry::counters::Counter;
use crate::transport::socket::Handle;
use crate::transport::{sse, ws};

pub async fn stream(
    request: HttpRequest,
    state: Data<State>,
    worker: Data<Worker>,
    query: Result<QueryOf<Query>, Problem>,
) -> Result<HttpResponse, Problem> {
    let caller = stream_access(&request, &state, auth::Endpoint::Stream).await?;
    let asked = query.and_then(|query| Asked::of(query.0, &request));
    let asking = Asking {
        request: &request,
        state: &state,
        worker: &worker,
        transport: Transport::Sse,
    };
    let (stream, socket) = asking.open(caller, asked, None).await?;
    let detach = detaches(&state).then_some(socket);
    Ok(sse::respond(stream, request.version(), detach))
}

pub async fn reconnect(
    request: HttpRequest,
    state: Data<State>,
    worker: Data<Worker>,
    query: Result<QueryOf<Query>, Problem>,
) -> Result<HttpResponse, Problem> {
    let caller = stream_access(&request, &state, auth::Endpoint::Reconnect).await?;
    let query = query?.0;
    let token = query.value("token").map(str::to_owned);
    let token = token.ok_or(Problem::invalid(RECONNECT_TOKEN_IS_REQUIRED))?;
    let asked = Asked::of(query, &request);
    let asking = Asking {
        request: &request,
        state: &state,
        worker: &worker,
        transport: Transport::Sse,
    };
    let (stream, socket) = asking.open(caller, asked, Some(&token)).await?;
    let detach = detaches(&state).then_some(socket);
    Ok(sse::respond(stream, request.version(), detach))
}

pub async fn websocket(
    request: HttpRequest,
    payload: Payload,
    state: Data<State>,
    worker: Data<Worker>,
    query: Result<QueryOf<Query>, Problem>,
) -> actix_web::Result<HttpResponse> {
    let caller = stream_access(&request, &state, auth::Endpoint::WebSocket).await?;
    let settings = state.settings.load().websocket.clone();
    if !settings.enabled {
        let text = "WebSocket is switched off in the configuration; use the event stream";
        return Err(Problem::unavailable(text, super::state::COME_BACK_AFTER).into());
    }
    let handshake = ws::handshake(&request)?;
    let query = query?.0;
    let token = query.value("reconnectToken").map(str::to_owned);
    let asked = Asked::of(query, &request);
    let asking = Asking {
        request: &request,
        state: &state,
        worker: &worker,
        transport: Transport::Websocket,
    };
    let (stream, socket) = asking.open(caller, asked, token.as_deref()).await?;
    let detach = detaches(&state);
    Ok(ws::respond(
        handshake,
        payload,
        stream,
        socket,
        state.services.clone(),
        &settings,
        detach,
    ))
}

/// Whether sockets are taken over from actix.
fn detaches(state: &State) -> bool {
    state.settings.load().detaches()
}

/// A request for a stream.
struct Asking<'a> {
    request: &'a HttpRequest,
    state: &'a State,
    worker: &'a Worker,
    transport: Transport,
}

impl Asking<'_> {
    /// Opens the stream, or resumes the session of `reconnect_token`. A ticket stays good for
    /// another try when that fails.
    async fn open(
        &self,
        caller: StreamCaller,
        asked: Result<Asked, Problem>,
        reconnect_token: Option<&str>,
    ) -> Result<(Stream, Handle), Problem> {
        let ticket = match &caller {
            StreamCaller::Ticket(ticket, _) => Some(ticket.clone()),
            StreamCaller::Token(_) | StreamCaller::SpentTicket(_) => None,
        };
        let opened = self.opened(caller, asked, reconnect_token).await;
        if let (Err(_), Some(ticket)) = (&opened, ticket) {
            self.state.put_back_ticket(ticket).await;
        }
        opened
    }

    async fn opened(
        &self,
        caller: StreamCaller,
        asked: Result<Asked, Problem>,
        reconnect_token: Option<&str>,
    ) -> Result<(Stream, Handle), Problem> {
        self.check_open()?;
        let socket = self.socket()?;
        let asked = asked?;
        let token = reconnect_token.map(parse_reconnect_token);
        let last_event_id = asked.last_event_id;
        let takes = Takes {
            gzip: takes_gzip(self.request),
            patches: asked.takes_patches,
        };
        let resumes = token.is_some() || last_event_id.is_some();
        let (who, opening) = match caller {
            StreamCaller::Token(caller) => {
                let opening = opening(&caller, token, None, asked.selectors);
                (Some(caller), opening)
            }
            StreamCaller::Ticket(ticket, caller) => {
                let opening = opening(&caller, token, Some(ticket.hash.into()), asked.selectors);
                (Some(caller), opening)
            }
            // It admits nothing but going on where its session was.
            StreamCaller::SpentTicket(_) if !resumes => {
                return Err(self.refuse(Error::Refused(Refusal::UnknownTicket), None, resumes));
            }
            StreamCaller::SpentTicket(hash) => {
                let ticket = hash.into();
                let opening = match token {
                    Some(token) => token.map(|token| (ticket, Some(token))),
                    None => Some((ticket, None)),
                };
                (
                    None,
                    opening.map(|(ticket, token)| Opening::ByTicket { ticket, token }),
                )
            }
        };
        if let (Some(given), Some(caller)) = (&asked.user, &who)
            && caller.user().as_str() != given
        {
            let text = "userId is not the user of the token";
            return Err(forbidden(self.request, self.state, caller, text));
        }
        let answer = match opening {
            Some(opening) => {
                let wanted = self.wanted(opening, last_event_id, takes);
                self.worker.connect(wanted, socket.line()).await
            }
            // What cannot be a reconnect token is as unknown as what could.
            None => Err(Error::Refused(Refusal::UnknownToken)),
        };
        match answer {
            Ok(stream) => {
                self.record_opened(&stream, resumes);
                Ok((stream, socket))
            }
            Err(error) => {
                let user = who.as_ref().map(|caller| caller.user().clone());
                let unknown = error == Error::Refused(Refusal::UnknownToken);
                let problem = self.refuse(error, who, resumes);
                if let (true, Some(user)) = (unknown, user) {
                    let remote = client::remote(self.request);
                    self.state.failed_resumes.answer_late(&user, remote).await;
                }
                Err(problem)
            }
        }
    }

    fn wanted(&self, opening: Opening, last_event_id: Option<MessageId>, takes: Takes) -> Wanted {
        Wanted {
            transport: self.transport,
            opening,
            last_event_id,
            takes,
            remote: client::remote(self.request),
            user_agent: client::user_agent(self.request).into(),
            request_id: client::request_id(self.request),
        }
    }

    fn check_open(&self) -> Result<(), Problem> {
        if self.state.stage.is_draining() {
            self.break_off();
        }
        self.state.check_open()
    }

    /// A native EventSource that gets any status but 200 is dead for good, while one whose
    /// connection breaks tries again: it is kinder to break it than to answer.
    fn break_off(&self) {
        let accepts = self.request.headers().get(ACCEPT);
        let is_event_source = accepts
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("text/event-stream"));
        if is_event_source && let Ok(socket) = self.socket() {
            socket.hang_up();
        }
    }

    /// Without a hold on its socket a stream whose client stops reading could not be ended.
    fn socket(&self) -> Result<Handle, Problem> {
        let socket = self.request.conn_data::<Handle>().cloned();
        socket.ok_or(Error::Busy.into())
    }

    fn refuse(&self, error: Error, who: Option<Caller>, resumes: bool) -> Problem {
        match error {
            // It comes back, and to another hub where there are several.
            Error::Refused(Refusal::Draining) | Error::Away(_) => self.break_off(),
            Error::Refused(Refusal::UnknownTicket) => {
                return unauthenticated(self.request, self.state, "the ticket is spent");
            }
            _ => {}
        }
        let problem: Problem = error.into();
        if problem.code() == Code::ConnectionLimit {
            self.state.counters.count(Counter::ConnectionLimit);
        }
        // A spent ticket comes with nobody's name.
        let event = who.map_or_else(|| self.event(resumes), |who| who.event(action(resumes)));
        self.state.audit.record(Event {
            outcome: Outcome::Refused(problem.code().as_str()),
            ..event
        });
        problem
    }

    /// An event by nobody.
    fn event(&self, resumes: bool) -> Event {
        Event {
            remote: Some(client::remote(self.request).to_string()),
            request_id: Some(client::request_id(self.request).to_string()),
            ..Event::new(action(resumes), Timestamp::now())
        }
    }

    fn record_opened(&self, stream: &Stream, resumes: bool) {
        let client = &stream.client;
        client::remember_user(self.request, client.identity.user.clone());
        self.state.audit.record(Event {
            details: Some(json!({ "transport": self.transport })),
            ..client.event(action(resumes))
        });
    }
}

fn action(resumes: bool) -> Action {
    if resumes {
        Action::Resume
    } else {
        Action::Connect
    }
}

/// `None` where the reconnect token cannot be one.
fn opening(
    caller: &Caller,
    token: Option<Option<Uuid>>,
    ticket: Option<TicketHash>,
    selectors: Vec<Selector>,
) -> Option<Opening> {
    let identity = caller.identity.clone();
    match token {
        None => Some(Opening::New {
            identity,
            selectors,
            ticket,
        }),
        Some(token) => token.map(|token| Opening::Resume {
            identity,
            token,
            ticket,
        }),
    }
}

/// Only in the form in which the hub gives them out.
pub(super) fn parse_reconnect_token(text: &str) -> Option<Uuid> {
    let token = Uuid::try_parse(text).ok()?;
    (token.hyphenated().to_string() == text).then_some(token)
}
