//! A connection to the network of one trust file, on behalf of one caller.
//!
//! Flow: arguments → Candid → ic-agent (signs; checks certificates and query signatures against the pinned root
//! key) → reply → Candid. Answers of `certified_read` are checked a second time, by [`indus_verify`], which is the
//! check that counts: it needs no connection.
//!
//! Invariants
//! - ic-agent's own verification is never switched off.
//! - No HTTP proxy stands between the client and this machine's own addresses.
//!
//! Cost: copies share one pool of HTTP connections, one verifier and one cache of the subnet's node keys.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use candid::Principal;
use candid::de::DecoderConfig;
use candid::utils::{ArgumentDecoder, ArgumentEncoder};
use ic_agent::Agent;
use ic_agent::hash_tree::Label;
use indus_api::CertifiedRead;
use indus_verify::{
    RootKey, Time, TimeBound, VerifiedCertificate, VerifiedWitness, Verifier, VerifyError,
};
use reqwest::Url;
use serde::Serialize;
use serde_bytes::ByteBuf;

use crate::error::{ClientError, one_line, with_sources};
use crate::key::Key;
use crate::trust::TrustFile;

/// Oldest certificate that is accepted as an answer.
pub const MAX_CERTIFICATE_AGE: Duration = Duration::from_secs(5 * 60);
/// Largest HTTP answer: a subnet's replies end at 3 MiB.
const MAX_ANSWER_BYTES: usize = 4 * 1024 * 1024;
/// Most work to decode one answer, in Candid's units (about one for each byte), and most of it for fields that are
/// not in the expected type.
const DECODING_QUOTA: usize = 50_000_000;
const SKIPPING_QUOTA: usize = 1_000_000;
/// Longest wait for one HTTP answer; a call that takes longer is polled for.
const HTTP_TIMEOUT: Duration = Duration::from_secs(60);

/// One caller on one network.
#[derive(Clone)]
pub struct Connection {
    agent: Agent,
    http: reqwest::Client,
    caller: Principal,
    trust: Arc<TrustFile>,
    verifier: Arc<Verifier>,
}

impl Connection {
    /// Connects to the network of `trust` as the anonymous caller. Sends nothing yet.
    ///
    /// Errors: [`ClientError::Http`].
    pub fn open(trust: TrustFile) -> Result<Self, ClientError> {
        let http = http_client(&trust.network)?;
        let agent = Agent::builder()
            .with_url(trust.network.as_str())
            .with_http_client(http.clone())
            .with_max_response_body_size(MAX_ANSWER_BYTES)
            .build()
            .map_err(|error| ClientError::Http(one_line(&with_sources(&error))))?;
        agent.set_root_key(trust.root_key.as_der().to_vec());
        Ok(Self {
            agent,
            http,
            caller: Principal::anonymous(),
            verifier: Arc::new(Verifier::new(trust.root_key.clone())),
            trust: Arc::new(trust),
        })
    }

    /// Connects, as the anonymous caller, to the subnet that `root_key` makes responsible for `canister`: for callers who
    /// know nothing but the key.
    ///
    /// Errors: as [`Connection::open`]; [`ClientError::Unverified`] if the network's certificate is not of that key.
    pub async fn to_subnet_of(
        canister: Principal,
        network: Url,
        root_key: RootKey,
    ) -> Result<Self, ClientError> {
        let root = Principal::self_authenticating(root_key.as_der());
        let mut connection = Self::open(TrustFile {
            network,
            root_key,
            root_key_source: String::from("the caller"),
            subnet: root,
            canisters: BTreeMap::new(),
        })?;
        let certificate = connection.canister_state_unverified(canister).await?;
        let bound = TimeBound::within(MAX_CERTIFICATE_AGE);
        let subnet = connection
            .verifier
            .certificate(&certificate, canister, now(), bound)
            .map_err(|reason| unverified(READ_STATE, reason))?
            .subnet();
        Arc::make_mut(&mut connection.trust).subnet = subnet.unwrap_or(root);
        Ok(connection)
    }

