//! How much memory processes take: the proportional set size, in which a page that several share counts once.

use std::{fs, time::Duration};

use anyhow::{Result, ensure};

use crate::process::Process;

const SETTLE_DEADLINE: Duration = Duration::from_secs(20);
const SETTLE_STEP: Duration = Duration::from_millis(500);

/// What the processes take together, in MiB, once it no longer changes by itself.
pub(crate) async fn settled(find: impl Fn() -> Result<Vec<Process>>) -> Result<f64> {
    let start = std::time::Instant::now();
    let mut before = f64::NAN;
    loop {
        let processes = find()?;
        ensure!(!processes.is_empty(), "there is no process to be measured");
        let total: f64 = processes.iter().filter_map(pss_mib).sum();
        if (total - before).abs() < 0.005 * total || SETTLE_DEADLINE < start.elapsed() {
            return Ok(total);
        }
        before = total;
        tokio::time::sleep(SETTLE_STEP).await;
    }
}

/// `None` for a process that ended meanwhile.
fn pss_mib(process: &Process) -> Option<f64> {
    let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", process.pid)).ok()?;
    let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024.0)
}
