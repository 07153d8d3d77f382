//! A connection that breaks just when something is committed.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;

use super::*;
use crate::domain::message::Priority;
use crate::store::AppendError;

const PASS: u8 = 0;
/// The next commit does not reach the server.
const CUT_BEFORE: u8 = 1;
/// It does, and its answer is lost.
const CUT_AFTER: u8 = 2;
/// Nothing comes through.
const SHUT: u8 = 3;

/// Stands before the server's socket.
fn proxy(server: &Path) -> (tempfile::TempDir, Arc<AtomicU8>) {
    const SOCKET: &str = ".s.PGSQL.5432";
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
    let (mode, server) = (Arc::new(AtomicU8::new(PASS)), server.join(SOCKET));
    let shared = mode.clone();
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            if shared.load(Ordering::SeqCst) != SHUT {
                let server = UnixStream::connect(&server).unwrap();
                pass(client, server, shared.clone());
            }
        }
    });
    (folder, mode)
}

fn pass(client: UnixStream, server: UnixStream, mode: Arc<AtomicU8>) {
    let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    thread::spawn(move || std::io::copy(&mut from, &mut to));
    thread::spawn(move || {
        let (mut client, mut server) = (client, server);
        let mut bytes = vec![0; 1 << 16];
        while let Ok(count @ 1..) = client.read(&mut bytes) {
            let is_commit = bytes[..count].windows(7).any(|it| it == b"COMMIT\0");
            let now = mode.load(Ordering::SeqCst);
            if is_commit && (now == CUT_BEFORE || now == CUT_AFTER) {
                mode.store(SHUT, Ordering::SeqCst);
                client.shutdown(std::net::Shutdown::Both).unwrap();
                if now == CUT_AFTER {
                    server.write_all(&bytes[..count]).unwrap();
                    thread::sleep(Duration::from_millis(300));
                }
                let _ = server.shutdown(std::net::Shutdown::Both);
                return;
            }
            if server.write_all(&bytes[..count]).is_err() {
                return;
            }
        }
        let _ = server.shutdown(std::net::Shutdown::Both);
    });
}

/// What becomes of a message whose commit is cut, of one that comes while nothing comes through, and of
/// one afterwards.
async fn outcomes(cut: u8) -> (Vec<Outcome>, i64) {
    let mut fixture = Fixture::new();
    let (folder, mode) = proxy(fixture.postgres.folder());
    let direct = fixture.settings.url.clone();
    let path = folder.path().display();
    fixture.settings.url = Some(format!(
        "postgres://statshub@localhost/postgres?host={path}"
    ));
    let url = fixture.settings.url.clone().unwrap();
    let heard = Heard::default();
    let database = Database::open(&fixture.settings, &url, now(BEGIN_MS)).unwrap();
    let writer = database.start(heard.clone()).unwrap();
    let one = |n| {
        let message = message(n, metric("a"), Priority::Low);
        writer.append(batch(vec![message], Vec::new())).unwrap();
    };
    one(1);
    eventually("the first is written", async || heard.outcomes().len() == 1).await;
    mode.store(cut, Ordering::SeqCst);
    one(2);
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert_eq!(heard.outcomes().len(), 1, "nobody knows yet");
    assert!(writer.health().last_error.is_some());
    one(3);
    eventually("the third is refused", async || heard.outcomes().len() == 2).await;
    mode.store(PASS, Ordering::SeqCst);
    eventually("the second is settled", async || {
        heard.outcomes().len() == 3
    })
    .await;
    one(4);
    writer.close().await;
    assert_eq!(writer.health().last_error, None);
    fixture.settings.url = direct;
    let left = fixture
        .number("SELECT count(*) FROM statshub.message")
        .await;
    (heard.outcomes(), left)
}

#[actix_rt::test]
async fn what_was_committed_without_an_answer_is_taken_and_in_its_order() {
    let (outcomes, left) = outcomes(CUT_AFTER).await;
    let is_taken: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    // The third was refused while the second was in doubt.
    assert_eq!(is_taken, [true, false, true, true], "{outcomes:?}");
    assert!(matches!(&outcomes[1], Err(AppendError::Failed(_))));
    assert_eq!(left, 3);
}

#[actix_rt::test]
async fn what_was_not_committed_is_refused() {
    let (outcomes, left) = outcomes(CUT_BEFORE).await;
    let is_taken: Vec<_> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(is_taken, [true, false, false, true], "{outcomes:?}");
    assert_eq!(left, 2);
}
