//! What a WebSocket client may say.
use crate::domain::notice::Fault;
use crate::domain::pattern::Pattern;
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    Subscribe(Vec<Pattern>),
    Unsubscribe(Vec<Pattern>),
    Ping,
    Refresh { token: String },
}
pub fn parse(_text: &str) -> Result<Command, Fault> {
    todo!()
}
