//! A filter that lets some numbers pass, as a search tree over ranges of numbers.
//!
//! The kernel runs a new filter once for each system call there is, to know which always pass (`seccomp_cache_prepare`),
//! and translates it: a chain with a comparison for each number, as [`seccompiler`] makes it, takes a millisecond of
//! every boot, this one less than a tenth of that.

use std::collections::BTreeSet;

use seccompiler::{BpfProgram, sock_filter};

/// `AUDIT_ARCH_X86_64`: `EM_X86_64`, 64 bits, little-endian (linux/audit.h).
const AUDIT_ARCH: u32 = 0x3e | 0x8000_0000 | 0x4000_0000;
/// Where `struct seccomp_data` has the number of the call, and the architecture that it is made for.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;
/// `SECCOMP_RET_KILL_PROCESS`, `SECCOMP_RET_ALLOW` and `SECCOMP_RET_ERRNO` (linux/seccomp.h).
const KILL: u32 = 0x8000_0000;
const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;
/// `BPF_LD | BPF_W | BPF_ABS`, `BPF_JMP | BPF_JEQ | BPF_K`, `BPF_JMP | BPF_JGE | BPF_K`, `BPF_RET | BPF_K`.
const LOAD: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;

/// Numbers from `first` up to the next run's have this answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: u32,
    answer: u32,
}

/// Lets the calls with these numbers pass; any other fails with `errno`. A call for another architecture ends the process.
/// `None` where the numbers are spread so far that a jump would not reach.
pub(super) fn filter(allowed: &BTreeSet<u32>, errno: u32) -> Option<BpfProgram> {
    let mut program = vec![
        instruction(LOAD, ARCHITECTURE_AT),
        sock_filter { jt: 1, ..instruction(JUMP_IF_EQUAL, AUDIT_ARCH) },
        instruction(RETURN, KILL),
        instruction(LOAD, NUMBER_AT),
    ];
    program.extend(search(&runs(allowed, ERRNO | errno))?);
    Some(program)
}

/// From zero on, each with another answer than its neighbours.
fn runs(allowed: &BTreeSet<u32>, refusal: u32) -> Vec<Run> {
    let mut runs = vec![Run { first: 0, answer: refusal }];
    for &number in allowed {
        if runs.last().is_some_and(|run| run.first == number) {
            runs.pop();
        }
        if runs.last().is_none_or(|run| run.answer != ALLOW) {
            runs.push(Run { first: number, answer: ALLOW });
        }
        runs.push(Run { first: number + 1, answer: refusal });
    }
    runs
}

/// The upper half of the runs comes first, the lower half after it.
fn search(runs: &[Run]) -> Option<BpfProgram> {
    if let [run] = runs {
        return Some(vec![instruction(RETURN, run.answer)]);
    }
    let (lower, upper) = runs.split_at(runs.len() / 2);
    let (below, above) = (search(lower)?, search(upper)?);
    let past_above = u8::try_from(above.len()).ok()?;
    let mut program = vec![sock_filter { jf: past_above, ..instruction(JUMP_IF_AT_LEAST, upper.first()?.first) }];
    program.extend(above);
    program.extend(below);
    Some(program)
}

const fn instruction(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENOSYS: u32 = 38;

    /// What the kernel would answer.
    fn answer(program: &BpfProgram, architecture: u32, number: u32) -> u32 {
        let (mut at, mut value) = (0, 0);
        loop {
            let instruction = &program[at];
            let jump = |is_so| usize::from(if is_so { instruction.jt } else { instruction.jf });
            at += 1 + match instruction.code {
                LOAD => {
                    value = if instruction.k == NUMBER_AT { number } else { architecture };
                    0
                }
                JUMP_IF_EQUAL => jump(value == instruction.k),
                JUMP_IF_AT_LEAST => jump(instruction.k <= value),
                RETURN => return instruction.k,
                code => panic!("{code}"),
            };
        }
    }

    fn check(allowed: &BTreeSet<u32>) {
        let program = filter(allowed, ENOSYS).unwrap();
        // The numbers of x32 have bit 30 set.
        for number in (0..1100).chain(0x4000_0000..0x4000_0400).chain([u32::MAX - 1, u32::MAX]) {
            let expected = if allowed.contains(&number) { ALLOW } else { ERRNO | ENOSYS };
            assert_eq!(answer(&program, AUDIT_ARCH, number), expected, "{number}");
            assert_eq!(answer(&program, 0x4000_0003, number), KILL, "{number}");
        }
    }

    #[test]
    fn what_is_allowed_passes_and_nothing_else() {
        check(&super::super::known());
        check(&BTreeSet::new());
        check(&BTreeSet::from([0]));
        check(&BTreeSet::from([1, 2, 3, 5, 7, 8, 1000]));
    }

    #[test]
    fn the_filter_of_a_sandbox_is_small() {
        let program = filter(&super::super::known(), ENOSYS).unwrap();
        assert!(program.len() < 250, "{}", program.len());
    }
}
