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

    /// One of the authority's that was good until an hour ago.
    pub fn issue_expired(&self, name: &str) -> Issued {
        let issued = self.issue(name);
        let at = |hours_ago: i64| {
            let at = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(hours_ago);
            at.strftime("%Y%m%d%H%M%SZ").to_string()
        };
        let (from, to) = (at(48), at(1));
        // `x509` learned of dates only lately; `ca` has always known them.
        std::fs::write(self.folder.join("index"), "").expect("a file");
        let settings = "[ca]\ndefault_ca = this\n[this]\ndatabase = index\nnew_certs_dir = .\nrand_serial = yes\n\
                        default_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n";
        std::fs::write(self.folder.join("authority"), settings).expect("a file");
        self.openssl(&format!(
            "ca -batch -config authority -in {name}.csr -cert ca.pem -keyfile ca.key -startdate {from} -enddate {to} \
             -extfile extension -notext -out {name}.pem"
        ));
        issued
    }

    /// One of version 1, as `openssl x509 -req` makes it that is told of no extensions.
    pub fn issue_plain(&self, name: &str) -> Issued {
        let issued = self.issue(name);
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out {name}.pem"
        ));
        issued
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
