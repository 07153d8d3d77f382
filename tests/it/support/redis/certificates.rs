//! An authority for a minute, and a certificate of its for loopback.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// # Panics
    /// `openssl` is not installed, which comes with what a Debian has for certificates.
    pub fn make(folder: &Path) -> Self {
        let extension = "subjectAltName=IP:127.0.0.1,DNS:localhost";
        std::fs::write(folder.join("extension"), extension).expect("a file");
        for arguments in [
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=laboratory \
             -keyout ca.key -out ca.pem",
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=redis -keyout redis.key \
             -out redis.csr",
            "x509 -req -in redis.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extension \
             -out redis.pem",
        ] {
            let mut command = Command::new("openssl");
            command
                .args(arguments.split_whitespace())
                .current_dir(folder);
            command.stdin(Stdio::null());
            let output = command.output().expect("this test needs openssl");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "openssl {arguments}: {said}");
        }
        let folder = folder.to_owned();
        Self { folder }
    }

    /// Whom a client has to trust.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// A server's certificate, and its key.
    pub fn of_server(&self) -> (PathBuf, PathBuf) {
        (self.folder.join("redis.pem"), self.folder.join("redis.key"))
    }

    /// Lines for a server that asks clients for no certificate.
    pub fn configuration(&self) -> String {
        let folder = self.folder.display();
        format!(
            "tls-cert-file {folder}/redis.pem\ntls-key-file {folder}/redis.key\n\
             tls-ca-cert-file {folder}/ca.pem\ntls-auth-clients no\n"
        )
    }
}
