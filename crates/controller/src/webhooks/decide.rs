//! What follows from an attempt: pure, so that days of it can be tested in no time.

use std::time::Duration;

use sentinal_model::{DeliveryResult, Millis, limits};
use sentinal_store::WebhookProgress;

use super::WebhookAnswer;

/// How many times as long each wait is as the one before.
const GROWTH: u32 = 4;
/// The part of a wait that is certain; the rest is chance, so that what failed together is not tried again together.
const CERTAIN: f64 = 0.8;

/// When an attempt was made, and what its waits are made of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// When it was over.
    pub(super) now: Millis,
    /// The wait before the second attempt.
    pub(super) first_wait: Duration,
    /// From 0 to 1.
    pub(super) chance: f64,
}

/// What follows from an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The next event's turn.
    Delivered,
    /// The same event again.
    Retry(Millis),
    /// The next event's turn, although this one was not delivered.
    GivenUp,
    /// Nothing more, and why.
    Disabled(String),
}

impl Verdict {
    pub(super) const fn result(&self) -> DeliveryResult {
        match self {
            Self::Delivered => DeliveryResult::Delivered,
            Self::Retry(_) | Self::Disabled(_) => DeliveryResult::Failed,
            Self::GivenUp => DeliveryResult::GivenUp,
        }
    }

    /// Whether the event is over for the webhook.
    pub(super) const fn is_over(&self) -> bool {
        match self {
            Self::Delivered | Self::GivenUp => true,
            Self::Retry(_) | Self::Disabled(_) => false,
        }
    }

    /// When the event is sent again.
    pub(super) const fn retry_at(&self) -> Option<Millis> {
        match self {
            Self::Retry(at) => Some(*at),
            Self::Delivered | Self::GivenUp | Self::Disabled(_) => None,
        }
    }
}

/// What follows from this answer for a webhook that was so far.
pub(super) fn decide(answer: &WebhookAnswer, progress: &WebhookProgress, moment: Moment) -> Verdict {
    if answer.is_taken() {
        return Verdict::Delivered;
    }
    if answer.is_gone() {
        return Verdict::Disabled("the receiver says that it is gone for good (410)".to_owned());
    }
    if progress.failing_since.is_some_and(|since| limits::WEBHOOK_FAILING_MAX <= moment.now.since(since)) {
        let hours = limits::WEBHOOK_FAILING_MAX.as_secs() / 3600;
        return Verdict::Disabled(format!("nothing could be delivered for {hours} hours"));
    }
    let failures = progress.failures.saturating_add(1);
    if limits::WEBHOOK_TRIES_MAX <= failures {
        return Verdict::GivenUp;
    }
    let wait = wait(failures, moment).max(answer.retry_after.unwrap_or_default()).min(limits::WEBHOOK_WAIT_MAX);
    Verdict::Retry(moment.now.after(wait))
}

/// How long to wait after so many failures.
fn wait(failures: u32, moment: Moment) -> Duration {
    let times = GROWTH.saturating_pow(failures.saturating_sub(1));
    let longest = moment.first_wait.saturating_mul(times).min(limits::WEBHOOK_WAIT_MAX);
    longest.mul_f64(CERTAIN + (1.0 - CERTAIN) * moment.chance.clamp(0.0, 1.0))
}

/// How far a webhook is after this.
pub(super) fn after(progress: WebhookProgress, verdict: &Verdict, event: i64, now: Millis) -> WebhookProgress {
    let failing_since = progress.failing_since.or(Some(now));
    let over = WebhookProgress { position: event, failures: 0, retry_at: None, ..progress };
    match verdict {
        Verdict::Delivered => WebhookProgress { failing_since: None, ..over },
        Verdict::GivenUp => WebhookProgress { failing_since, given_up: progress.given_up.saturating_add(1), ..over },
        Verdict::Retry(_) | Verdict::Disabled(_) => WebhookProgress {
            failures: progress.failures.saturating_add(1),
            retry_at: verdict.retry_at(),
            failing_since,
            ..progress
        },
    }
}

