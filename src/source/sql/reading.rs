//! A read that may be given up anywhere.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use tokio::runtime::Handle;

/// `read`, with its runtime at hand for the moment at which it is dropped.
///
/// sqlx gives a connection back to its pool from a task of its own, and panics where there is no
/// runtime to spawn that in. An arbiter that ends drops what still runs on it just there: without
/// this, a stop that does not wait for a read, or a start that fails once the sources have begun,
/// would be told as a panic.
pub(super) struct Reading<'a, T> {
    runtime: Handle,
    /// `None` while it is being dropped.
    read: Option<BoxFuture<'a, T>>,
}

impl<'a, T> Reading<'a, T> {
    /// # Panics
    /// Outside a runtime.
    pub fn new(read: BoxFuture<'a, T>) -> Self {
        Self {
            runtime: Handle::current(),
            read: Some(read),
        }
    }
}

impl<T> Future for Reading<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match &mut self.read {
            Some(read) => read.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

impl<T> Drop for Reading<'_, T> {
    fn drop(&mut self) {
        let _within = self.runtime.enter();
        self.read = None;
    }
}
