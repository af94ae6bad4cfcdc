//! TLS: the certificate in force and its key, from files that are read again when somebody asks.
//!
//! TLS 1.2 and 1.3, as rustls has them: no older version, no renegotiation, no compression, no early data.

mod dates;

use parking_lot::RwLock;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::{self, ServerConfig};

/// What is spoken over it.
const ALPN: &[u8] = b"http/1.1";

/// A certificate chain and its key. Each connection keeps the ones that it began with.
#[derive(Debug)]
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: RwLock<Current>,
}

/// What is in force.
#[derive(Clone, Debug)]
struct Current {
    config: Arc<ServerConfig>,
    chain: Vec<CertificateDer<'static>>,
}

/// Why a certificate or its key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or is no PEM.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// A file has no certificate in it.
    #[error("{}: has no certificate", .0.display())]
    NoCertificate(PathBuf),
    /// The key can only be read with a passphrase, and nobody is there to give it.
    #[error(
        "{file}: the key is encrypted: decrypt it with `openssl pkey -in {file} -out FILE`, and give that file, which only the server's \
         user should be able to read",
        file = .0.display()
    )]
    EncryptedKey(PathBuf),
    /// The two do not fit each other, or rustls cannot use them.
    #[error("{} with the key {}: {source}", certificate.display(), key.display())]
    Unusable {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What is wrong.
        source: rustls::Error,
    },
}

impl Tls {
    /// Reads both files, in PEM: the certificate with the chain behind it, and the key.
    ///
    /// # Errors
    /// Where one cannot be read, or they do not fit each other.
    pub fn open(certificate: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let current = RwLock::new(load(&certificate, &key)?);
        Ok(Self {
            certificate,
            key,
            current,
        })
    }

    /// Reads both files again, for the connections that begin from now on.
    ///
    /// # Errors
    /// As for [`Tls::open`]. The old ones then stay in force.
    pub fn reload(&self) -> Result<(), TlsError> {
        let new = load(&self.certificate, &self.key)?;
        *self.current.write() = new;
        Ok(())
    }

    /// Those in force now.
    pub(crate) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().config)
    }

    /// Warns of certificates in force that clients refuse for their dates, or will within two weeks.
    pub fn warn_of_dates(&self) {
        let chain = self.current.read().chain.clone();
        for (number, certificate) in (1..).zip(&chain) {
            dates::warn(&self.certificate, number, certificate, UnixTime::now());
        }
    }
}

/// Whether a key is under a passphrase, as PKCS #8 says it, or as OpenSSL's older format does.
fn is_encrypted(key: &Path) -> bool {
    let text = fs::read(key).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    ["-----BEGIN ENCRYPTED PRIVATE KEY-----", "Proc-Type: 4,ENCRYPTED"]
        .iter()
        .any(|mark| text.contains(mark))
}

fn load(certificate: &Path, key: &Path) -> Result<Current, TlsError> {
    let in_file = |path: &Path| {
        let path = path.to_owned();
        move |source| TlsError::File { path, source }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(in_file(certificate))?;
    if chain.is_empty() {
        return Err(TlsError::NoCertificate(certificate.to_owned()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|source| {
        if is_encrypted(key) {
            TlsError::EncryptedKey(key.to_owned())
        } else {
            in_file(key)(source)
        }
    })?;
    let unusable = |source| TlsError::Unusable {
        certificate: certificate.to_owned(),
        key: key.to_owned(),
        source,
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain.clone(), private)
        .map_err(unusable)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Current {
        config: Arc::new(config),
        chain,
    })
}
