//! What a bearer may send as a token.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use futures::FutureExt;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{Access, Authenticator, Identity};
use crate::config::{Auth, AuthKeys};
use crate::domain::message::UserId;

const SECRET: &str = "0123456789abcdef, a secret for fuzzing";
const NOW_MS: u64 = 1_800_000_000_000;
const LEEWAY_MS: u64 = 5000;

/// The claims that are looked at and compared.
const NAMES: [&str; 7] = ["sub", "userId", "role", "roles", "exp", "nbf", "iat"];

struct Judges {
    secret: Authenticator,
    /// With RSA, elliptic curves and Edwards curves.
    public: Vec<Authenticator>,
}

static JUDGES: LazyLock<Judges> = LazyLock::new(|| {
    let start = |keys| Authenticator::start(&settings(keys)).expect("keys that are good");
    let pem = |(name, algorithm)| {
        let keys = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/auth");
        let path = keys.join(name);
        start(AuthKeys::Pem { path, algorithm })
    };
    let public = [
        ("rsa_a.pub.pem", Algorithm::RS256),
        ("ec_p256.pub.pem", Algorithm::ES256),
        ("ed25519.pub.pem", Algorithm::EdDSA),
    ];
    Judges {
        secret: start(AuthKeys::Secret(SECRET.to_owned())),
        public: public.into_iter().map(pem).collect(),
    }
});

fn settings(keys: AuthKeys) -> Auth {
    Auth {
        previous_secret_file: None,
        keys,
        permitted_roles: vec!["platform_admin".to_owned()],
        publisher_roles: vec!["service".to_owned()],
        audiences: Vec::new(),
        issuers: Vec::new(),
        leeway: Duration::from_millis(LEEWAY_MS),
        token_ttl_max: None,
        ticket_ttl: Duration::from_secs(30),
    }
}

/// A token as it is; or, after a first byte `s`, a header and claims apart by 0xff, which are signed rightly
/// here: the claims are then judged as a plain reading of them is, and with a byte of the token changed, the
/// one that a third part names, it is refused.
pub fn token(data: &[u8]) {
    match data {
        [b's', parts @ ..] => {
            let mut parts = parts.split(|byte| *byte == 0xff);
            let mut part = || parts.next().unwrap_or_default();
            signed(part(), part(), part());
        }
        token => {
            let token = String::from_utf8_lossy(token);
            if verify(&JUDGES.secret, &token).is_some() {
                let (message, signature) = token.rsplit_once('.').expect("three parts");
                assert_eq!(sign(message), signature);
            }
            for judge in &JUDGES.public {
                let is_taken = verify(judge, &token).is_some();
                assert!(!is_taken, "nobody has signed {token}");
            }
        }
    }
}

fn verify(judge: &Authenticator, token: &str) -> Option<Identity> {
    let judged = judge.verify(token, NOW_MS).now_or_never();
    let judged = judged.expect("these keys need no waiting");
    judged.inspect_err(|refusal| _ = refusal.to_string()).ok()
}

fn signed(header: &[u8], claims: &[u8], change: &[u8]) {
    let message = format!("{}.{}", base64url(header), base64url(claims));
    let token = format!("{message}.{}", sign(&message));
    let taken = verify(&JUDGES.secret, &token);
    for judge in &JUDGES.public {
        assert_eq!(
            verify(judge, &token),
            None,
            "the secret is none of its keys"
        );
    }
    let Some(identity) = taken else {
        return;
    };
    check(&identity, claims);
    if let [high, low, byte, ..] = change {
        let at = usize::from(u16::from_be_bytes([*high, *low])) % token.len();
        let mut changed = token.into_bytes();
        let was = std::mem::replace(&mut changed[at], *byte);
        let changed = String::from_utf8_lossy(&changed);
        assert!(was == *byte || verify(&JUDGES.secret, &changed).is_none());
    }
}

/// What was taken of `claims` is what they say, and holds now.
fn check(identity: &Identity, claims: &[u8]) {
    // In what is not looked at there may be anything.
    let claims = String::from_utf8_lossy(claims);
    let claims: BTreeMap<String, &RawValue> = serde_json::from_str(&claims).expect("an object");
    let claims: Value = NAMES
        .into_iter()
        .filter_map(|name| {
            let claim: Result<Value, _> = serde_json::from_str(claims.get(name)?.get());
            Some((name, claim.expect("a claim that was read")))
        })
        .collect();
    let ms = |name: &str| Some((claims.get(name)?.as_f64()? * 1000.0) as u64);
    let there = |name: &str| claims.get(name).filter(|it| !it.is_null());
    assert_eq!(Some(identity.expires_at_ms), ms("exp"));
    assert!(identity.expires_at_ms + LEEWAY_MS > NOW_MS);
    assert_eq!(identity.issued_at_ms, ms("iat"));
    let past = [ms("iat"), ms("nbf")].into_iter().flatten().max();
    assert!(past.is_none_or(|past| past <= NOW_MS + LEEWAY_MS));
    let user = there("sub").or(there("userId")).expect("a user");
    let user = user.as_str().map_or(user.to_string(), str::to_owned);
    assert_eq!(UserId::parse(&user).as_ref(), Some(&identity.user));
    let has = |role: &str| {
        let is_it = |value: &Value| value.as_str() == Some(role);
        let is_among = |value: &Value| {
            let list = value.as_array();
            list.is_some_and(|list| list.iter().all(Value::is_string) && list.iter().any(is_it))
        };
        let named = ["role", "roles"].map(|name| claims.get(name));
        named
            .into_iter()
            .flatten()
            .any(|it| is_it(it) || is_among(it))
    };
    let access = match (has("platform_admin"), has("service")) {
        (true, _) => Access::Admin,
        (false, true) => Access::Publisher,
        (false, false) => Access::None,
    };
    assert_eq!(JUDGES.secret.access(identity), access);
    let admin = JUDGES.secret.as_admin(identity.clone(), NOW_MS);
    assert_eq!(admin.is_some(), access == Access::Admin);
}

fn sign(message: &str) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    crypto::sign(message.as_bytes(), &key, Algorithm::HS256).expect("a signature")
}

/// RFC 4648, section 5, without padding.
fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let digits = |chunk: &[u8]| {
        let bits = (0..3).fold(0, |bits, at| {
            bits << 8 | usize::from(chunk.get(at).copied().unwrap_or_default())
        });
        let digit = move |place: usize| char::from(DIGITS[bits >> (18 - 6 * place) & 63]);
        (0..=chunk.len()).map(digit)
    };
    bytes.chunks(3).flat_map(digits).collect()
}
