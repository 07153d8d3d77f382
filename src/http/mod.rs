//! (front door)

pub mod body;
pub mod client;
pub mod code;
pub mod decode;
pub mod endpoint;
pub mod failed_resumes;
pub mod limit;
pub mod middleware;
pub mod origin;
pub mod reply;
mod unread;

#[cfg(test)]
mod tests;
