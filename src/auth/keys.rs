//! The keys that tokens are verified with: from a secret, a PEM file, or a JWKS document.
//!
//! A key serves one algorithm, fixed when it is loaded. A token's `alg` is only compared with it, so a
//! public key can never be taken for an HMAC secret.

use anyhow::{Context, bail, ensure};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind, Header, Validation};
use serde::Deserialize;
use serde_json::Value;

use super::token::{Claims, Reason, signature_only};

/// Shortest HS256 secret in bytes: as long as the hash (RFC 7518, section 3.2).
pub const SECRET_BYTES_MIN: usize = 32;
/// Shortest RSA modulus in bytes, 2048 bits: the library refuses every signature of a shorter one.
const RSA_BYTES_MIN: usize = 256;
const PEM_BEGIN: &str = "-----BEGIN ";

/// One key for one algorithm.
struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    key: DecodingKey,
    validation: Validation,
}

impl Key {
    fn from_secret(secret: &str) -> anyhow::Result<Self> {
        ensure!(
            !secret.contains(PEM_BEGIN),
            "the JWT secret is the text of a PEM key; for RS256, ES256 or EdDSA name the key's file instead"
        );
        ensure!(
            secret.len() >= SECRET_BYTES_MIN,
            "the JWT secret has {} bytes; it needs at least {SECRET_BYTES_MIN}",
            secret.len()
        );
        let key = DecodingKey::from_secret(secret.as_bytes());
        Self::new(None, Algorithm::HS256, key)
    }

    /// # Errors
    /// A key of another family or size than `algorithm` needs, which else would come out only as a
    /// refusal of every token.
    fn new(id: Option<String>, algorithm: Algorithm, key: DecodingKey) -> anyhow::Result<Self> {
        ensure!(
            fits(&key, algorithm),
            "the key is not of the kind or size that {algorithm:?} needs"
        );
        let validation = signature_only(algorithm);
        Ok(Self {
            id,
            algorithm,
            key,
            validation,
        })
    }
}

fn fits(key: &DecodingKey, algorithm: Algorithm) -> bool {
    let bytes = match key.kind() {
        DecodingKeyKind::SecretOrDer(bytes) => bytes.len(),
        DecodingKeyKind::RsaModulusExponent { n, .. } => n.len(),
    };
    let right_size = match algorithm {
        // An uncompressed point: a marker and two coordinates.
        Algorithm::ES256 => bytes == 1 + 2 * 32,
        Algorithm::ES384 => bytes == 1 + 2 * 48,
        Algorithm::EdDSA => bytes == 32,
        _ if algorithm.family() == AlgorithmFamily::Rsa => bytes >= RSA_BYTES_MIN,
        _ => bytes >= SECRET_BYTES_MIN,
    };
    right_size && key.family() == algorithm.family()
}

/// Keys that came from one place.
pub struct KeySet {
    keys: Vec<Key>,
    /// Whether a token's `kid` chooses among them; else each is tried.
    named: bool,
}

impl KeySet {
    /// HS256 with `secret`, and with those of `previous` that tokens of before were signed with.
    ///
    /// # Errors
    /// One is too short, or the text of a key file.
    pub fn from_secrets(secret: &str, previous: &[String]) -> anyhow::Result<Self> {
        let previous = previous.iter().map(String::as_str);
        let all = std::iter::once(secret).chain(previous);
        let keys = all.map(Key::from_secret).collect::<anyhow::Result<_>>()?;
        Ok(Self { keys, named: false })
    }

    /// The public keys for `algorithm` in the text of a PEM file.
    ///
    /// # Errors
    /// None there, a private key or a certificate, or not of the kind `algorithm` needs.
    pub fn from_pem(text: &str, algorithm: Algorithm) -> anyhow::Result<Self> {
        let blocks = text
            .match_indices(PEM_BEGIN)
            .map(|(begin, _)| &text[begin..]);
        let keys = blocks
            .map(|block| Key::new(None, algorithm, public_key(block, algorithm)?))
            .collect::<anyhow::Result<Vec<_>>>()?;
        ensure!(
            !keys.is_empty(),
            "this is no PEM file: it has no line {PEM_BEGIN}PUBLIC KEY-----"
        );
        Ok(Self { keys, named: false })
    }

