//! Letting a new node in.

use oms_core::{Failure, codes};
use oms_meta::{FEATURE_LEVEL, MetaCommand, MetaState};
use oms_proto::{
    meta::{AdmitNode, NodeRecord, TokenRecord},
    peer::{JoinRequest, JoinResponse},
    v1::NodeState,
};

use super::seal::{JOIN_VERSION, NONCE_BYTES, TokenSecret, fresh_nonce};
use crate::{api::Backend, metadata::Metadata, secrets::Vault};

/// What a newcomer says is bounded before it is looked at.
const LONGEST_TEXT: usize = 500;

/// Answers a newcomer: proves and asks to be proven, gives it an id, and hands over the cluster's key.
/// Any member can; the id comes from the replicated state. Repeating a request gives the same id.
///
/// # Errors
/// `OMS-CLUSTER-0013` for an unknown token and for a wrong secret alike, `-0014`, `-0015`, `-0016`, `-0017`
/// and `-0030` as their pages say, `OMS-API-0009` while there is no leader.
pub(crate) async fn join(backend: &Backend, request: JoinRequest) -> Result<JoinResponse, Failure> {
    check_shape(&request)?;
    let metadata = &backend.metadata;
    let state = metadata.latest().await?;
    let token = state.tokens().find(|t| id_of(t) == request.token_id);
    let secret = token.map(|t| opened(&backend.vault, t)).transpose()?;
    let Some(secret) = secret.filter(|s| s.verify_request(&request)) else {
        return Err(Failure::new(
            codes::cluster::TOKEN_UNKNOWN,
            "this cluster has no such token",
        ));
    };
    check_version(&state, &request)?;
    let node = admit(metadata, &request).await?;
    tracing::info!(node, address = %request.address, token = %request.token_id, "a node was let in");
    let nonce = fresh_nonce()?;
    let mut response = JoinResponse {
        version: JOIN_VERSION,
        cluster_id: backend.cluster_id.clone(),
        node_id: node,
        sealed_key: secret.seal_key(&request, &nonce, backend.vault.expose())?,
        nonce,
        proof: bytes::Bytes::new(),
    };
    response.proof = secret.prove_response(&request, &response);
    Ok(response)
}

async fn admit(metadata: &Metadata, request: &JoinRequest) -> Result<u64, Failure> {
    let record = NodeRecord {
        address: request.address.clone(),
        region: request.region.clone(),
        zone: request.zone.clone(),
        version: request.software_version.clone(),
        witness: request.witness,
        feature_level: request.feature_level,
        folder_id: request.folder_id.clone(),
        ..NodeRecord::default()
    };
    let admit = AdmitNode {
        token_id: request.token_id.clone(),
        node: Some(record),
    };
    metadata.propose(MetaCommand::AdmitNode(admit)).await
}

fn check_shape(request: &JoinRequest) -> Result<(), Failure> {
    if request.version != JOIN_VERSION {
        let words = format!(
            "the new node speaks version {} of the join, this cluster speaks {JOIN_VERSION}",
            request.version
        );
        return Err(Failure::new(codes::cluster::VERSION_MISMATCH, words));
    }
    let texts = [
        &request.token_id,
        &request.folder_id,
        &request.address,
        &request.region,
        &request.zone,
        &request.software_version,
    ];
    let whole = texts.iter().all(|t| !t.is_empty() && t.len() <= LONGEST_TEXT);
    if !whole || request.nonce.len() != NONCE_BYTES {
        return Err(Failure::new(
            codes::api::INVALID_ARGUMENT,
            "the request to join is not complete",
        ));
    }
    Ok(())
}

/// A newcomer must understand what all nodes may use already, and be understood by them: commands of its
/// own level are not used before all nodes have it, and one step is what upgrades are made of.
fn check_version(state: &MetaState, request: &JoinRequest) -> Result<(), Failure> {
    let used = state
        .nodes()
        .filter(|n| n.state() != NodeState::Removed)
        .map(|n| n.feature_level)
        .min()
        .unwrap_or(FEATURE_LEVEL);
    let fits = (used..=used.max(FEATURE_LEVEL).saturating_add(1)).contains(&request.feature_level);
    if fits {
        return Ok(());
    }
    let words = format!(
        "omsnode {} has feature level {}, the cluster works at level {used}",
        request.software_version, request.feature_level
    );
    Err(Failure::new(codes::cluster::VERSION_MISMATCH, words))
}

fn id_of(token: &TokenRecord) -> &str {
    token.public.as_ref().map_or("", |p| p.id.as_str())
}

fn opened(vault: &Vault, token: &TokenRecord) -> Result<TokenSecret, Failure> {
    let text = vault.unseal(id_of(token), &token.sealed_secret)?;
    TokenSecret::decode(text.expose()).ok_or_else(|| {
        let words = format!("the secret of token {} is damaged", id_of(token));
        Failure::new(codes::cluster::METADATA_CORRUPT, words)
    })
}

#[cfg(test)]
mod tests {
    use oms_proto::meta::RegisterNode;

    use super::*;

    fn state(level: u32) -> MetaState {
        let mut state = MetaState::default();
        let node = NodeRecord {
            id: 1,
            address: "h:1".into(),
            feature_level: level,
            ..Default::default()
        };
        let body = MetaCommand::RegisterNode(RegisterNode { node: Some(node) });
        state.apply_bytes(&oms_meta::command(1, body));
        state
    }

    #[test]
    fn versions_may_be_one_step_apart() {
        let asks = |level| JoinRequest {
            feature_level: level,
            software_version: "9.9.9".into(),
            ..Default::default()
        };
        let state = state(FEATURE_LEVEL);
        assert!(check_version(&state, &asks(FEATURE_LEVEL)).is_ok());
        assert!(check_version(&state, &asks(FEATURE_LEVEL + 1)).is_ok());
        for wrong in [FEATURE_LEVEL - 1, FEATURE_LEVEL + 2] {
            let refused = check_version(&state, &asks(wrong)).unwrap_err();
            assert_eq!(refused.code(), codes::cluster::VERSION_MISMATCH);
            assert!(refused.to_string().contains("9.9.9"), "{refused}");
        }
    }

    #[test]
    fn half_requests_are_refused() {
        let code = |r: &JoinRequest| check_shape(r).unwrap_err().code();
        let mut request = JoinRequest {
            version: JOIN_VERSION + 1,
            ..Default::default()
        };
        assert_eq!(code(&request), codes::cluster::VERSION_MISMATCH);
        request.version = JOIN_VERSION;
        assert_eq!(code(&request), codes::api::INVALID_ARGUMENT);
    }
}
