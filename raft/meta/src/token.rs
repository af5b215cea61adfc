//! Commands on tokens that let nodes in.

use std::sync::Arc;

use oms_proto::{
    meta::{CreateToken, TokenRecord},
    v1::Token,
};
use oms_types::codes;

use crate::state::{MetaState, Outcome, refuse};

/// Tokens that can still be used.
const MAX_TOKENS: usize = 100;
/// Expired tokens are remembered for a day, so that whoever comes late hears that it has expired.
const REMEMBERED_MS: i64 = 86_400_000;
/// Nodes that one token can let in.
const MAX_USES: u32 = 1000;
/// Characters of the remarks.
const MAX_REMARKS: usize = 500;

impl MetaState {
    pub(crate) fn create_token(&mut self, now: i64, c: &CreateToken) -> Outcome {
        let Some((record, public)) = c
            .token
            .as_ref()
            .and_then(|t| t.public.as_ref().map(|p| (t, p)))
            .filter(|(_, p)| !p.id.is_empty())
        else {
            return refuse(codes::api::INVALID_ARGUMENT, "the token is missing");
        };
        if public.expires_at_ms <= now {
            return refuse(codes::api::INVALID_ARGUMENT, "the token would be expired already");
        }
        if !(1..=MAX_USES).contains(&public.uses_left) || public.remarks.chars().count() > MAX_REMARKS {
            return refuse(
                codes::api::INVALID_ARGUMENT,
                format!("a token has 1 to {MAX_USES} uses and remarks of at most {MAX_REMARKS} characters"),
            );
        }
        if self.tokens.contains_key(&public.id) {
            return refuse(codes::api::ALREADY_EXISTS, format!("token {} exists", public.id));
        }
        // Those that let nobody in any more only serve to explain themselves.
        let spent = |t: &TokenRecord| {
            t.public
                .as_ref()
                .is_none_or(|p| p.expires_at_ms <= now || p.uses_left == 0)
        };
        if self.tokens.values().filter(|t| !spent(t)).count() >= MAX_TOKENS {
            return refuse(
                codes::cluster::TOO_MANY_TOKENS,
                format!("{MAX_TOKENS} tokens can be used now"),
            );
        }
        self.forget_expired(now);
        if self.tokens.len() >= MAX_TOKENS {
            Arc::make_mut(&mut self.tokens).retain(|_, t| !spent(t));
        }
        let mut record: TokenRecord = record.clone();
        if let Some(p) = record.public.as_mut() {
            p.created_at_ms = now;
        }
        Arc::make_mut(&mut self.tokens).insert(public.id.clone(), record);
        Ok(1)
    }

    pub(crate) fn revoke_token(&mut self, now: i64, id: &str) -> Outcome {
        if !self.tokens.contains_key(id) {
            return refuse(
                codes::cluster::TOKEN_UNKNOWN,
                format!("token {id:?} does not exist"),
            );
        }
        Arc::make_mut(&mut self.tokens).remove(id);
        self.forget_expired(now);
        Ok(0)
    }

    /// Refuses a token that is unknown or expired.
    pub(crate) fn check_token(&self, now: i64, id: &str) -> Outcome {
        let token = self.tokens.get(id).and_then(|t| t.public.as_ref());
        match token {
            None => refuse(
                codes::cluster::TOKEN_UNKNOWN,
                format!("token {id:?} is not known here"),
            ),
            Some(token) if token.expires_at_ms <= now => refuse(
                codes::cluster::TOKEN_EXPIRED,
                format!(
                    "token {id:?} expired {} s ago",
                    now.saturating_sub(token.expires_at_ms) / 1000
                ),
            ),
            Some(token) => Ok(u64::from(token.uses_left)),
        }
    }

    /// Takes one use from a token that [`MetaState::check_token`] let pass.
    pub(crate) fn use_token(&mut self, now: i64, id: &str) -> Outcome {
        if self.check_token(now, id)? == 0 {
            return refuse(
                codes::cluster::TOKEN_USED,
                format!("token {id:?} was used by other nodes"),
            );
        }
        let token = Arc::make_mut(&mut self.tokens).get_mut(id);
        if let Some(token) = token.and_then(|t| t.public.as_mut()) {
            token.uses_left = token.uses_left.saturating_sub(1);
        }
        self.forget_expired(now);
        Ok(0)
    }

    fn forget_expired(&mut self, now: i64) {
        let gone = |p: &Token| p.expires_at_ms.saturating_add(REMEMBERED_MS) <= now;
        let any = self.tokens.values().any(|t| t.public.as_ref().is_none_or(gone));
        if any {
            Arc::make_mut(&mut self.tokens).retain(|_, t| !t.public.as_ref().is_none_or(gone));
        }
    }
}
