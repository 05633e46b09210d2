//! The filter of system calls: a list of what is allowed. It is data: `allowed.rs`, `conditional.rs` and `refused.rs`
//! name each call with a reason.

mod allowed;
mod compact;
mod conditional;
mod refused;

use std::{
    collections::{BTreeMap, BTreeSet},
    env::consts::ARCH,
    ffi::c_long,
};

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch};

use crate::{LaunchError, Step};
use allowed::ALLOWED;
use conditional::CONDITIONAL;
use refused::REFUSED;

/// A system call, and why it is in its table.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    number: c_long,
    /// As the kernel calls it.
    pub name: &'static str,
    /// What it is for, or what it would give.
    pub why: &'static str,
}

/// What a program is told that makes a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// What the kernel answers.
    Allowed,
    /// What the kernel answers, if it is asked in a way that is allowed.
    Conditional,
    /// `EPERM`.
    Refused,
}

/// Every call that is in a table. Any other is told `ENOSYS`.
pub fn table() -> impl Iterator<Item = (Verdict, &'static Entry)> {
    let allowed = ALLOWED.iter().map(|entry| (Verdict::Allowed, entry));
    let conditional = CONDITIONAL.iter().map(|entry| (Verdict::Conditional, entry));
    allowed.chain(conditional).chain(REFUSED.iter().map(|entry| (Verdict::Refused, entry)))
}

const fn entry(number: c_long, name: &'static str, why: &'static str) -> Entry {
    Entry { number, name, why }
}

/// Restricts this process and all that come from it.
pub(crate) fn restrict() -> Result<(), LaunchError> {
    let failed = |error: &dyn std::error::Error| LaunchError::new(Step::Seccomp, "filter system calls", error);
    for program in programs().map_err(|error| failed(&error))? {
        seccompiler::apply_filter(&program).map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// What is in neither does not exist. Of two filters that refuse, the one applied last has the say on the error.
fn programs() -> Result<[BpfProgram; 2], seccompiler::BackendError> {
    let architecture = TargetArch::try_from(ARCH)?;
    let error = |number: i32| SeccompAction::Errno(number.unsigned_abs());
    let always = |entry: &Entry| (entry.number, Vec::new());
    let mut refused: BTreeMap<c_long, Vec<SeccompRule>> = REFUSED.iter().map(always).collect();
    refused.extend(conditional::refusals()?);
    let known = known();
    let not_there = compact::filter(&known, libc::ENOSYS.unsigned_abs());
    let not_there = not_there.ok_or(seccompiler::BackendError::FilterTooLarge(known.len()))?;
    let refused = SeccompFilter::new(refused, SeccompAction::Allow, error(libc::EPERM), architecture)?;
    Ok([not_there, refused.try_into()?])
}

/// The numbers of all calls that exist for a program, those that are refused to it left out.
fn known() -> BTreeSet<u32> {
    ALLOWED.iter().chain(&CONDITIONAL).filter_map(|entry| u32::try_from(entry.number).ok()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Of x86-64; no call has a higher number.
    const NUMBERS: std::ops::Range<c_long> = 0..512;

    #[test]
    fn each_call_is_in_one_table_once_and_has_a_reason() {
        let conditional = conditional::refusals().unwrap();
        let mut seen = BTreeSet::new();
        for (_, entry) in table() {
            assert!(seen.insert(entry.number), "{} is there twice", entry.name);
            assert!(!entry.why.trim().is_empty(), "{} has no reason", entry.name);
            assert!(NUMBERS.contains(&entry.number), "{} is no call of this architecture", entry.name);
        }
        let numbers: Vec<_> = CONDITIONAL.iter().map(|entry| entry.number).collect();
        assert!(numbers.iter().all(|number| conditional.contains_key(number)) && numbers.len() == conditional.len());
    }

    #[test]
    fn nothing_that_changes_the_sandbox_or_the_host_is_allowed() {
        let allowed: BTreeSet<_> = ALLOWED.iter().map(|entry| entry.name).collect();
        for name in
            ["mount", "bpf", "keyctl", "perf_event_open", "userfaultfd", "io_uring_setup", "kexec_load", "ptrace"]
        {
            assert!(!allowed.contains(name) && REFUSED.iter().any(|entry| entry.name == name), "{name}");
        }
        // The C library asks for it and falls back to `clone`, whose flags can be looked at.
        assert!(!allowed.contains("clone3") && !REFUSED.iter().any(|entry| entry.name == "clone3"));
    }

    #[test]
    fn the_filters_can_be_compiled() {
        assert!(programs().unwrap().iter().all(|program| program.len() < 4096));
    }
}
