//! The key that seals secret keys: from the environment, or from a file that only its owner can read.

use super::Error;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead, KeyInit as _, Payload};
use chacha20poly1305::{ChaCha20Poly1305, Nonce};
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use store::{KeyId, OrgId};
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;

/// Seals and unseals secret keys (ChaCha20-Poly1305).
pub struct MasterKey(ChaCha20Poly1305);

impl MasterKey {
    /// From 64 hexadecimal digits, or from base64.
    ///
    /// # Errors
    /// Where it's neither, or not of 32 bytes.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let bytes = hex::decode(text)
            .or_else(|_| STANDARD.decode(text))
            .or_else(|_| URL_SAFE_NO_PAD.decode(text))
            .map(Zeroizing::new)
            .map_err(|_| Error::BadMasterKey)?;
        ChaCha20Poly1305::new_from_slice(&bytes)
            .map(Self)
            .map_err(|_| Error::BadMasterKey)
    }

    /// From the file, which is made with a random key at the first start, readable by its owner alone.
    ///
    /// # Errors
    /// Where the file can be neither read nor made, or holds no key.
    pub fn load_or_create(path: &Path) -> Result<Self, Error> {
        let io = |source| Error::Io {
            path: path.to_owned(),
            source,
        };
        match fs::read_to_string(path) {
            Ok(text) => {
                return Self::parse(&Zeroizing::new(text))
                    .map_err(|_| Error::BadMasterKeyFile(path.to_owned()));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(io(error)),
        }
        let (key, text) = Self::generate()?;
        // A crash must not leave half a key, which would refuse every later start.
        journal::write_atomically(&journal::OsDisk, path, text.as_bytes()).map_err(io)?;
        Ok(key)
    }

    /// A random one, and its text as a file holds it.
    pub(super) fn generate() -> Result<(Self, Zeroizing<String>), Error> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut *key).map_err(|why| Error::Random(why.to_string()))?;
        let text = Zeroizing::new(hex::encode(*key) + "\n");
        Ok((Self::parse(&text)?, text))
    }

    /// Seals a secret key, bound to its organisation and number.
    pub(super) fn seal(&self, org: OrgId, id: KeyId, text: &str) -> Result<Vec<u8>, Error> {
        let mut sealed = vec![0; NONCE_BYTES];
        getrandom::fill(&mut sealed).map_err(|why| Error::Random(why.to_string()))?;
        let nonce = Nonce::try_from(&sealed[..]).map_err(|_| Error::Seal)?;
        let payload = Payload {
            msg: text.as_bytes(),
            aad: &bound_to(org, id),
        };
        sealed.extend(self.0.encrypt(&nonce, payload).map_err(|_| Error::Seal)?);
        Ok(sealed)
    }

    /// The secret key, unless it was sealed under another master key or for another key.
    pub(super) fn unseal(&self, org: OrgId, id: KeyId, sealed: &[u8]) -> Option<Zeroizing<String>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
        let nonce = Nonce::try_from(nonce).ok()?;
        let payload = Payload {
            msg: sealed,
            aad: &bound_to(org, id),
        };
        let text = self.0.decrypt(&nonce, payload).ok()?;
        String::from_utf8(text).ok().map(Zeroizing::new)
    }
}

fn bound_to(org: OrgId, id: KeyId) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&org.0.to_le_bytes());
    bytes[4..].copy_from_slice(&id.0.to_le_bytes());
    bytes
}
