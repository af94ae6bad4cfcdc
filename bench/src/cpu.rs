//! Which core a process runs on, and what it used of it, as the kernel counts.

use anyhow::{Context as _, Result, bail};
use rustix::param::clock_ticks_per_second;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::time::Duration;

/// Cores by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cores(pub(crate) Vec<usize>);

impl std::str::FromStr for Cores {
    type Err = anyhow::Error;

    /// Numbers with commas between them.
    fn from_str(text: &str) -> Result<Self> {
        let numbers = text.split(',').map(|number| Ok(number.trim().parse()?));
        Ok(Self(
            numbers
                .collect::<Result<_>>()
                .context("cores are numbers with commas between them")?,
        ))
    }
}

impl std::fmt::Display for Cores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let numbers: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&numbers.join(","))
    }
}

/// Keeps this thread, and the processes that it starts from now on, on these cores.
pub(crate) fn pin(cores: &Cores) -> Result<()> {
    let mut set = CpuSet::new();
    cores.0.iter().for_each(|core| set.set(*core));
    sched_setaffinity(None, &set).with_context(|| format!("no such cores here: {cores}"))
}

/// The cores that this process may use.
pub(crate) fn allowed() -> Result<Cores> {
    let set = sched_getaffinity(None)?;
    Ok(Cores(
        (0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect(),
    ))
}

/// Time that all threads of a process spent on a core, ended ones included.
pub(crate) fn used(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, in parentheses, may hold anything; user and system time are the 14th and 15th field.
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let ticks = |at: usize| fields.get(at - 3).and_then(|text| text.parse::<u64>().ok());
    let (Some(user), Some(system)) = (ticks(14), ticks(15)) else {
        bail!("/proc/{pid}/stat is not as it was")
    };
    Ok(Duration::from_secs_f64(
        (user + system) as f64 / clock_ticks_per_second() as f64,
    ))
}

/// Anonymous memory of a process, in bytes: what is not a cache of files.
pub(crate) fn anonymous_bytes(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib * 1_024)
        .context("the kernel does not tell RssAnon")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_known_to_the_kernel() {
        let this = std::process::id();
        let (before, started) = (used(this).unwrap(), std::time::Instant::now());
        // A busy machine gives little time at once, but some in the end.
        while used(this).unwrap() < before + Duration::from_millis(20) {
            assert!(started.elapsed() < Duration::from_secs(30));
        }
        assert!(anonymous_bytes(this).unwrap() > 100_000);
        let cores = allowed().unwrap();
        assert_eq!(cores.to_string().parse::<Cores>().unwrap(), cores);
    }
}