    /// The same connection, for the holder of `key`.
    #[must_use]
    pub fn signing_as(&self, key: &Key) -> Self {
        let mut other = self.clone();
        other.agent.set_arc_identity(key.identity());
        other.caller = key.principal();
        other
    }

    /// Whom calls come from.
    #[must_use]
    pub fn caller(&self) -> Principal {
        self.caller
    }

    /// What this connection trusts.
    #[must_use]
    pub fn trust(&self) -> &TrustFile {
        &self.trust
    }

    /// The agent below, for what has no typed method here.
    #[must_use]
    pub fn agent(&self) -> &Agent {
        &self.agent
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// Calls an update method and waits for the certified reply.
    pub(crate) async fn update<R>(
        &self,
        canister: Principal,
        effective_canister: Principal,
        method: &str,
        arguments: impl ArgumentEncoder,
    ) -> Result<R, ClientError>
    where
        R: for<'a> ArgumentDecoder<'a>,
    {
        let call = self
            .agent
            .update(&canister, method)
            .with_effective_canister_id(effective_canister)
            .with_arg(encode(method, arguments)?);
        let reply = call
            .call_and_wait()
            .await
            .map_err(|error| ClientError::agent(method, error))?;
        decode(method, &reply)
    }

    /// Calls a query method. One node answers and signs; the subnet certifies nothing.
    pub(crate) async fn query_unverified<R>(
        &self,
        canister: Principal,
        method: &str,
        arguments: impl ArgumentEncoder,
    ) -> Result<R, ClientError>
    where
        R: for<'a> ArgumentDecoder<'a>,
    {
        let reply = self
            .query_bytes_unverified(canister, method, arguments)
            .await?;
        decode(method, &reply)
    }

    /// The same, with the reply as the Candid bytes that came.
    pub(crate) async fn query_bytes_unverified(
        &self,
        canister: Principal,
        method: &str,
        arguments: impl ArgumentEncoder,
    ) -> Result<Vec<u8>, ClientError> {
        let call = self
            .agent
            .query(&canister, method)
            .with_arg(encode(method, arguments)?);
        call.call_with_verification()
            .await
            .map_err(|error| ClientError::agent(method, error))
    }

    /// The certificate of what the subnet's state tree shows everybody of `canister`: its controllers and the hash of its
    /// module.
    pub async fn canister_state_unverified(
        &self,
        canister: Principal,
    ) -> Result<Vec<u8>, ClientError> {
        let path = |leaf: &str| {
            [b"canister".as_slice(), canister.as_slice(), leaf.as_bytes()]
                .map(Label::from_bytes)
                .to_vec()
        };
        let paths = vec![path("controllers"), path("module_hash")];
        let certificate = self
            .agent
            .read_state_raw(paths, canister)
            .await
            .map_err(|error| ClientError::agent(READ_STATE, error))?;
        // The agent gives what it has read; certificates have one encoding only.
        let mut serializer = serde_cbor::Serializer::new(Vec::new());
        serializer
            .self_describe()
            .and_then(|()| certificate.serialize(&mut serializer))
            .map_err(|error| ClientError::Reply {
                method: READ_STATE.into(),
                reason: one_line(&error.to_string()),
            })?;
        Ok(serializer.into_inner())
    }

    /// Asks `canister` for `paths` of its certified tree, and verifies nothing yet: see [`Connection::verify`].
    pub async fn certified_read_unverified(
        &self,
        canister: Principal,
        paths: &[Vec<ByteBuf>],
    ) -> Result<CertifiedRead, ClientError> {
        let (answer,): (Result<CertifiedRead, indus_api::Error>,) = self
            .query_unverified(canister, CERTIFIED_READ, (paths,))
            .await?;
        accepted(CERTIFIED_READ, answer)
    }

    /// Verifies what `canister` answered to `method` (`certified_read`, `certified_list` …), without the network.
    ///
    /// Returns the certificate, for its time, and the witness, for its leaves.
    ///
    /// Errors: [`ClientError::Unverified`]; [`ClientError::ForeignSubnet`] if another subnet than that of the
    /// trust file signed it.
    pub fn verify(
        &self,
        canister: Principal,
        method: &str,
        answer: &CertifiedRead,
    ) -> Result<(VerifiedCertificate, VerifiedWitness), ClientError> {
        let bound = TimeBound::within(MAX_CERTIFICATE_AGE);
        let certificate = self
            .verifier
            .certificate(&answer.certificate, canister, now(), bound)
            .map_err(|reason| unverified(method, reason))?;
        // Only the root subnet signs without a delegation; its id is that of its key.
        let signer = certificate
            .subnet()
            .unwrap_or_else(|| Principal::self_authenticating(self.trust.root_key.as_der()));
        if signer != self.trust.subnet {
            let (expected, found) = (self.trust.subnet, signer.to_text());
            return Err(ClientError::ForeignSubnet {
                method: method.into(),
                expected,
                found,
            });
        }
        let witness = certificate
            .witness(&answer.witness)
            .map_err(|reason| unverified(method, reason))?;
        Ok((certificate, witness))
    }
}

/// The caller and the network; the agent has nothing to show.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({} as {})", self.trust.network, self.caller)
    }
}

