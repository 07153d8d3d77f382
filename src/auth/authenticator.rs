//! The judge of tokens: keys and rules in force, exchanged as one on a reload.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use arc_swap::ArcSwap;
use jsonwebtoken::Algorithm;
use sha2::{Digest, Sha256};

use super::jwks::{Remote, RemoteSettings};
use super::keys::KeySet;
use super::secrets;
use super::token::{self, Identity, Reason, Refusal, Rules};
use crate::config::{self, AuthKeys};
use crate::domain::session;

/// What the bearer of a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everything.
    Admin,
    /// Publish, and nothing else.
    Publisher,
    /// Nothing: 403.
    None,
}

/// How the keys are doing, for health checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyState {
    /// Where they come from, without credentials.
    pub source: String,
    /// How many there are; 0 answers every token with 503.
    pub keys: usize,
    /// When they were last fetched, in milliseconds since the Unix epoch; `None` where they are not
    /// fetched or never yet were.
    pub last_refresh_ms: Option<u64>,
    /// Why the last fetch failed; `None` when it did not.
    pub last_error: Option<String>,
    /// `None` where they are not fetched.
    pub fetched: Option<FetchState>,
}

/// How the fetching of keys is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchState {
    /// Fetches that failed.
    pub failures: u64,
    /// Time since the last good one; `None` before.
    pub age: Option<Duration>,
    /// How old the keys may become.
    pub age_max: Duration,
}

/// Verifies tokens. Clones share keys and rules.
#[derive(Clone)]
pub struct Authenticator(Arc<ArcSwap<InForce>>);

struct InForce {
    keys: Keys,
    /// The only algorithms taken; a token's `alg` has no say.
    algorithms: Vec<Algorithm>,
    rules: Rules,
    /// Shared with the sessions that they let in.
    permitted_roles: Vec<Arc<str>>,
    publisher_roles: Vec<Arc<str>>,
}

struct Keys {
    /// For people, without credentials.
    source: String,
    holder: Holder,
    /// A hash of what stood in each file that they came from, by the setting that names it.
    files: BTreeMap<&'static str, [u8; 32]>,
}

enum Holder {
    Fixed(Arc<KeySet>),
    Remote(Remote),
}

impl Authenticator {
    /// Loads the keys; those behind a URL begin to be fetched.
    ///
    /// # Errors
    /// The keys cannot be read or are not of the kind the algorithm needs, as one line for people.
    pub fn start(auth: &config::Auth) -> anyhow::Result<Self> {
        let in_force = InForce::build(auth, None)?;
        Ok(Self(Arc::new(ArcSwap::from_pointee(in_force))))
    }

    /// Exchanges keys and rules, and reads files anew. Keys fetched from the same URL stay until it has answered
    /// again. Returns the settings that name a file in which other keys stand now.
    ///
    /// # Errors
    /// As [`Authenticator::start`]; the old keys and rules then stay in force.
    pub fn reload(&self, auth: &config::Auth) -> anyhow::Result<Vec<&'static str>> {
        let in_force = Arc::new(InForce::build(auth, Some(&self.0.load()))?);
        let old = self.0.swap(in_force.clone());
        let is_other = |name: &&'static str| {
            let before = old.keys.files.get(name);
            before.is_some() && before != in_force.keys.files.get(name)
        };
        Ok(in_force
            .keys
            .files
            .keys()
            .copied()
            .filter(is_other)
            .collect())
    }

    /// Whose token it is, if it holds at `now_ms`, milliseconds since the Unix epoch. Waits only for
    /// keys behind a URL, a few seconds at most; dropping it while it waits harms nobody.
    ///
    /// # Errors
    /// The token is at fault, or there are no keys yet.
    pub async fn verify(&self, jwt: &str, now_ms: u64) -> Result<Identity, Refusal> {
        let header = token::read_header(jwt)?;
        let in_force = self.0.load_full();
        // Before the key is looked for, so that such a token never makes us fetch.
        if !in_force.algorithms.contains(&header.alg) {
            return Err(Reason::Algorithm(header.alg).into());
        }
        let keys = match &in_force.keys.holder {
            Holder::Fixed(keys) => keys.clone(),
            Holder::Remote(remote) => remote.keys(header.kid.as_deref()).await?,
        };
        let claims = keys.open(jwt, &header)?;
        Ok(claims.judge(&in_force.rules, now_ms)?)
    }

    /// What `identity` may do by the roles in force now. Roles match exactly, never in part.
    pub fn access(&self, identity: &Identity) -> Access {
        let in_force = self.0.load();
        let any_of = |roles: &[Arc<str>]| {
            let mut given = identity.roles.iter();
            given.any(|role| roles.iter().any(|known| **known == **role))
        };
        if any_of(&in_force.permitted_roles) {
            Access::Admin
        } else if any_of(&in_force.publisher_roles) {
            Access::Publisher
        } else {
            Access::None
        }
    }

    /// `identity` as somebody who may use everything, and by which role; `None` where it may not.
    ///
    /// A token is taken for a leeway beyond its `exp`; its streams then live until the leeway is over.
    pub fn as_admin(&self, identity: Identity, now_ms: u64) -> Option<session::Identity> {
        let in_force = self.0.load();
        self.as_holder(identity, &in_force.permitted_roles, now_ms)
    }

    /// The same for somebody who may publish at least.
    pub fn as_publisher(&self, identity: Identity, now_ms: u64) -> Option<session::Identity> {
        let in_force = self.0.load();
        let roles = [
            in_force.permitted_roles.as_slice(),
            in_force.publisher_roles.as_slice(),
        ];
        self.as_holder(identity, &roles.concat(), now_ms)
    }

    fn as_holder(
        &self,
        identity: Identity,
        admitted: &[Arc<str>],
        now_ms: u64,
    ) -> Option<session::Identity> {
        let known = |role: &String| admitted.iter().find(|known| ***known == **role);
        let role = identity.roles.iter().find_map(known)?.clone();
        let expires_at_ms = if identity.expires_at_ms <= now_ms {
            let leeway_ms = self.0.load().rules.leeway_ms;
            identity.expires_at_ms.saturating_add(leeway_ms)
        } else {
            identity.expires_at_ms
        };
        Some(session::Identity {
            user: identity.user,
            role,
            expires_at_ms,
            issued_at_ms: identity.issued_at_ms,
            token_id: identity.token_id,
        })
    }

    pub fn key_state(&self) -> KeyState {
        let in_force = self.0.load();
        let source = in_force.keys.source.clone();
        match &in_force.keys.holder {
            Holder::Fixed(keys) => KeyState {
                source,
                keys: keys.len(),
                last_refresh_ms: None,
                last_error: None,
                fetched: None,
            },
            Holder::Remote(remote) => {
                let fetched = remote.fetched();
                let fetches = FetchState {
                    failures: fetched.failures,
                    age: fetched.age(),
                    age_max: remote.settings.keep,
                };
                KeyState {
                    source,
                    keys: fetched.keys.map_or(0, |keys| keys.len()),
                    last_refresh_ms: fetched.refreshed_at_ms,
                    last_error: fetched.error,
                    fetched: Some(fetches),
                }
            }
        }
    }
}

