//! Asking a cluster to be let in.

use std::time::Duration;

use oms_core::{ErrorCode, Failure, codes};
use oms_proto::{
    error_of,
    peer::{HeartbeatRequest, JoinRequest},
};
use tokio::time::Instant;

use crate::{
    identity::Identity,
    peer::{JOIN_VERSION, PeerChannels, TokenSecret, fresh_nonce},
    secrets::KEY_LEN,
};

/// How long nodes that do not answer are asked again.
const PATIENCE: Duration = Duration::from_secs(10);
/// Deadline of one request: the asked node may have to wait for its leader.
const ASK: Duration = Duration::from_secs(10);
/// Deadline of asking whether a node belongs to our cluster.
const PROBE: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(300);

/// How a node becomes part of a cluster.
#[derive(Clone)]
pub struct JoinOptions {
    /// Nodes of the cluster, `HOST:PORT`; one that answers is enough.
    pub seeds: Vec<String>,
    /// A join token; not needed by a node that has joined before.
    pub token: String,
    /// Only vote: run no components.
    pub witness: bool,
}

/// Tokens are secrets.
impl std::fmt::Debug for JoinOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinOptions")
            .field("seeds", &self.seeds)
            .field("witness", &self.witness)
            .finish_non_exhaustive()
    }
}

/// What the cluster gave a node that it let in.
pub(crate) struct Admission {
    pub(crate) cluster: String,
    pub(crate) node: u64,
    /// Opens sealed passwords.
    pub(crate) key: [u8; KEY_LEN],
}

/// Where and what a newcomer is.
pub(crate) struct Newcomer<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) address: &'a str,
    pub(crate) region: &'a str,
    pub(crate) zone: &'a str,
}

/// Asks the seeds in turn until one lets the node in. May be repeated with the same identity: the answer is
/// the same.
///
/// # Errors
/// What the cluster refused with, at once; `OMS-CLUSTER-0032` when no seed could answer for ten seconds.
pub(crate) async fn ask(
    options: &JoinOptions,
    newcomer: &Newcomer<'_>,
    peers: &PeerChannels,
) -> Result<Admission, Failure> {
    let (token_id, secret) = TokenSecret::parse(&options.token)?;
    let mut request = JoinRequest {
        version: JOIN_VERSION,
        token_id,
        nonce: fresh_nonce()?,
        folder_id: newcomer.identity.folder.clone(),
        address: newcomer.address.to_owned(),
        region: newcomer.region.to_owned(),
        zone: newcomer.zone.to_owned(),
        witness: newcomer.identity.witness,
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
        feature_level: oms_meta::FEATURE_LEVEL,
        ..JoinRequest::default()
    };
    request.proof = secret.prove_request(&request);
    if options.seeds.is_empty() {
        return Err(Failure::new(
            codes::api::INVALID_ARGUMENT,
            "no node of the cluster was named",
        ));
    }
    let deadline = Instant::now() + PATIENCE;
    let mut last = String::new();
    while Instant::now() < deadline {
        for seed in &options.seeds {
            match ask_one(seed, &request, &secret, peers).await {
                Ok(admission) => return Ok(admission),
                // Another seed, or the same one later, may be able to.
                Err(failure) if failure.is_transient() => {
                    last = format!("{seed}: {}", failure.detail());
                    tracing::info!("not let in yet by {last}");
                }
                Err(failure) => {
                    return Err(Failure::new(
                        failure.code(),
                        format!("{} (said {seed})", failure.detail()),
                    ));
                }
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    let words = format!(
        "nobody could let this node in within {} s; {last}",
        PATIENCE.as_secs()
    );
    Err(Failure::new(codes::cluster::SEED_UNREACHABLE, words))
}

async fn ask_one(
    seed: &str,
    request: &JoinRequest,
    secret: &TokenSecret,
    peers: &PeerChannels,
) -> Result<Admission, Failure> {
    let mut client = peers.client(seed)?;
    let mut message = tonic::Request::new(request.clone());
    message.set_timeout(ASK);
    let asked = tokio::time::timeout(ASK, client.join(message)).await;
    let response = match asked {
        Ok(Ok(response)) => response.into_inner(),
        Ok(Err(status)) => {
            let said = error_of(&status);
            let code = ErrorCode::find(&said.code).unwrap_or(codes::api::INTERNAL);
            return Err(Failure::new(code, said.message));
        }
        Err(_) => {
            peers.forget(seed);
            return Err(Failure::new(codes::api::UNAVAILABLE, "it does not answer"));
        }
    };
    if response.version != JOIN_VERSION {
        let words = format!("its answer has version {}", response.version);
        return Err(Failure::new(codes::cluster::VERSION_MISMATCH, words));
    }
    // Whoever cannot prove the secret is not of the cluster that made the token.
    if !secret.verify_response(request, &response) || response.node_id == 0 || response.cluster_id.is_empty()
    {
        return Err(Failure::new(
            codes::cluster::WRONG_CLUSTER,
            "it does not know the token's secret",
        ));
    }
    Ok(Admission {
        key: secret.open_key(request, &response)?,
        cluster: response.cluster_id,
        node: response.node_id,
    })
}

/// Fails when a seed answers and belongs to another cluster than this node. Seeds that do not answer say
/// nothing: a node that has joined starts without them.
pub(crate) async fn check_cluster(
    seeds: &[String],
    identity: &Identity,
    peers: &PeerChannels,
) -> Result<(), Failure> {
    let probes = seeds.iter().map(|seed| async move {
        let Ok(mut client) = peers.client(seed) else {
            return Ok(());
        };
        let mut request = tonic::Request::new(HeartbeatRequest {
            cluster_id: identity.cluster.clone(),
            node: identity.node,
            ..HeartbeatRequest::default()
        });
        request.set_timeout(PROBE);
        let said = match tokio::time::timeout(PROBE, client.heartbeat(request)).await {
            Ok(Err(status)) => error_of(&status),
            Ok(Ok(_)) | Err(_) => return Ok(()),
        };
        let fatal = [codes::cluster::WRONG_CLUSTER, codes::cluster::NODE_REMOVED];
        match fatal.into_iter().find(|code| code.as_str() == said.code) {
            Some(code) => Err(Failure::new(code, format!("{} (said {seed})", said.message))),
            None => Ok(()),
        }
    });
    futures::future::try_join_all(probes).await.map(drop)
}
