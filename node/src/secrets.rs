//! Sealing of passwords before they enter the replicated log.

use std::path::Path;

use oms_core::{Failure, codes};
use oms_mysql::connection::Secret;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};

use crate::durable_file;

/// Bytes of the cluster's key.
pub(crate) const KEY_LEN: usize = 32;
const FILE: &str = "secret.key";

/// Seals and opens passwords with a key that lies beside the metadata, readable by the owner only.
///
/// A sealed text is bound to the id of its data source: it does not open for another one.
pub(crate) struct Vault {
    key: LessSafeKey,
    bytes: [u8; KEY_LEN],
    random: SystemRandom,
}

impl Vault {
    /// Reads the key; makes one first for a cluster that begins here.
    ///
    /// # Errors
    /// `OMS-CLUSTER-0002` when the key is missing and `may_make` is not set, or when the file is not a key.
    pub(crate) fn open(dir: &Path, may_make: bool) -> Result<Self, Failure> {
        let path = dir.join(FILE);
        let damaged = |why: String| {
            Failure::new(
                codes::cluster::METADATA_CORRUPT,
                format!("{}: {why}", path.display()),
            )
        };
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound && may_make => {
                let mut bytes = [0u8; KEY_LEN];
                SystemRandom::new()
                    .fill(&mut bytes)
                    .map_err(|_| Failure::new(codes::api::INTERNAL, "the system gives no random numbers"))?;
                Self::store(dir, &bytes)?;
                bytes.to_vec()
            }
            Err(e) => return Err(damaged(e.to_string())),
        };
        let bytes: [u8; KEY_LEN] = bytes
            .try_into()
            .map_err(|_| damaged(format!("it does not hold a key of {KEY_LEN} bytes")))?;
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| damaged("it is not a key".to_owned()))?;
        Ok(Self {
            key: LessSafeKey::new(key),
            bytes,
            random: SystemRandom::new(),
        })
    }

    /// Makes a key the folder's, durably and readable by the owner only.
    pub(crate) fn store(dir: &Path, key: &[u8; KEY_LEN]) -> Result<(), Failure> {
        let path = dir.join(FILE);
        durable_file::replace(&path, key, true)
            .map_err(|e| Failure::new(codes::cluster::METADATA_IO, format!("{}: {e}", path.display())))
    }

    /// The key itself, for a node that joins. Never leaves the process unsealed.
    pub(crate) fn expose(&self) -> &[u8; KEY_LEN] {
        &self.bytes
    }

    /// Seals a password for the data source.
    pub(crate) fn seal(&self, id: &str, secret: &Secret) -> Result<Vec<u8>, Failure> {
        let failed = |_| Failure::new(codes::api::INTERNAL, "the password cannot be sealed");
        let mut nonce = [0u8; NONCE_LEN];
        self.random.fill(&mut nonce).map_err(failed)?;
        let mut sealed = secret.expose().as_bytes().to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(id), &mut sealed)
            .map_err(failed)?;
        let mut out = nonce.to_vec();
        out.append(&mut sealed);
        Ok(out)
    }

    /// Opens what [`Vault::seal`] gave for the same id.
    pub(crate) fn unseal(&self, id: &str, sealed: &[u8]) -> Result<Secret, Failure> {
        let failed = || {
            let words = format!("the password of {id} cannot be opened with this node's key");
            Failure::new(codes::cluster::METADATA_CORRUPT, words)
        };
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(failed)?;
        let mut body = body.to_vec();
        let plain = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(id), &mut body)
            .map_err(|_| failed())?;
        Ok(Secret::new(std::str::from_utf8(plain).map_err(|_| failed())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_for_the_same_id_and_key() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(dir.path(), true).unwrap();
        let sealed = vault.seal("e_1", &Secret::new("pässword")).unwrap();
        assert!(!sealed.windows(4).any(|w| w == b"word"));
        assert_eq!(
            Vault::open(dir.path(), true)
                .unwrap()
                .unseal("e_1", &sealed)
                .unwrap()
                .expose(),
            "pässword"
        );
        assert!(vault.unseal("e_2", &sealed).is_err());
        assert!(vault.unseal("e_1", &sealed[..5]).is_err());
        let other = tempfile::tempdir().unwrap();
        assert!(
            Vault::open(other.path(), true)
                .unwrap()
                .unseal("e_1", &sealed)
                .is_err()
        );
    }

    #[test]
    fn a_lost_key_is_not_replaced_by_another() {
        let dir = tempfile::tempdir().unwrap();
        let lost = Vault::open(dir.path(), false).err().unwrap();
        assert_eq!(lost.code(), codes::cluster::METADATA_CORRUPT);
        Vault::store(dir.path(), &[7; KEY_LEN]).unwrap();
        assert_eq!(Vault::open(dir.path(), false).unwrap().expose(), &[7; KEY_LEN]);
    }

    #[test]
    fn the_key_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        Vault::open(dir.path(), true).unwrap();
        let mode = std::fs::metadata(dir.path().join("secret.key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
