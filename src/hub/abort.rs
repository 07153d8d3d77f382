//! A panic inside the Hub or a worker's fan-out ends the process: the books are suspect then, and a
//! hub that goes on with wrong ones is worse than one that its supervisor starts anew.

use std::sync::atomic::{AtomicBool, Ordering};

static ARMED: AtomicBool = AtomicBool::new(false);

/// From now on such a panic ends the process. For the program; a test that fails wants to tell why.
pub fn abort_on_panic() {
    ARMED.store(true, Ordering::Relaxed);
}

/// Part of an actor whose panic ends the process.
pub(super) struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() && ARMED.load(Ordering::Relaxed) {
            log::error!("the hub cannot go on after a panic; start it again");
            log::logger().flush();
            std::process::abort();
        }
    }
}
