//! Secrets and PEM files, and exchanging one for another.

use super::super::Access;
use super::*;

/// Attack: algorithm confusion (`none`, another one, the public key as the secret).
#[test]
fn a_public_key_is_no_hmac_secret() {
    for (name, algorithm) in [
        ("rsa_a", Algorithm::RS256),
        ("ec_p256", Algorithm::ES256),
        ("ed25519", Algorithm::EdDSA),
    ] {
        let forged = sign(
            &Header::default(),
            &claims(|_| {}),
            &EncodingKey::from_secret(&public_pem(name)),
        );
        let got = verify(&settings(pem(name, algorithm)), &forged);
        assert_eq!(got, Err(Reason::Algorithm(Algorithm::HS256)), "{name}");
    }
}

#[test]
fn public_keys_verify_what_their_private_halves_signed() {
    for (name, algorithm) in [
        ("rsa_a", Algorithm::RS256),
        ("rsa_a", Algorithm::PS256),
        ("ec_p256", Algorithm::ES256),
        ("ec_p384", Algorithm::ES384),
        ("ed25519", Algorithm::EdDSA),
    ] {
        let auth = settings(pem(name, algorithm));
        let token = sign(
            &with_kid(algorithm, "any"),
            &claims(|_| {}),
            &private_key(name),
        );
        assert!(verify(&auth, &token).is_ok(), "{name} {algorithm:?}");
        let mut tampered = token.into_bytes();
        let last = tampered.len() - 10;
        tampered[last] = if tampered[last] == b'A' { b'B' } else { b'A' };
        let tampered = String::from_utf8(tampered).unwrap();
        assert_eq!(
            verify(&auth, &tampered),
            Err(Reason::Signature),
            "{name} {algorithm:?}"
        );
    }
    let other = sign(
        &Header::new(Algorithm::RS256),
        &claims(|_| {}),
        &private_key("rsa_b"),
    );
    assert_eq!(
        verify(&settings(pem("rsa_a", Algorithm::RS256)), &other),
        Err(Reason::Signature)
    );
}

#[test]
fn a_file_may_hold_several_public_keys() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        [public_pem("rsa_a"), public_pem("rsa_b")].concat(),
    )
    .unwrap();
    let auth = settings(AuthKeys::Pem {
        path: file.path().into(),
        algorithm: Algorithm::RS256,
    });
    for name in ["rsa_a", "rsa_b"] {
        let token = sign(
            &Header::new(Algorithm::RS256),
            &claims(|_| {}),
            &private_key(name),
        );
        assert!(verify(&auth, &token).is_ok(), "{name}");
    }
}

#[test]
fn unusable_keys_stop_the_start_with_one_helpful_line() {
    let key = |name: &str| AuthKeys::Pem {
        path: fixture(name),
        algorithm: Algorithm::RS256,
    };
    let secret = |text: &str| AuthKeys::Secret(text.to_owned());
    let pem_text = String::from_utf8(public_pem("rsa_a")).unwrap();
    for (keys, expected) in [
        (secret(""), "0 bytes"),
        (secret("CANARY"), "at least 32"),
        (secret(&pem_text), "text of a PEM key"),
        (key("rsa_a.key.pem"), "needs the PUBLIC KEY"),
        (key("rsa_1024.pub.pem"), "size that RS256 needs"),
        (key("ec_p256.pub.pem"), "no RS256 key"),
        (key("README.md"), "no PEM file"),
        (key("missing"), "cannot read the public key"),
        (pem("ec_p384", Algorithm::ES256), "size that ES256 needs"),
        (pem("rsa_a", Algorithm::HS256), "has no public key"),
        (
            AuthKeys::JwksFile {
                path: PathBuf::from("missing"),
                algorithms: vec![],
            },
            "cannot read the JWKS",
        ),
        (
            AuthKeys::JwksFile {
                path: fixture("README.md"),
                algorithms: vec![],
            },
            "no JWKS document",
        ),
    ] {
        let error = format!("{:#}", Authenticator::start(&settings(keys)).err().unwrap());
        assert!(error.contains(expected), "{error:?} lacks {expected:?}");
        assert!(
            !error.contains('\n') && !error.contains("CANARY"),
            "{error:?}"
        );
    }
}

#[test]
fn a_reload_exchanges_keys_and_rules_and_a_failed_one_changes_nothing() {
    let authenticator = Authenticator::start(&with_secret()).unwrap();
    let (old, service) = (
        hs256(&claims(|_| {})),
        claims(|it| it["role"] = json!("service")),
    );
    authenticator
        .reload(&settings(AuthKeys::Secret(String::new())))
        .unwrap_err();
    let identity = block_on(authenticator.verify(&old, NOW_MS)).unwrap();
    assert_eq!(authenticator.access(&identity), Access::Admin);
    let changed = Auth {
        permitted_roles: vec!["service".into()],
        ..settings(pem("ed25519", Algorithm::EdDSA))
    };
    authenticator.clone().reload(&changed).unwrap();
    assert!(block_on(authenticator.verify(&old, NOW_MS)).is_err());
    assert_eq!(authenticator.access(&identity), Access::None);
    let new = sign(
        &Header::new(Algorithm::EdDSA),
        &service,
        &private_key("ed25519"),
    );
    let identity = block_on(authenticator.verify(&new, NOW_MS)).unwrap();
    assert_eq!(authenticator.access(&identity), Access::Admin);
    assert!(authenticator.key_state().source.contains("ed25519.pub.pem"));
}
