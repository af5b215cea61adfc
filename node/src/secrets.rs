//! Sealing of passwords before they enter the replicated log.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use oms_core::{Failure, codes};
use oms_mysql::connection::Secret;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};

const KEY_LEN: usize = 32;

/// Seals and opens passwords with a key that lies beside the metadata, readable by the owner only.
///
/// A sealed text is bound to the id of its data source: it does not open for another one.
pub(crate) struct Vault {
    key: LessSafeKey,
    random: SystemRandom,
}

impl Vault {
    /// Reads the key, or makes one for a new data folder.
    ///
    /// # Errors
    /// `OMS-CLUSTER-0002` when the file is not a key.
    pub(crate) fn open(dir: &Path) -> Result<Self, Failure> {
        let path = dir.join("secret.key");
        let random = SystemRandom::new();
        let io = |e: std::io::Error| {
            Failure::new(
                codes::cluster::METADATA_CORRUPT,
                format!("{}: {e}", path.display()),
            )
        };
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let mut bytes = vec![0u8; KEY_LEN];
                random
                    .fill(&mut bytes)
                    .map_err(|_| Failure::new(codes::api::INTERNAL, "the system gives no random numbers"))?;
                write_private(&path, &bytes).map_err(io)?;
                bytes
            }
            Err(e) => return Err(io(e)),
        };
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| {
            let words = format!("{} does not hold a key of {KEY_LEN} bytes", path.display());
            Failure::new(codes::cluster::METADATA_CORRUPT, words)
        })?;
        Ok(Self {
            key: LessSafeKey::new(key),
            random,
        })
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

/// Writes a file that only its owner can read, completely or not at all.
fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let temporary: PathBuf = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    match path.parent() {
        Some(dir) => std::fs::File::open(dir)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_for_the_same_id_and_key() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(dir.path()).unwrap();
        let sealed = vault.seal("e_1", &Secret::new("pässword")).unwrap();
        assert!(!sealed.windows(4).any(|w| w == b"word"));
        assert_eq!(
            Vault::open(dir.path())
                .unwrap()
                .unseal("e_1", &sealed)
                .unwrap()
                .expose(),
            "pässword"
        );
        assert!(vault.unseal("e_2", &sealed).is_err());
        assert!(vault.unseal("e_1", &sealed[..5]).is_err());
        let other = tempfile::tempdir().unwrap();
        assert!(Vault::open(other.path()).unwrap().unseal("e_1", &sealed).is_err());
    }

    #[test]
    fn the_key_is_private() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        Vault::open(dir.path()).unwrap();
        let mode = std::fs::metadata(dir.path().join("secret.key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
