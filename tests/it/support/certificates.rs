//! An authority for a minute, and certificates of its for loopback.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub struct Certificates {
    folder: PathBuf,
}

/// A certificate and its private key, in PEM.
pub struct Issued {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Certificates {
    /// An authority with its files in `folder`.
    ///
    /// # Panics
    /// `openssl` is not installed, which comes with what a Debian has for certificates.
    pub fn make(folder: &Path) -> Self {
        let extension = "subjectAltName=IP:127.0.0.1,DNS:localhost";
        std::fs::write(folder.join("extension"), extension).expect("a file");
        let folder = folder.to_owned();
        let made = Self { folder };
        made.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=laboratory \
             -keyout ca.key -out ca.pem",
        );
        made
    }

    /// Whom a peer has to trust.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// One of the authority's, another at each call.
    pub fn issue(&self, name: &str) -> Issued {
        self.openssl(&format!(
            "req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout {name}.key \
             -out {name}.csr"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extension \
             -out {name}.pem"
        ));
        Issued {
            certificate: self.folder.join(format!("{name}.pem")),
            key: self.folder.join(format!("{name}.key")),
        }
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        command
            .args(arguments.split_whitespace())
            .current_dir(&self.folder);
        command.stdin(Stdio::null());
        let output = command.output().expect("this test needs openssl");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "openssl {arguments}: {said}");
    }
}