    /// The keys of a JWKS document (RFC 7517) that serve one of `algorithms`. The others, and what
    /// cannot be read, are passed over: issuers publish keys for other purposes next to ours.
    ///
    /// # Errors
    /// No JWKS document, or none of its keys is of use.
    pub fn from_jwks(document: &[u8], algorithms: &[Algorithm]) -> anyhow::Result<Self> {
        #[derive(Deserialize)]
        struct Document {
            keys: Vec<Value>,
        }
        let Ok(document) = serde_json::from_slice::<Document>(document) else {
            bail!("this is no JWKS document");
        };
        let jwks = document
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value(key).ok());
        let keys: Vec<_> = jwks.filter_map(|jwk| usable(&jwk, algorithms)).collect();
        ensure!(
            !keys.is_empty(),
            "none of the JWKS keys is for {algorithms:?}"
        );
        Ok(Self { keys, named: true })
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether a key goes by `kid`.
    pub fn knows(&self, kid: &str) -> bool {
        self.keys.iter().any(|key| key.id.as_deref() == Some(kid))
    }

    /// The claims of `jwt`, whose header `header` is.
    ///
    /// # Errors
    /// No key for it, or not signed by it.
    pub fn open(&self, jwt: &str, header: &Header) -> Result<Claims, Reason> {
        let mut result = Err(Reason::Signature);
        for key in self.candidates(header)? {
            result = Claims::open(jwt, &key.key, &key.validation);
            if !matches!(result, Err(Reason::Signature)) {
                break;
            }
        }
        result
    }

    fn candidates(&self, header: &Header) -> Result<Vec<&Key>, Reason> {
        let fitting = self.keys.iter().filter(|key| key.algorithm == header.alg);
        if !self.named {
            return Ok(fitting.collect());
        }
        match &header.kid {
            Some(kid) => {
                let found: Vec<_> = fitting.filter(|key| key.id.as_ref() == Some(kid)).collect();
                if found.is_empty() {
                    Err(Reason::unknown_key(kid))
                } else {
                    Ok(found)
                }
            }
            None => {
                let found: Vec<_> = fitting.collect();
                if found.len() == 1 {
                    Ok(found)
                } else {
                    Err(Reason::UnnamedKey)
                }
            }
        }
    }
}

/// The public key that `block` begins with.
fn public_key(block: &str, algorithm: Algorithm) -> anyhow::Result<DecodingKey> {
    let label = block[PEM_BEGIN.len()..]
        .split("-----")
        .next()
        .unwrap_or_default();
    ensure!(
        matches!(label, "PUBLIC KEY" | "RSA PUBLIC KEY"),
        "this is a {label}; verifying needs the PUBLIC KEY (openssl pkey -in private.pem -pubout)"
    );
    let key = match algorithm.family() {
        AlgorithmFamily::Rsa => DecodingKey::from_rsa_pem(block.as_bytes()),
        AlgorithmFamily::Ec => DecodingKey::from_ec_pem(block.as_bytes()),
        AlgorithmFamily::Ed => DecodingKey::from_ed_pem(block.as_bytes()),
        AlgorithmFamily::Hmac => bail!("{algorithm:?} has no public key"),
    };
    key.ok()
        .with_context(|| format!("this is no {algorithm:?} key"))
}

fn usable(jwk: &Jwk, algorithms: &[Algorithm]) -> Option<Key> {
    let common = &jwk.common;
    let for_signing = common
        .public_key_use
        .as_ref()
        .is_none_or(|it| *it == PublicKeyUse::Signature);
    let operations = common.key_operations.as_ref();
    let verifies = operations.is_none_or(|them| them.contains(&KeyOperations::Verify));
    let algorithm = match common.key_algorithm {
        Some(named) => Algorithm::try_from(named).ok()?,
        None => implied(&jwk.algorithm, algorithms)?,
    };
    // A symmetric key in a document that anyone may fetch is no secret.
    let public = algorithm.family() != AlgorithmFamily::Hmac;
    if !(for_signing && verifies && public && algorithms.contains(&algorithm)) {
        return None;
    }
    let key = DecodingKey::from_jwk(jwk).ok()?;
    Key::new(common.key_id.clone(), algorithm, key).ok()
}

/// The algorithm of a key that names none: its curve's, and for RSA, which serves several, the first
/// that is configured.
fn implied(parameters: &AlgorithmParameters, algorithms: &[Algorithm]) -> Option<Algorithm> {
    match parameters {
        AlgorithmParameters::RSA(_) => algorithms
            .iter()
            .copied()
            .find(|it| it.family() == AlgorithmFamily::Rsa),
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
            Some(Algorithm::ES256)
        }
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P384 => {
            Some(Algorithm::ES384)
        }
        AlgorithmParameters::OctetKeyPair(_) => Some(Algorithm::EdDSA),
        _ => None,
    }
}
