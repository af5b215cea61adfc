//! What both sides of a join compute.
//!
//! The token's secret, 32 random bytes, never travels. Both sides prove that they know it by an HMAC over
//! everything that they say, the answer's over the request's proof too, so that neither message can be
//! altered, nor an answer be given to another question. The cluster's key travels sealed under a key that
//! both derive from the secret and their two nonces; every join has its own.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use oms_core::{Failure, codes};
use oms_proto::peer::{JoinRequest, JoinResponse};
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf, hmac,
    rand::{SecureRandom as _, SystemRandom},
};

use crate::secrets::KEY_LEN;

/// Version of the two messages.
pub(crate) const JOIN_VERSION: u32 = 1;
const PREFIX: &str = "omsnode-join";
const SECRET_LEN: usize = 32;
/// Bytes of a nonce.
pub(crate) const NONCE_BYTES: usize = 32;

/// A token's secret.
pub(crate) struct TokenSecret([u8; SECRET_LEN]);

impl TokenSecret {
    /// Reads the text form of the secret alone.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Splits `omsnode-join.<id>.<secret>`.
    ///
    /// # Errors
    /// `OMS-CLUSTER-0013` when the text is not a token. The text is not repeated.
    pub(crate) fn parse(token: &str) -> Result<(String, Self), Failure> {
        let mut parts = token.trim().split('.');
        let parsed = match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(PREFIX), Some(id), Some(secret), None) if !id.is_empty() => {
                Self::decode(secret).map(|secret| (id.to_owned(), secret))
            }
            _ => None,
        };
        parsed.ok_or_else(|| {
            let words = format!("the text is not a whole token; one looks like {PREFIX}.ID.SECRET");
            Failure::new(codes::cluster::TOKEN_UNKNOWN, words)
        })
    }

    /// Proves the request.
    pub(crate) fn prove_request(&self, request: &JoinRequest) -> Bytes {
        self.sign(&request_transcript(request))
    }

    /// Whether the request's proof is right; takes as long when it is not.
    pub(crate) fn verify_request(&self, request: &JoinRequest) -> bool {
        self.verify(&request_transcript(request), &request.proof)
    }

    /// Proves the answer to a request.
    pub(crate) fn prove_response(&self, request: &JoinRequest, response: &JoinResponse) -> Bytes {
        self.sign(&response_transcript(request, response))
    }

    /// Whether the answer's proof is right.
    pub(crate) fn verify_response(&self, request: &JoinRequest, response: &JoinResponse) -> bool {
        self.verify(&response_transcript(request, response), &response.proof)
    }

    /// Seals the cluster's key for the one that asked.
    pub(crate) fn seal_key(
        &self,
        request: &JoinRequest,
        nonce: &[u8],
        key: &[u8; KEY_LEN],
    ) -> Result<Bytes, Failure> {
        let mut sealed = key.to_vec();
        self.sealing_key(&request.nonce, nonce)?
            .seal_in_place_append_tag(once(), Aad::from(&request.proof), &mut sealed)
            .map_err(|_| Failure::new(codes::api::INTERNAL, "the key cannot be sealed"))?;
        Ok(sealed.into())
    }

    /// Opens the cluster's key.
    pub(crate) fn open_key(
        &self,
        request: &JoinRequest,
        response: &JoinResponse,
    ) -> Result<[u8; KEY_LEN], Failure> {
        let failed = || {
            Failure::new(
                codes::cluster::TOKEN_UNKNOWN,
                "the cluster's key cannot be opened",
            )
        };
        let mut sealed = response.sealed_key.to_vec();
        let key = self
            .sealing_key(&request.nonce, &response.nonce)?
            .open_in_place(once(), Aad::from(&request.proof), &mut sealed)
            .map_err(|_| failed())?;
        (&*key).try_into().map_err(|_| failed())
    }

    fn hmac_key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }

    fn sign(&self, transcript: &[u8]) -> Bytes {
        Bytes::copy_from_slice(hmac::sign(&self.hmac_key(), transcript).as_ref())
    }

    fn verify(&self, transcript: &[u8], proof: &[u8]) -> bool {
        hmac::verify(&self.hmac_key(), transcript, proof).is_ok()
    }

    fn sealing_key(&self, asked: &[u8], answered: &[u8]) -> Result<LessSafeKey, Failure> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, &fields(&[asked, answered]));
        let info: &[&[u8]] = &[b"omsnode join: key of the cluster"];
        let derived = salt.extract(&self.0);
        let key = derived.expand(info, &AES_256_GCM).map(UnboundKey::from);
        key.map(LessSafeKey::new)
            .map_err(|_| Failure::new(codes::api::INTERNAL, "no key can be derived"))
    }
}

/// A fresh nonce of a handshake.
pub(crate) fn fresh_nonce() -> Result<Bytes, Failure> {
    let mut bytes = vec![0; NONCE_BYTES];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Failure::new(codes::api::INTERNAL, "the system gives no random numbers"))?;
    Ok(bytes.into())
}

/// Every derived key seals exactly one thing, so its nonce need not differ.
fn once() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

/// Fields with their lengths, so that no two lists of fields look the same.
fn fields(list: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in list {
        out.extend((field.len() as u64).to_be_bytes());
        out.extend(*field);
    }
    out
}

