//! Memory in pages of their usual size.
//!
//! The allocator asks for huge ones, and a system may give them unasked. But the kernel clears 2 MiB when such a page is
//! first touched, and whoever waits for that thread waits as well: on a virtual machine, for milliseconds. And one that
//! is mostly free stays whole.

/// Asks the kernel for no huge pages from here on.
#[cfg(target_os = "linux")]
pub(crate) fn avoid() {
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        tracing::debug!(%error, "the kernel keeps to its own choice of huge pages");
    }
}

/// Other systems have no such choice.
#[cfg(not(target_os = "linux"))]
pub(crate) fn avoid() {}
