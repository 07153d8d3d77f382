//! A hub whose certificate is of no use does not start, and says in one line why.

use crate::support::certificates::Certificates;
use crate::support::hub::Hub;

#[tokio::test]
async fn what_is_wrong_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Certificates::make(folder.path());
    authority.issue("hub");
    authority.issue("other");
    authority.issue_plain("plain");
    let path = folder.path().display();
    for (config, expected) in [
        (
            "certificate_file = \"{}/hub.pem\"",
            "tls.key_file is \"\"; allowed is a file, as tls.certificate_file is set",
        ),
        (
            "key_file = \"{}/hub.key\"",
            "tls.certificate_file is \"\"; allowed is a file, as tls.key_file is set",
        ),
        (
            "publisher_ca_file = \"{}/ca.pem\"",
            "tls.certificate_file is \"\"; allowed is a file, as tls.publisher_ca_file is set",
        ),
        (
            "certificate_file = \"{}/hub.pem\"\nkey_file = \"{}/other.key\"",
            "is not that of the certificate in tls.certificate_file",
        ),
        (
            "certificate_file = \"{}/plain.pem\"\nkey_file = \"{}/plain.key\"",
            "tls.certificate_file {}/plain.pem cannot be used: it is of version 1",
        ),
        (
            "certificate_file = \"{}/nothing.pem\"\nkey_file = \"{}/hub.key\"",
            "tls.certificate_file {}/nothing.pem cannot be used",
        ),
        (
            "certificate_file = \"{}/hub.key\"\nkey_file = \"{}/hub.key\"",
            "it holds no certificate in PEM",
        ),
        (
            "certificate_file = \"{}/hub.pem\"\nkey_file = \"{}/hub.pem\"",
            "tls.key_file {}/hub.pem cannot be used",
        ),
        (
            "certificate_file = \"{}/hub.pem\"\nkey_file = \"{}/hub.key\"\npublisher_ca_file = \"{}/hub.key\"",
            "tls.publisher_ca_file {}/hub.key cannot be used",
        ),
    ] {
        let in_folder = |text: &str| text.replace("{}", &path.to_string());
        let config = format!("[tls]\n{}\n", in_folder(config));
        let said = Hub::with().config(&config).says().await;
        // What the settings show alone is told before anything is read.
        let line = said.failure(if expected.contains("allowed is") {
            2
        } else {
            1
        });
        assert!(line.contains(&in_folder(expected)), "{config}{line}");
    }
}
