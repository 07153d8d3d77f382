//! The keys of `[auth]`: one of five places where they can be, made into [`AuthKeys`].

use std::path::PathBuf;
use std::time::Duration;

use jsonwebtoken::Algorithm;

use super::environment::{Environment, JWT_SECRET, JWT_SECRET_FILE};
use super::error::ConfigError;
use super::keys::{DAY, HOUR};
use super::kinds::{Choice, List, Maybe, Millis, Visitor};
use super::secrets;
use super::texts::file;
use super::written::Reader;

/// Where the keys come from. One key family each: families never mix.
#[derive(Clone, PartialEq)]
pub enum AuthKeys {
    /// HS256 with this secret (`JWT_SECRET`), at least 32 bytes.
    Secret(String),
    /// HS256 with the secret in this file (`JWT_SECRET_FILE`), read at start and on reload.
    SecretFile(PathBuf),
    /// Public keys in PEM, one algorithm, read at start and on reload.
    Pem { path: PathBuf, algorithm: Algorithm },
    /// A JWKS document on disk, read at start and on reload.
    JwksFile {
        path: PathBuf,
        algorithms: Vec<Algorithm>,
    },
    /// A JWKS URL, cached; refreshed on an unknown `kid`, at most once per `cool_down`, and kept for
    /// `keep` while it cannot be.
    JwksUrl {
        url: String,
        algorithms: Vec<Algorithm>,
        refresh: Duration,
        cool_down: Duration,
        keep: Duration,
    },
}

impl std::fmt::Debug for AuthKeys {
    /// Never prints the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Secret(_) => f.write_str("Secret(***)"),
            Self::SecretFile(path) => write!(f, "SecretFile({})", path.display()),
            Self::Pem { path, algorithm } => write!(f, "Pem({}, {algorithm:?})", path.display()),
            Self::JwksFile { path, .. } => write!(f, "JwksFile({})", path.display()),
            Self::JwksUrl { url, .. } => write!(f, "JwksUrl({})", secrets::masked_url(url)),
        }
    }
}

/// Only for public keys: a shared secret is always HS256, and the two never mix, because then a
/// public key could be used as the secret.
const ALGORITHMS: Choice<Algorithm> = Choice(&[
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
]);
const JWKS_REFRESH: Duration = Duration::from_secs(600);
const JWKS_COOL_DOWN: Duration = Duration::from_secs(30);
const JWKS_KEEP: Duration = Duration::from_secs(24 * 3600);

/// Each place, with the other keys that only make sense beside it.
const PLACES: [(&str, &[&str]); 5] = [
    ("secret", &["previous_secret_file"]),
    ("secret_file", &["previous_secret_file"]),
    ("public_key_file", &["algorithm"]),
    ("jwks_file", &["algorithms"]),
    (
        "jwks_url",
        &[
            "algorithms",
            "jwks_refresh_ms",
            "jwks_cool_down_ms",
            "jwks_keep_ms",
        ],
    ),
];

/// The keys as written.
#[derive(Default)]
pub struct WrittenKeys {
    secret: Option<String>,
    secret_file: Option<PathBuf>,
    public_key_file: Option<PathBuf>,
    algorithm: Option<Algorithm>,
    jwks_file: Option<PathBuf>,
    jwks_url: Option<String>,
    algorithms: Option<Vec<Algorithm>>,
    jwks_refresh: Option<Duration>,
    jwks_cool_down: Option<Duration>,
    jwks_keep: Option<Duration>,
}

impl WrittenKeys {
    /// What holds of the keys that have a default.
    pub fn defaults() -> Self {
        Self {
            algorithms: Some(vec![Algorithm::RS256]),
            jwks_refresh: Some(JWKS_REFRESH),
            jwks_cool_down: Some(JWKS_COOL_DOWN),
            jwks_keep: Some(JWKS_KEEP),
            ..Self::default()
        }
    }

    pub fn visit<V: Visitor>(&mut self, v: &mut V) -> Result<(), V::Error> {
        let algorithms = Maybe(List {
            of: ALGORITHMS,
            min: 1,
        });
        v.visit(
            "auth.secret",
            Maybe(secrets::jwt_secret()),
            &mut self.secret,
        )?;
        v.visit("auth.secret_file", Maybe(file()), &mut self.secret_file)?;
        v.visit(
            "auth.public_key_file",
            Maybe(file()),
            &mut self.public_key_file,
        )?;
        v.visit("auth.algorithm", Maybe(ALGORITHMS), &mut self.algorithm)?;
        v.visit("auth.jwks_file", Maybe(file()), &mut self.jwks_file)?;
        v.visit(
            "auth.jwks_url",
            Maybe(secrets::web_url()),
            &mut self.jwks_url,
        )?;
        v.visit("auth.algorithms", algorithms, &mut self.algorithms)?;
        v.visit(
            "auth.jwks_refresh_ms",
            Maybe(Millis(10..=DAY)),
            &mut self.jwks_refresh,
        )?;
        v.visit(
            "auth.jwks_cool_down_ms",
            Maybe(Millis(10..=HOUR)),
            &mut self.jwks_cool_down,
        )?;
        v.visit(
            "auth.jwks_keep_ms",
            Maybe(Millis(10..=365 * DAY)),
            &mut self.jwks_keep,
        )
    }

