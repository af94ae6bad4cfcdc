//! Where the proxy keeps its things: `~/.repute`.

use siphasher::sip::SipHasher13;
use std::env;
use std::hash::{Hash as _, Hasher as _};
use std::path::PathBuf;

/// `~/.repute/logs`, if there is a home.
#[must_use]
pub fn default_directory() -> Option<PathBuf> {
    Some(home()?.join("logs"))
}

/// Where verdicts wait that could not be sent to that server with that key: `~/.repute/spool/…`. Those for
/// another server, or another organisation's, wait elsewhere.
#[must_use]
pub fn default_spool(url: &str, key: &str) -> Option<PathBuf> {
    // The same in every version of this program.
    let mut hasher = SipHasher13::new();
    (url, key).hash(&mut hasher);
    Some(home()?.join(format!("spool/{:016x}", hasher.finish())))
}

fn home() -> Option<PathBuf> {
    let home = env::var_os("HOME").filter(|home| !home.is_empty())?;
    Some(PathBuf::from(home).join(".repute"))
}
