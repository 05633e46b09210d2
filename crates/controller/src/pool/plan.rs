//! What should be booted and what should end: a pure function.

use std::time::Duration;

use sentinal_model::{Millis, SandboxId, limits};

/// How long the agent of a pooled sandbox may be away before the sandbox is given up.
const AWAY_MAX: Duration = limits::AGENT_DIAL_DEADLINE;

/// A pooled sandbox that nobody has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) id: SandboxId,
    /// The pool whose shape it has; `None` if no pool is configured with it.
    pub(super) pool: Option<usize>,
    pub(super) stage: Stage,
    /// What it was booted from is what would be booted now, as far as that is known.
    pub(super) is_fresh: bool,
    pub(super) created_at: Millis,
    pub(super) expires_at: Millis,
}

/// How far a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Booting,
    /// It can be claimed.
    Ready,
    /// It runs, but for so long its agent has not been there, or not been asked.
    Away(Duration),
}

/// What should be done, the most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// End this member.
    Retire(SandboxId),
    /// Boot one more for this pool.
    Boot(usize),
}

/// The steps from what is there, the oldest first, to the wanted numbers of each pool.
pub(super) fn plan(sizes: &[usize], members: &[Member], now: Millis) -> Vec<Step> {
    let (useful, useless): (Vec<Member>, Vec<Member>) = members.iter().partition(|member| is_useful(member, now));
    let mut steps: Vec<Step> = useless.iter().map(|member| Step::Retire(member.id)).collect();
    let mut boots = Vec::new();
    for (pool, size) in sizes.iter().enumerate() {
        let own: Vec<&Member> = useful.iter().filter(|member| member.pool == Some(pool)).collect();
        let ready: Vec<&Member> = own.iter().filter(|member| member.stage == Stage::Ready).copied().collect();
        let (surplus, kept) = ready.split_at(ready.len().saturating_sub(*size));
        steps.extend(surplus.iter().map(|member| Step::Retire(member.id)));
        // An old one is replaced before it ends: one more is booted, and then it is the oldest that is too many.
        let is_old = |member: &&Member| limits::POOL_AGE_MAX <= now.since(member.created_at);
        let wanted = size + usize::from(kept.iter().any(is_old));
        let there = own.len() - surplus.len();
        boots.extend((there..wanted).map(|place| (place * 1000 / size, pool)));
    }
    // The emptiest pool first.
    boots.sort_unstable();
    steps.extend(boots.into_iter().map(|(_, pool)| Step::Boot(pool)));
    steps
}

/// Whether somebody may still want it.
fn is_useful(member: &Member, now: Millis) -> bool {
    let is_away = matches!(member.stage, Stage::Away(away) if AWAY_MAX <= away);
    let ends_soon = member.expires_at.since(now) <= limits::POOL_TTL_LEFT_MIN;
    member.pool.is_some() && member.is_fresh && !is_away && !ends_soon
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = Millis(1_000_000_000);

    fn id(number: u8) -> SandboxId {
        SandboxId::from_bytes([number; 16])
    }

    /// A ready member of pool 0; a greater number is younger.
    fn member(number: u8) -> Member {
        let created_at = Millis(NOW.0 - 1000 + i64::from(number));
        Member {
            id: id(number),
            pool: Some(0),
            stage: Stage::Ready,
            is_fresh: true,
            created_at,
            expires_at: created_at.after(limits::POOL_TTL),
        }
    }

    fn booting(number: u8) -> Member {
        Member { stage: Stage::Booting, ..member(number) }
    }

    /// The same member, so old that it is to be replaced.
    fn old(member: Member) -> Member {
        let earlier = |at: Millis| Millis(at.0 - i64::try_from(limits::POOL_AGE_MAX.as_millis()).unwrap());
        Member { created_at: earlier(member.created_at), expires_at: earlier(member.expires_at), ..member }
    }

    fn check(sizes: &[usize], members: &[Member], expect: &[Step]) {
        assert_eq!(plan(sizes, members, NOW), expect, "{sizes:?} {members:?}");
    }

    #[test]
    fn what_is_missing_is_booted_and_what_is_booting_counts() {
        check(&[2], &[], &[Step::Boot(0), Step::Boot(0)]);
        check(&[2], &[member(1)], &[Step::Boot(0)]);
        check(&[2], &[member(1), booting(2)], &[]);
        check(&[2], &[member(1), member(2)], &[]);
        check(&[], &[], &[]);
    }

    #[test]
    fn the_emptiest_pool_comes_first() {
        let of_second = Member { pool: Some(1), ..member(1) };
        check(&[2, 4], &[member(2)], &[Step::Boot(1), Step::Boot(1), Step::Boot(0), Step::Boot(1), Step::Boot(1)]);
        check(&[1, 2], &[of_second], &[Step::Boot(0), Step::Boot(1)]);
    }

    #[test]
    fn what_no_pool_wants_ends() {
        let unwanted = Member { pool: None, ..member(1) };
        check(&[], &[unwanted], &[Step::Retire(id(1))]);
        check(&[1], &[unwanted, member(2)], &[Step::Retire(id(1))]);
    }

    #[test]
    fn too_many_are_ended_from_the_oldest_on() {
        check(&[1], &[member(1), member(2), member(3)], &[Step::Retire(id(1)), Step::Retire(id(2))]);
        // One that is booting may still fail: it makes nobody superfluous.
        check(&[1], &[member(1), booting(2)], &[]);
    }

    #[test]
    fn what_was_booted_from_something_else_is_rebuilt() {
        let stale = |member| Member { is_fresh: false, ..member };
        check(&[1], &[stale(member(1))], &[Step::Retire(id(1)), Step::Boot(0)]);
        check(&[1], &[stale(booting(1)), member(2)], &[Step::Retire(id(1))]);
    }

    #[test]
    fn an_old_one_is_replaced_before_it_ends_one_at_a_time() {
        check(&[2], &[old(member(1)), old(member(2))], &[Step::Boot(0)]);
        check(&[2], &[old(member(1)), old(member(2)), booting(3)], &[]);
        check(&[2], &[old(member(1)), old(member(2)), member(3)], &[Step::Retire(id(1)), Step::Boot(0)]);
        check(&[2], &[old(member(2)), member(3), member(4)], &[Step::Retire(id(2))]);
    }

    #[test]
    fn one_that_is_about_to_expire_ends_whatever_there_is() {
        let ending = Member { expires_at: NOW.after(limits::POOL_TTL_LEFT_MIN), ..member(1) };
        check(&[1], &[ending], &[Step::Retire(id(1)), Step::Boot(0)]);
    }

    #[test]
    fn one_whose_agent_stays_away_ends() {
        let away = |away| Member { stage: Stage::Away(away), ..member(1) };
        check(&[1], &[away(Duration::from_secs(1))], &[]);
        check(&[1], &[away(AWAY_MAX)], &[Step::Retire(id(1)), Step::Boot(0)]);
    }
}
