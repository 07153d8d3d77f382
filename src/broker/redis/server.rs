//! Which server is to be used, and connections to it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ErrorKind, IntoConnectionInfo,
    RedisConnectionInfo, RedisError, RedisResult, TlsCertificates, cmd,
};
use tokio::time::timeout;

use super::keys::Keys;
use crate::config::{self, Topology};

/// How long after the first that knows where the log is the others may say so too.
const OTHERS_WITHIN: Duration = Duration::from_millis(200);

/// Host and port.
pub(super) type Address = (String, u16);
/// Of a cluster: from which slot, up to which, and the nodes that have it, the primary first.
type Slots = (u16, u16, Vec<Address>);

/// How servers are found and reached.
pub(super) struct Servers {
    settings: config::Redis,
    url: config::RedisUrl,
    /// What authorities are trusted, in PEM, where those are not the system's.
    authorities: Option<Vec<u8>>,
    keys: Arc<Keys>,
}

impl Servers {
    /// # Errors
    /// The file with the certificates cannot be read.
    pub fn new(
        settings: &config::Redis,
        url: &config::RedisUrl,
        keys: Arc<Keys>,
    ) -> std::io::Result<Self> {
        let authorities = settings.ca_file.as_ref().map(std::fs::read).transpose()?;
        if url.tls {
            // The client of Redis takes that of the process, and panics where several are built in and none
            // is chosen. Fails where one is chosen already, which is as good.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        Ok(Self {
            settings: settings.clone(),
            url: url.clone(),
            authorities,
            keys,
        })
    }

    /// The server to use now: the one there is, the primary that a sentinel names, or the node that has
    /// the keys.
    ///
    /// All that the URL names are asked at once, and most of those that answer in time are right: one that is
    /// dead holds nobody up, and one that is cut off from the others does not lead back to an old primary.
    pub async fn locate(&self) -> RedisResult<Address> {
        let ask = async |host: &Address| match &self.url.topology {
            Topology::Single => Ok(host.clone()),
            Topology::Sentinel(name) => self.ask_sentinel(host, name).await,
            Topology::Cluster => self.ask_node(host).await,
        };
        let mut asked: FuturesUnordered<_> = self.url.hosts.iter().map(ask).collect();
        let mut answers: HashMap<Address, usize> = HashMap::new();
        let mut failure = None;
        while let Some(answer) = asked.next().await {
            match answer {
                Ok(address) => {
                    answers.insert(address, 1);
                    break;
                }
                Err(error) => failure = Some(error),
            }
        }
        let others = async {
            while let Some(answer) = asked.next().await {
                answer.map_or_else(drop, |address| *answers.entry(address).or_default() += 1);
            }
        };
        // Late ones, and those that are dead, are not waited for.
        let _ = timeout(OTHERS_WITHIN, others).await;
        let most = answers.into_iter().max_by_key(|(_, count)| *count);
        let failed = || failure.unwrap_or_else(|| nowhere("no host is named"));
        most.map(|(address, _)| address).ok_or_else(failed)
    }

    /// Sentinels often know no password, and refuse one that is offered.
    async fn ask_sentinel(&self, host: &Address, name: &str) -> RedisResult<Address> {
        match self.master(host, nobody(), name).await {
            Err(error) if is_about_credentials(&error) => {
                self.master(host, self.credentials(), name).await
            }
            answer => answer,
        }
    }

    async fn master(
        &self,
        host: &Address,
        who: RedisConnectionInfo,
        name: &str,
    ) -> RedisResult<Address> {
        let mut sentinel = self.open(host, who, self.settings.timeout).await?;
        let mut ask = cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(name);
        let found: Option<Address> = ask.query_async(&mut sentinel).await?;
        found.ok_or_else(|| nowhere("the sentinel knows no primary of that name"))
    }

    async fn ask_node(&self, host: &Address) -> RedisResult<Address> {
        let mut node = self
            .open(host, self.credentials(), self.settings.timeout)
            .await?;
        let mut ask = cmd("CLUSTER");
        let slot: u16 = ask
            .arg("KEYSLOT")
            .arg(&self.keys.log)
            .query_async(&mut node)
            .await?;
        let slots: Vec<redis::Value> = cmd("CLUSTER").arg("SLOTS").query_async(&mut node).await?;
        let slots = slots.iter().filter_map(range).collect::<Vec<Slots>>();
        let range = slots
            .into_iter()
            .find(|(from, to, _)| (*from..=*to).contains(&slot));
        let primary = range.and_then(|(_, _, nodes)| nodes.into_iter().next());
        let (name, port) =
            primary.ok_or_else(|| nowhere("no node of the cluster has the slot of the log"))?;
        // A node that does not know its own name is the one that was asked.
        let name = if name.is_empty() {
            host.0.clone()
        } else {
            name
        };
        Ok((name, port))
    }

    /// A connection on which an answer may take so long; it ends with the first failure, and is not made
    /// anew by itself: who comes next must first see whether the log is still the same.
    pub async fn connect(
        &self,
        address: &Address,
        answer_within: Duration,
    ) -> RedisResult<MultiplexedConnection> {
        self.open(address, self.credentials(), answer_within).await
    }

    fn credentials(&self) -> RedisConnectionInfo {
        let mut who = nobody().set_db(self.url.database);
        if let Some(username) = &self.url.username {
            who = who.set_username(username);
        }
        if let Some(password) = &self.url.password {
            who = who.set_password(password);
        }
        who
    }

    async fn open(
        &self,
        (host, port): &Address,
        who: RedisConnectionInfo,
        answer_within: Duration,
    ) -> RedisResult<MultiplexedConnection> {
        let address = match self.url.tls {
            false => ConnectionAddr::Tcp(host.clone(), *port),
            true => ConnectionAddr::TcpTls {
                host: host.clone(),
                port: *port,
                insecure: false,
                tls_params: None,
            },
        };
        let info = address.into_connection_info()?.set_redis_settings(who);
        let client = match &self.authorities {
            Some(pem) if self.url.tls => {
                let certificates = TlsCertificates {
                    client_tls: None,
                    root_cert: Some(pem.clone()),
                };
                Client::build_with_tls(info, certificates)?
            }
            _ => Client::open(info)?,
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.settings.timeout))
            .set_response_timeout(Some(answer_within));
        client
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }
}

/// Without the name of the library, which a user with few rights may not say: Redis would note each time that
/// it was refused.
fn nobody() -> RedisConnectionInfo {
    RedisConnectionInfo::default().set_skip_set_lib_name()
}

fn nowhere(text: &'static str) -> RedisError {
    (ErrorKind::Client, text).into()
}

fn is_about_credentials(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
        || error
            .code()
            .is_some_and(|code| ["NOAUTH", "WRONGPASS"].contains(&code))
}

/// One line of `CLUSTER SLOTS`; each node in it has more fields in newer servers.
fn range(line: &redis::Value) -> Option<Slots> {
    let redis::Value::Array(fields) = line else {
        return None;
    };
    let (from, to) = (number(fields.first()?)?, number(fields.get(1)?)?);
    let node = |node: &redis::Value| {
        let redis::Value::Array(fields) = node else {
            return None;
        };
        // Nothing where it is for the client to know.
        let name: Option<String> = redis::from_redis_value_ref(fields.first()?).ok()?;
        Some((name.unwrap_or_default(), number(fields.get(1)?)?))
    };
    Some((from, to, fields.iter().skip(2).filter_map(node).collect()))
}

fn number(value: &redis::Value) -> Option<u16> {
    redis::from_redis_value_ref(value).ok()
}
