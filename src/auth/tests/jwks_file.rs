//! Which key of a JWKS document serves which token.

use super::*;

/// What the keys of `document` make of `token`.
fn by_file(
    document: &str,
    algorithms: &[Algorithm],
    token: &str,
) -> anyhow::Result<Result<(), Reason>> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), document)?;
    let keys = AuthKeys::JwksFile {
        path: file.path().into(),
        algorithms: algorithms.to_vec(),
    };
    let authenticator = Authenticator::start(&settings(keys))?;
    match futures::executor::block_on(authenticator.verify(token, NOW_MS)) {
        Ok(_) => Ok(Ok(())),
        Err(Refusal::Unauthenticated(reason)) => Ok(Err(reason)),
        Err(Refusal::Unavailable(why)) => anyhow::bail!(why),
    }
}

#[test]
fn the_kid_chooses_among_keys_and_nothing_else() {
    use Algorithm::*;
    let set = document(&[
        rsa("rsa_a", "a"),
        rsa("rsa_b", "b"),
        jwk("ec_p256", ES256, "ec", |_| {}),
        json!("rubbish"),
        json!({"kty": "AKP", "alg": "ML-DSA-44", "kid": "new"}),
    ]);
    let check = |token: &str, expected: Result<(), Reason>| {
        assert_eq!(by_file(&set, &[RS256, ES256], token).unwrap(), expected);
    };
    check(&rs256("rsa_a", "a"), Ok(()));
    check(&rs256("rsa_b", "b"), Ok(()));
    check(&rs256("rsa_a", "b"), Err(Reason::Signature));
    check(&rs256("rsa_a", "ec"), Err(Reason::unknown_key("ec")));
    for kid in ["c", "", "../a", "a\0", "A", "http://evil/a"] {
        check(&rs256("rsa_a", kid), Err(Reason::unknown_key(kid)));
    }
    let unnamed =
        |algorithm, name| sign(&Header::new(algorithm), &claims(|_| {}), &private_key(name));
    check(&unnamed(ES256, "ec_p256"), Ok(()));
    check(&unnamed(RS256, "rsa_a"), Err(Reason::UnnamedKey));
}

/// Attack: algorithm confusion (`none`, another one, the public key as the secret).
#[test]
fn a_jwks_key_serves_its_own_configured_algorithm_only() {
    use Algorithm::*;
    let without_alg = |it: &mut Value| drop(it.as_object_mut().unwrap().remove("alg"));
    let check = |key: Value, configured: &[Algorithm], algorithm, name: &str, expected: bool| {
        let token = sign(
            &with_kid(algorithm, "k"),
            &claims(|_| {}),
            &private_key(name),
        );
        let got = by_file(&document(std::slice::from_ref(&key)), configured, &token);
        assert_eq!(
            matches!(got, Ok(Ok(()))),
            expected,
            "{key} {configured:?} {algorithm:?}: {got:?}"
        );
    };
    check(
        jwk("rsa_a", RS256, "k", |_| {}),
        &[RS256, PS256],
        RS256,
        "rsa_a",
        true,
    );
    check(
        jwk("rsa_a", RS256, "k", |_| {}),
        &[RS256, PS256],
        PS256,
        "rsa_a",
        false,
    );
    check(
        jwk("rsa_a", RS256, "k", |_| {}),
        &[ES256],
        RS256,
        "rsa_a",
        false,
    );
    check(
        jwk("rsa_a", RS256, "k", without_alg),
        &[ES256, RS256],
        RS256,
        "rsa_a",
        true,
    );
    check(
        jwk("rsa_a", RS256, "k", without_alg),
        &[PS256],
        PS256,
        "rsa_a",
        true,
    );
    check(
        jwk("ec_p256", ES256, "k", without_alg),
        &[ES256, ES384],
        ES256,
        "ec_p256",
        true,
    );
    check(
        jwk("ec_p384", ES384, "k", without_alg),
        &[ES256, ES384],
        ES384,
        "ec_p384",
        true,
    );
    check(
        jwk("ed25519", EdDSA, "k", without_alg),
        &[EdDSA],
        EdDSA,
        "ed25519",
        true,
    );
    check(
        jwk("rsa_a", RS256, "k", |it| it["use"] = json!("sig")),
        &[RS256],
        RS256,
        "rsa_a",
        true,
    );
    check(
        jwk("rsa_a", RS256, "k", |it| it["use"] = json!("enc")),
        &[RS256],
        RS256,
        "rsa_a",
        false,
    );
    check(
        jwk("rsa_a", RS256, "k", |it| it["key_ops"] = json!(["encrypt"])),
        &[RS256],
        RS256,
        "rsa_a",
        false,
    );
    check(
        jwk("rsa_a", RS256, "k", |it| it["n"] = json!("AQAB")),
        &[RS256],
        RS256,
        "rsa_a",
        false,
    );
}

/// Attack: algorithm confusion (`none`, another one, the public key as the secret).
#[test]
fn a_symmetric_key_in_a_jwks_is_no_key() {
    let bytes = "k".repeat(64);
    let oct = json!({"kty": "oct", "alg": "HS256", "kid": "k", "k": bytes});
    // Base64url of 48 bytes: what the library would take the secret for.
    let key = EncodingKey::from_base64_secret(&bytes).unwrap();
    let token = sign(&with_kid(Algorithm::HS256, "k"), &claims(|_| {}), &key);
    let keys = [oct, rsa("rsa_a", "a")];
    let algorithms = [Algorithm::HS256, Algorithm::RS256];
    let got = by_file(&document(&keys), &algorithms, &token).unwrap();
    assert_eq!(got, Err(Reason::unknown_key("k")));
    assert!(by_file(&document(&keys[..1]), &algorithms, &token).is_err());
}