    /// The keys meant, if any were written.
    fn meant(self) -> Result<Option<AuthKeys>, ConfigError> {
        let defaults = Self::defaults();
        let algorithms = self.algorithms.or(defaults.algorithms).unwrap_or_default();
        check_one_family(&algorithms)?;
        Ok(if let Some(secret) = self.secret {
            Some(AuthKeys::Secret(secret))
        } else if let Some(path) = self.secret_file {
            Some(AuthKeys::SecretFile(path))
        } else if let Some(path) = self.public_key_file {
            let missing = || {
                ConfigError::missing(
                    "auth.algorithm".to_owned(),
                    "the algorithm of auth.public_key_file, such as RS256",
                )
            };
            let algorithm = self.algorithm.ok_or_else(missing)?;
            Some(AuthKeys::Pem { path, algorithm })
        } else if let Some(path) = self.jwks_file {
            Some(AuthKeys::JwksFile { path, algorithms })
        } else {
            self.jwks_url.map(|url| AuthKeys::JwksUrl {
                url,
                algorithms,
                refresh: self.jwks_refresh.unwrap_or(JWKS_REFRESH),
                cool_down: self.jwks_cool_down.unwrap_or(JWKS_COOL_DOWN),
                keep: self.jwks_keep.unwrap_or(JWKS_KEEP),
            })
        })
    }
}

impl From<&AuthKeys> for WrittenKeys {
    fn from(keys: &AuthKeys) -> Self {
        let mut written = Self::default();
        match keys.clone() {
            AuthKeys::Secret(secret) => written.secret = Some(secret),
            AuthKeys::SecretFile(path) => written.secret_file = Some(path),
            AuthKeys::Pem { path, algorithm } => {
                written.public_key_file = Some(path);
                written.algorithm = Some(algorithm);
            }
            AuthKeys::JwksFile { path, algorithms } => {
                written.jwks_file = Some(path);
                written.algorithms = Some(algorithms);
            }
            AuthKeys::JwksUrl {
                url,
                algorithms,
                refresh,
                cool_down,
                keep,
            } => {
                written.jwks_url = Some(url);
                written.algorithms = Some(algorithms);
                written.jwks_refresh = Some(refresh);
                written.jwks_cool_down = Some(cool_down);
                written.jwks_keep = Some(keep);
            }
        }
        written
    }
}

/// Reads the keys; `None` where none were written. `JWT_SECRET` or `JWT_SECRET_FILE` goes over whichever the
/// file has.
pub fn read(reader: &mut Reader<'_>) -> Result<Option<AuthKeys>, ConfigError> {
    let variable = variable(reader.environment())?;
    check_one_place(reader, variable.is_some())?;
    let mut written = WrittenKeys::default();
    written.visit(reader)?;
    match variable {
        Some(JWT_SECRET_FILE) => written.secret = None,
        Some(_) => written.secret_file = None,
        None => {}
    }
    written.meant()
}

/// The one that says where the secret is.
fn variable(environment: Environment<'_>) -> Result<Option<&'static str>, ConfigError> {
    let given = [JWT_SECRET, JWT_SECRET_FILE].map(|name| environment.get(name).map(|_| name));
    match given {
        [Some(_), Some(_)] => {
            let reason = format!("so is {JWT_SECRET}, and only one of them can hold the secret");
            Err(ConfigError::misplaced(JWT_SECRET_FILE.to_owned(), reason))
        }
        [secret, file] => Ok(secret.or(file)),
    }
}

/// Each place that the file names and that a variable goes over, with that variable.
pub fn covered(reader: &Reader<'_>) -> Vec<(String, &'static str)> {
    let Ok(Some(variable)) = variable(reader.environment()) else {
        return Vec::new();
    };
    let places = PLACES.iter().map(|(place, _)| format!("auth.{place}"));
    let written = places.filter(|key| reader.is_in_file(key));
    written.map(|key| (key, variable)).collect()
}

fn check_one_place(reader: &Reader<'_>, from_environment: bool) -> Result<(), ConfigError> {
    let is_written = |key: &str| reader.is_in_file(&format!("auth.{key}"));
    let in_file: Vec<_> = PLACES
        .iter()
        .filter(|(place, _)| is_written(place))
        .collect();
    if let [(first, _), (second, _), ..] = in_file[..] {
        let reason = format!("so is auth.{first}, and only one of them can hold the keys");
        return Err(ConfigError::misplaced(format!("auth.{second}"), reason));
    }
    let beside = in_file.first().map_or(&[][..], |(_, beside)| *beside);
    let stray = PLACES
        .iter()
        .flat_map(|(place, keys)| keys.iter().map(move |key| (place, key)));
    for (place, key) in stray {
        if is_written(key) && !beside.contains(key) && !from_environment {
            let reason = format!("it only makes sense beside auth.{place}");
            return Err(ConfigError::misplaced(format!("auth.{key}"), reason));
        }
    }
    Ok(())
}

/// A key of one family must never be tried with the algorithm of another.
fn check_one_family(algorithms: &[Algorithm]) -> Result<(), ConfigError> {
    let family = algorithms.first().map(|algorithm| algorithm.family());
    if algorithms
        .iter()
        .all(|algorithm| Some(algorithm.family()) == family)
    {
        return Ok(());
    }
    let names = format!("{algorithms:?}");
    let allowed = "a list of one family: RS and PS, or ES, or EdDSA";
    Err(ConfigError::value("auth.algorithms", &names, allowed))
}
