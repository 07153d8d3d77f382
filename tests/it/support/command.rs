//! Commands of the program that are no hub: run to their end, or read while they run.

use std::process::{ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use super::hub::Start;
use super::{eventually, in_time};

/// What a command wrote, and how it ended.
#[derive(Debug)]
pub struct Said {
    /// `None`: by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl From<Output> for Said {
    fn from(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("output in UTF-8");
        let said = Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        assert!(!said.stderr.contains("panicked at"), "{said:?}");
        said
    }
}

impl Said {
    /// The result of a command that succeeded, without the line break at its end.
    pub fn result(&self) -> &str {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.stdout.trim_end_matches('\n')
    }

    /// The one line of a command that failed and said nothing else.
    pub fn failure(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stdout, "", "results of a failure: {self:?}");
        let line = self.stderr.strip_suffix('\n');
        let line = line.unwrap_or_else(|| panic!("no line: {self:?}"));
        assert!(!line.is_empty() && !line.contains('\n'), "{self:?}");
        line
    }
}

impl Start {
    /// Runs to the end a command that ends by itself.
    pub async fn says(self) -> Said {
        self.run().await.into()
    }

    /// As [`Self::says`], with something on standard input.
    pub async fn answers(self, input: &str) -> Said {
        let directory = tempfile::tempdir().expect("a directory");
        let mut child = self
            .command(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be run");
        let mut stdin = child.stdin.take().expect("a pipe");
        // A program need not read to the end.
        let _ = in_time("input to be taken", stdin.write_all(input.as_bytes())).await;
        drop(stdin);
        let output = in_time("the program to end by itself", child.wait_with_output()).await;
        output.expect("the program can be run").into()
    }

    /// A command that goes on until something ends it.
    pub fn goes_on(self) -> Running {
        let directory = tempfile::tempdir().expect("a directory");
        let stderr = std::fs::File::create(directory.path().join("stderr"));
        let mut child = self
            .command(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr.expect("a file for output"))
            .spawn()
            .expect("the program can be run");
        let stdout = child.stdout.take().expect("a pipe");
        Running {
            child,
            lines: Some(BufReader::new(stdout).lines()),
            directory,
        }
    }
}

/// A running command. Killed when dropped; when its test has failed, what it noted is shown.
pub struct Running {
    child: Child,
    lines: Option<Lines<BufReader<ChildStdout>>>,
    directory: TempDir,
}

impl Running {
    /// The next line of its results; `None` at their end.
    pub async fn line(&mut self) -> Option<String> {
        let lines = self.lines.as_mut().expect("somebody who reads");
        let line = in_time("a line of results", lines.next_line()).await;
        line.expect("results in UTF-8")
    }

    /// Stops reading for good, as `head` does.
    pub fn hang_up(&mut self) {
        self.lines = None;
    }

    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("stderr")).unwrap_or_default()
    }

    /// Waits until `text` has been noted on standard error so many times.
    pub async fn noted(&self, text: &str, times: usize) {
        eventually(&format!("{text:?} {times} times"), || {
            let found = self.stderr().matches(text).count();
            std::future::ready((found >= times).then_some(()))
        })
        .await;
    }

    pub fn signal(&self, signal: Signal) {
        let process = self.child.id().and_then(|id| i32::try_from(id).ok());
        let process = process.and_then(Pid::from_raw).expect("a process id");
        kill_process(process, signal).expect("a command that runs");
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> ExitStatus {
        let status = in_time("the command to end", self.child.wait()).await;
        let stderr = self.stderr();
        assert!(!stderr.contains("panicked at"), "{stderr}");
        status.expect("a child")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- stderr of the command\n{}", self.stderr());
        }
    }
}
