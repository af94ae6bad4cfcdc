//! The dates of a certificate. rustls serves any that fits its key; it is the clients that refuse one that has expired.

use reputation::Micros;
use std::path::Path;
use std::time::Duration;
use tokio_rustls::rustls::client::verify_server_cert_signed_by_trust_anchor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, UnixTime};
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{CertificateError, Error, RootCertStore};
use wire::timestamp;

/// So long before its end a certificate is warned of: who renews by a timer does so earlier.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// Warns of a certificate that is not good now, or soon no more.
pub(super) fn warn(file: &Path, number: usize, certificate: &CertificateDer<'_>, now: UnixTime) {
    let file = file.display();
    match refused_at(certificate, now) {
        Some(CertificateError::ExpiredContext { not_after, .. }) => {
            let not_after = text(not_after);
            tracing::warn!(%file, number, not_after, "the certificate has expired: clients refuse it");
        }
        Some(CertificateError::NotValidYetContext { not_before, .. }) => {
            let not_before = text(not_before);
            tracing::warn!(%file, number, not_before, "the certificate is not good yet: clients refuse it");
        }
        _ => {
            let soon = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs()) + SOON);
            if let Some(CertificateError::ExpiredContext { not_after, .. }) = refused_at(certificate, soon) {
                let not_after = text(not_after);
                tracing::warn!(%file, number, not_after, "the certificate expires soon");
            }
        }
    }
}

/// What a client has against a certificate at this time. Its dates are looked at before anything else; who signed it is
/// left out, so that there always is something.
fn refused_at(certificate: &CertificateDer<'_>, at: UnixTime) -> Option<CertificateError> {
    let parsed = ParsedCertificate::try_from(certificate).ok()?;
    let algorithms = ring::default_provider().signature_verification_algorithms.all;
    match verify_server_cert_signed_by_trust_anchor(&parsed, &RootCertStore::empty(), &[], at, algorithms) {
        Err(Error::InvalidCertificate(why)) => Some(why),
        _ => None,
    }
}

fn text(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    timestamp::format(Micros(seconds.saturating_mul(Micros::PER_SECOND)))
}
