//! Tokens that let new nodes in.

use std::net::IpAddr;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use oms_core::{Failure, codes};
use oms_meta::MetaCommand;
use oms_mysql::connection::Secret;
use oms_proto::{
    meta::{CreateToken, RevokeToken, TokenRecord},
    v1::{
        CreateTokenRequest, CreateTokenResponse, ListTokensRequest, ListTokensResponse, NodeState,
        RevokeTokenRequest, RevokeTokenResponse, Token, token_service_server::TokenService,
    },
};
use ring::rand::{SecureRandom as _, SystemRandom};
use tonic::{Request, Response, Status};

use super::{Backend, status};

/// What every token begins with, so that it is recognised where it should not be.
const PREFIX: &str = "omsnode-join";
/// Random bytes of an id and of a secret.
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 32;
/// How long a token is valid, in seconds: unless said, and at most.
const USUAL_SECONDS: u64 = 3600;
const MOST_SECONDS: u64 = 30 * 24 * 3600;

/// The token service.
pub(crate) struct Tokens(pub(crate) Backend);

impl Tokens {
    async fn create(&self, r: CreateTokenRequest) -> Result<CreateTokenResponse, Failure> {
        if r.valid_seconds > MOST_SECONDS {
            let words = format!(
                "valid_seconds is {}; a token is valid for at most {MOST_SECONDS} s (30 days)",
                r.valid_seconds
            );
            return Err(Failure::new(codes::api::INVALID_ARGUMENT, words));
        }
        let state = self.0.metadata.latest().await?;
        let nowhere = |address: &str| {
            let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
            let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
            ip.is_ok_and(|ip| ip.is_unspecified())
        };
        if let Some(node) = state
            .nodes()
            .find(|n| n.state() != NodeState::Removed && nowhere(&n.address))
        {
            let words = format!(
                "no other node can reach node {} at {}; start it again with `--advertise HOST:PORT` first",
                node.id, node.address
            );
            return Err(Failure::new(codes::api::WRONG_STATE, words));
        }
        let seconds = if r.valid_seconds == 0 {
            USUAL_SECONDS
        } else {
            r.valid_seconds
        };
        let now_ms = self.0.metadata.now_ms();
        let id = random::<ID_BYTES>()?
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<String>();
        let secret = Secret::new(URL_SAFE_NO_PAD.encode(random::<SECRET_BYTES>()?));
        let token = Token {
            id: id.clone(),
            created_at_ms: now_ms,
            expires_at_ms: now_ms.saturating_add_unsigned(seconds.saturating_mul(1_000)),
            uses_left: r.uses.max(1),
            remarks: r.remarks,
        };
        let record = TokenRecord {
            sealed_secret: self.0.vault.seal(&id, &secret)?,
            public: Some(token.clone()),
        };
        let body = MetaCommand::CreateToken(CreateToken { token: Some(record) });
        self.0.metadata.propose(body).await?;
        Ok(CreateTokenResponse {
            token: Some(token),
            secret: format!("{PREFIX}.{id}.{}", secret.expose()),
        })
    }
}

fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Failure::new(codes::api::INTERNAL, "the system gives no random numbers"))?;
    Ok(bytes)
}

#[tonic::async_trait]
impl TokenService for Tokens {
    async fn create_token(
        &self,
        request: Request<CreateTokenRequest>,
    ) -> Result<Response<CreateTokenResponse>, Status> {
        let created = self.create(request.into_inner()).await;
        created.map(Response::new).map_err(status)
    }

    async fn list_tokens(
        &self,
        _: Request<ListTokensRequest>,
    ) -> Result<Response<ListTokensResponse>, Status> {
        let state = self.0.metadata.latest().await.map_err(status)?;
        let tokens = state.tokens().filter_map(|t| t.public.clone()).collect();
        Ok(Response::new(ListTokensResponse { tokens }))
    }

    async fn revoke_token(
        &self,
        request: Request<RevokeTokenRequest>,
    ) -> Result<Response<RevokeTokenResponse>, Status> {
        let id = request.into_inner().id;
        let body = MetaCommand::RevokeToken(RevokeToken { id });
        self.0.metadata.propose(body).await.map_err(status)?;
        Ok(Response::new(RevokeTokenResponse {}))
    }
}
