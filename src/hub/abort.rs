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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    const CHILD: &str = "STATSHUB_TEST_PANIC";
    const SIGABRT: i32 = 6;

    /// Attack: an input that makes the Hub panic. Nobody is served by books that may be wrong.
    #[test]
    fn a_panic_of_the_hub_ends_the_process() {
        if std::env::var_os(CHILD).is_some() {
            abort_on_panic();
            let _guard = AbortOnPanic;
            panic!("on purpose");
        }
        let itself = std::env::current_exe().unwrap();
        let name = "hub::abort::tests::a_panic_of_the_hub_ends_the_process";
        let mut child = std::process::Command::new(itself);
        let ended = child.args(["--exact", name]).env(CHILD, "1").output();
        assert_eq!(ended.unwrap().status.signal(), Some(SIGABRT));
    }
}