pub(crate) const CERTIFIED_READ: &str = "certified_read";
const READ_STATE: &str = "read_state";

/// A canister's typed answer as the client's.
pub(crate) fn accepted<T>(
    method: &str,
    answer: Result<T, indus_api::Error>,
) -> Result<T, ClientError> {
    answer.map_err(|error| ClientError::Refused {
        method: method.into(),
        error,
    })
}

pub(crate) fn unverified(method: &str, reason: VerifyError) -> ClientError {
    ClientError::Unverified {
        method: method.into(),
        reason,
    }
}

fn encode(method: &str, arguments: impl ArgumentEncoder) -> Result<Vec<u8>, ClientError> {
    candid::encode_args(arguments).map_err(|error| ClientError::Arguments {
        method: method.into(),
        reason: one_line(&error.to_string()),
    })
}

/// Decodes with a bound on the work: who answers need not be who wrote the types.
pub(crate) fn decode<R: for<'a> ArgumentDecoder<'a>>(
    method: &str,
    reply: &[u8],
) -> Result<R, ClientError> {
    let mut config = DecoderConfig::new();
    config
        .set_decoding_quota(DECODING_QUOTA)
        .set_skipping_quota(SKIPPING_QUOTA)
        .set_full_error_message(false);
    candid::utils::decode_args_with_config(reply, &config).map_err(|error| ClientError::Reply {
        method: method.into(),
        reason: one_line(&error.to_string()),
    })
}

/// This machine's clock; a time before 1970 or after 2554 counts as 1970, and no certificate is accepted then.
fn now() -> Time {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Time::from_nanos(u64::try_from(since_1970.as_nanos()).unwrap_or_default())
}

fn http_client(network: &Url) -> Result<reqwest::Client, ClientError> {
    let mut builder = reqwest::Client::builder().timeout(HTTP_TIMEOUT);
    if is_this_machine(network) {
        builder = builder.no_proxy();
    }
    if network.scheme() == "http" {
        // Without TLS no certificate store is needed, and a bare machine may have none.
        builder = builder.tls_certs_only([]);
    }
    builder
        .build()
        .map_err(|error| ClientError::Http(one_line(&with_sources(&error))))
}

fn is_this_machine(network: &Url) -> bool {
    let host = network.host_str().unwrap_or_default();
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<std::net::IpAddr>();
    host == "localhost"
        || host.ends_with(".localhost")
        || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_this_machine_bypass_a_proxy() {
        for (url, local) in [
            ("http://127.0.0.1:8000", true),
            ("http://[::1]:8000", true),
            ("http://localhost:8000", true),
            ("http://app.localhost:8000", true),
            ("https://icp-api.io", false),
            ("http://192.168.0.1", false),
            ("http://localhost.example.org", false),
        ] {
            assert_eq!(is_this_machine(&Url::parse(url).unwrap()), local, "{url}");
        }
    }
}