fn request_transcript(r: &JoinRequest) -> Vec<u8> {
    fields(&[
        b"omsnode join request",
        &r.version.to_be_bytes(),
        r.token_id.as_bytes(),
        &r.nonce,
        r.folder_id.as_bytes(),
        r.address.as_bytes(),
        r.region.as_bytes(),
        r.zone.as_bytes(),
        &[u8::from(r.witness)],
        r.software_version.as_bytes(),
        &r.feature_level.to_be_bytes(),
    ])
}

fn response_transcript(request: &JoinRequest, r: &JoinResponse) -> Vec<u8> {
    fields(&[
        b"omsnode join response",
        &request.proof,
        &r.version.to_be_bytes(),
        r.cluster_id.as_bytes(),
        &r.node_id.to_be_bytes(),
        &r.sealed_key,
        &r.nonce,
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flip(bytes: &mut Bytes) {
        let mut altered = bytes.to_vec();
        altered[0] ^= 1;
        *bytes = altered.into();
    }

    fn secret(byte: u8) -> TokenSecret {
        TokenSecret([byte; SECRET_LEN])
    }

    fn request(s: &TokenSecret) -> JoinRequest {
        let mut request = JoinRequest {
            version: JOIN_VERSION,
            token_id: "t".into(),
            nonce: fresh_nonce().unwrap(),
            folder_id: "f".into(),
            address: "h:1".into(),
            region: "r".into(),
            zone: "z".into(),
            ..Default::default()
        };
        request.proof = s.prove_request(&request);
        request
    }

    fn response(s: &TokenSecret, request: &JoinRequest) -> JoinResponse {
        let nonce = fresh_nonce().unwrap();
        let mut response = JoinResponse {
            version: JOIN_VERSION,
            cluster_id: "c".into(),
            node_id: 2,
            sealed_key: s.seal_key(request, &nonce, &[9; KEY_LEN]).unwrap(),
            nonce,
            proof: Bytes::new(),
        };
        response.proof = s.prove_response(request, &response);
        response
    }

    #[test]
    fn both_sides_prove_the_secret_and_the_key_arrives() {
        let (ours, theirs) = (secret(1), secret(1));
        let request = request(&ours);
        assert!(theirs.verify_request(&request));
        let response = response(&theirs, &request);
        assert!(ours.verify_response(&request, &response));
        assert_eq!(ours.open_key(&request, &response).unwrap(), [9; KEY_LEN]);
        assert!(!response.sealed_key.windows(8).any(|w| w == [9; 8]));
    }

    #[test]
    fn another_secret_proves_and_opens_nothing() {
        let request = request(&secret(1));
        assert!(!secret(2).verify_request(&request));
        let response = response(&secret(2), &request);
        assert!(!secret(1).verify_response(&request, &response));
        assert!(secret(1).open_key(&request, &response).is_err());
    }

    #[test]
    fn no_field_can_be_altered() {
        let s = secret(1);
        let good = request(&s);
        let alterations: Vec<fn(&mut JoinRequest)> = vec![
            |r| r.version += 1,
            |r| r.token_id.push('x'),
            |r| flip(&mut r.nonce),
            |r| r.folder_id.push('x'),
            |r| r.address.push('x'),
            // Moved from one field into its neighbour.
            |r| {
                r.region = "rz".into();
                r.zone.clear();
            },
            |r| r.witness = true,
            |r| r.software_version.push('x'),
            |r| r.feature_level += 1,
            |r| flip(&mut r.proof),
        ];
        for (n, alter) in alterations.into_iter().enumerate() {
            let mut altered = good.clone();
            alter(&mut altered);
            assert!(!s.verify_request(&altered), "alteration {n}");
        }
        let answer = response(&s, &good);
        let alterations: Vec<fn(&mut JoinResponse)> = vec![
            |r| r.version += 1,
            |r| r.cluster_id.push('x'),
            |r| r.node_id += 1,
            |r| flip(&mut r.sealed_key),
            |r| flip(&mut r.nonce),
            |r| flip(&mut r.proof),
        ];
        for (n, alter) in alterations.into_iter().enumerate() {
            let mut altered = answer.clone();
            alter(&mut altered);
            assert!(!s.verify_response(&good, &altered), "alteration {n}");
        }
        // An answer to another question.
        assert!(!s.verify_response(&request(&s), &answer));
    }

    #[test]
    fn only_whole_tokens_are_read() {
        let text = URL_SAFE_NO_PAD.encode([5; SECRET_LEN]);
        let (id, read) = TokenSecret::parse(&format!(" omsnode-join.ab12.{text}\n")).unwrap();
        assert_eq!((id.as_str(), read.0), ("ab12", [5; SECRET_LEN]));
        for wrong in [
            String::new(),
            text.clone(),
            format!("omsnode-join.ab12.{}", &text[1..]),
            format!("omsnode-join..{text}"),
            format!("omsnode-join.ab12.{text}.x"),
            format!("other.ab12.{text}"),
        ] {
            let refused = TokenSecret::parse(&wrong).err().unwrap();
            assert_eq!(refused.code(), codes::cluster::TOKEN_UNKNOWN);
            assert!(
                !refused.to_string().contains(&text[5..20]),
                "the secret is not repeated"
            );
        }
    }
}