/// How long to wait before the next attempt, if at all. A clock that was set back makes nobody wait for longer than the
/// longest wait there is.
pub(super) fn rest(progress: &WebhookProgress, now: Millis) -> Option<Duration> {
    let rest = progress.retry_at?.since(now);
    (!rest.is_zero() && rest <= limits::WEBHOOK_WAIT_MAX).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: WebhookProgress =
        WebhookProgress { position: 6, failures: 0, retry_at: None, failing_since: None, given_up: 0 };

    fn answer(status: u16) -> WebhookAnswer {
        WebhookAnswer { status: Some(status), ..WebhookAnswer::default() }
    }

    fn moment(now: Millis, chance: f64) -> Moment {
        Moment { now, first_wait: limits::WEBHOOK_RETRY_DEFAULT, chance }
    }

    /// What a receiver that always answers the same leads to: all that happens until something is over, with when.
    fn life(
        answer: &WebhookAnswer,
        mut progress: WebhookProgress,
        chance: f64,
    ) -> (Verdict, WebhookProgress, Duration) {
        let mut now = Millis(1000);
        loop {
            let verdict = decide(answer, &progress, moment(now, chance));
            progress = after(progress, &verdict, 7, now);
            let Some(at) = verdict.retry_at() else { return (verdict, progress, now.since(Millis(1000))) };
            now = at;
        }
    }

    #[test]
    fn what_is_taken_is_over() {
        let failing = WebhookProgress { failures: 3, failing_since: Some(Millis(1)), ..FIRST };
        for status in [200, 202, 204, 299] {
            let (verdict, progress, _) = life(&answer(status), failing, 0.5);
            assert_eq!((verdict, progress), (Verdict::Delivered, WebhookProgress { position: 7, ..FIRST }));
        }
    }

    #[test]
    fn an_event_is_tried_for_most_of_a_day_and_then_given_up() {
        for (status, chance) in [(500, 0.0), (302, 0.5), (404, 1.0), (100, 0.3)] {
            let (verdict, progress, took) = life(&answer(status), FIRST, chance);
            assert_eq!(verdict, Verdict::GivenUp);
            let failing_since = Some(Millis(1000));
            assert_eq!(progress, WebhookProgress { position: 7, given_up: 1, failing_since, ..FIRST });
            let hours = took.as_secs_f64() / 3600.0;
            assert!(15.0 < hours && hours < 20.0, "{hours}");
        }
    }

    #[test]
    fn waits_grow_and_have_an_end() {
        let waits: Vec<u64> = (1..10).map(|failures| wait(failures, moment(Millis(0), 1.0)).as_secs()).collect();
        assert_eq!(waits, [5, 20, 80, 320, 1280, 5120, 20_480, 21_600, 21_600]);
        assert_eq!(wait(1, moment(Millis(0), 0.0)), Duration::from_secs(4));
        assert_eq!(wait(u32::MAX, moment(Millis(0), 1.0)), limits::WEBHOOK_WAIT_MAX);
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_and_not_for_ever() {
        for (asked, expected) in [(0, 5), (4, 5), (3600, 3600), (u64::MAX, 21_600)] {
            let retry_after = Some(Duration::from_secs(asked));
            let answer = WebhookAnswer { retry_after, ..answer(429) };
            let verdict = decide(&answer, &FIRST, moment(Millis(0), 1.0));
            assert_eq!(verdict, Verdict::Retry(Millis(expected * 1000)), "{asked}");
        }
    }

    #[test]
    fn who_is_gone_is_sent_nothing_more() {
        let (verdict, progress, took) = life(&answer(410), FIRST, 0.5);
        assert!(matches!(verdict, Verdict::Disabled(_)), "{verdict:?}");
        assert_eq!((progress.position, took), (6, Duration::ZERO));
    }

    #[test]
    fn who_takes_nothing_for_a_day_is_sent_nothing_more() {
        let (_, mut progress, took) = life(&WebhookAnswer::default(), FIRST, 0.5);
        let mut now = Millis(1000).after(took);
        let reason = loop {
            let verdict = decide(&WebhookAnswer::default(), &progress, moment(now, 0.5));
            progress = after(progress, &verdict, 8, now);
            match verdict {
                Verdict::Retry(at) => now = at,
                Verdict::Disabled(reason) => break reason,
                Verdict::Delivered | Verdict::GivenUp => panic!("{verdict:?}"),
            }
        };
        assert_eq!(reason, "nothing could be delivered for 24 hours");
        assert!(now.since(Millis(1000)) < Duration::from_secs(31 * 3600), "{now:?}");
        assert_eq!((progress.position, progress.given_up), (7, 1));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_nobody_wait_for_ever() {
        let waiting = |at| WebhookProgress { retry_at: Some(Millis(at)), ..FIRST };
        assert_eq!(rest(&waiting(5000), Millis(1000)), Some(Duration::from_secs(4)));
        assert_eq!(rest(&waiting(5000), Millis(5000)), None);
        assert_eq!(rest(&waiting(1_764_000_000_000), Millis(0)), None);
        assert_eq!(rest(&FIRST, Millis(0)), None);
    }
}