impl InForce {
    fn build(auth: &config::Auth, old: Option<&Self>) -> anyhow::Result<Self> {
        let old_remote = old.and_then(|old| match &old.keys.holder {
            Holder::Remote(remote) => Some(remote),
            Holder::Fixed(_) => None,
        });
        Ok(Self {
            keys: load(auth, old_remote)?,
            algorithms: algorithms(&auth.keys),
            rules: Rules::from(auth),
            permitted_roles: shared(&auth.permitted_roles),
            publisher_roles: shared(&auth.publisher_roles),
        })
    }
}

fn algorithms(keys: &AuthKeys) -> Vec<Algorithm> {
    match keys {
        AuthKeys::Secret(_) | AuthKeys::SecretFile(_) => vec![Algorithm::HS256],
        AuthKeys::Pem { algorithm, .. } => vec![*algorithm],
        AuthKeys::JwksFile { algorithms, .. } | AuthKeys::JwksUrl { algorithms, .. } => {
            algorithms.clone()
        }
    }
}

fn shared(roles: &[String]) -> Vec<Arc<str>> {
    roles.iter().map(|role| role.as_str().into()).collect()
}

fn load(auth: &config::Auth, old: Option<&Remote>) -> anyhow::Result<Keys> {
    let mut files = BTreeMap::new();
    let (source, holder) = match &auth.keys {
        AuthKeys::Secret(secret) => (
            "secret".to_owned(),
            shared_secret(secret, auth, &mut files)?,
        ),
        AuthKeys::SecretFile(path) => {
            let secret = secrets::read_one(path)?;
            files.insert("auth.secret_file", Sha256::digest(&secret).into());
            (
                format!("secret file {}", path.display()),
                shared_secret(&secret, auth, &mut files)?,
            )
        }
        AuthKeys::Pem { path, algorithm } => {
            let place = path.display();
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the public key {place}"))?;
            files.insert("auth.public_key_file", Sha256::digest(&text).into());
            let keys = KeySet::from_pem(&text, *algorithm).with_context(|| place.to_string())?;
            (format!("PEM file {place}"), Holder::Fixed(keys.into()))
        }
        AuthKeys::JwksFile { path, algorithms } => {
            let place = path.display();
            let document = std::fs::read(path)
                .with_context(|| format!("cannot read the JWKS file {place}"))?;
            files.insert("auth.jwks_file", Sha256::digest(&document).into());
            let keys =
                KeySet::from_jwks(&document, algorithms).with_context(|| place.to_string())?;
            (format!("JWKS file {place}"), Holder::Fixed(keys.into()))
        }
        AuthKeys::JwksUrl {
            url,
            algorithms,
            refresh,
            cool_down,
            keep,
        } => {
            let settings = RemoteSettings {
                url: url.clone(),
                algorithms: algorithms.clone(),
                refresh: *refresh,
                cool_down: *cool_down,
                keep: *keep,
            };
            let remote = Remote::start(settings, old)?;
            (
                format!("JWKS URL at {}", host(url)?),
                Holder::Remote(remote),
            )
        }
    };
    Ok(Keys {
        source,
        holder,
        files,
    })
}

/// With the secrets of before beside it, where a file has any.
fn shared_secret(
    secret: &str,
    auth: &config::Auth,
    files: &mut BTreeMap<&'static str, [u8; 32]>,
) -> anyhow::Result<Holder> {
    let previous = match &auth.previous_secret_file {
        None => Vec::new(),
        Some(path) => {
            let previous = secrets::read_previous(path)?;
            let digest = Sha256::digest(previous.join("\n"));
            files.insert("auth.previous_secret_file", digest.into());
            previous
        }
    };
    Ok(Holder::Fixed(
        KeySet::from_secrets(secret, &previous)?.into(),
    ))
}

/// The part of a URL that holds no credentials.
fn host(url: &str) -> anyhow::Result<String> {
    let url = reqwest::Url::parse(url)?;
    Ok(url
        .host_str()
        .context("the JWKS URL names no host")?
        .to_owned())
}
