//! Who waits for events, so that nobody has to look for them again and again.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use sentinal_model::{SandboxId, TenantId};
use sentinal_store::Write;
use tokio::sync::watch;

/// Events of a tenant, or of one of its sandboxes.
type Subject = (TenantId, Option<SandboxId>);

/// Those who wait, by what they wait for.
#[derive(Debug, Default)]
pub(crate) struct News(Mutex<HashMap<Subject, watch::Sender<()>>>);

impl News {
    /// Changes whenever there may be events that were not there when this was called.
    pub(crate) fn subscribe(&self, tenant: TenantId, sandbox: Option<SandboxId>) -> watch::Receiver<()> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, sender| 0 < sender.receiver_count());
        waiting.entry((tenant, sandbox)).or_default().subscribe()
    }

    /// These have been written, or may have been.
    pub(crate) fn tell(&self, subjects: &[Subject]) {
        if subjects.is_empty() {
            return;
        }
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for subject in subjects {
            if let Some(sender) = waiting.get(subject) {
                sender.send_replace(());
            }
        }
    }
}

/// Who has to be told of a batch.
pub(crate) fn subjects(writes: &[Write]) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for write in writes {
        if let Write::Event(event) = write {
            subjects.push((event.tenant.clone(), None));
            subjects.extend(event.sandbox.map(|id| (event.tenant.clone(), Some(id))));
        }
    }
    subjects
}

#[cfg(test)]
mod tests {
    use sentinal_model::Millis;
    use sentinal_store::NewEvent;

    use super::*;

    fn event(tenant: &str, sandbox: Option<SandboxId>) -> Write {
        let tenant = TenantId::from_stored(tenant);
        let (name, kind, message) = ("Sandbox Created".to_owned(), "audit".to_owned(), String::new());
        Write::Event(NewEvent { tenant, at: Millis(1), name, kind, sandbox, execution: None, message })
    }

    #[test]
    fn whoever_waits_is_told_of_what_it_waits_for_and_of_nothing_else() {
        let (news, id, other) = (News::default(), SandboxId::from_bytes([1; 16]), SandboxId::from_bytes([2; 16]));
        let one = || TenantId::from_stored("one");
        let waiting = [(one(), None), (one(), Some(id)), (one(), Some(other)), (TenantId::from_stored("two"), None)];
        let mut waiting = waiting.map(|(tenant, sandbox)| news.subscribe(tenant, sandbox));
        let mut told = |writes: &[Write]| {
            news.tell(&subjects(writes));
            waiting.each_mut().map(|receiver| {
                let has_changed = receiver.has_changed().unwrap();
                receiver.mark_unchanged();
                has_changed
            })
        };
        assert_eq!(told(&[]), [false; 4]);
        assert_eq!(told(&[event("one", Some(id))]), [true, true, false, false]);
        assert_eq!(told(&[event("one", None)]), [true, false, false, false]);
        assert_eq!(told(&[event("two", None), event("one", Some(other))]), [true, false, true, true]);
    }

    #[test]
    fn nothing_is_kept_for_those_who_have_left() {
        let news = News::default();
        for byte in 0..100 {
            news.subscribe(TenantId::from_stored("one"), Some(SandboxId::from_bytes([byte; 16])));
        }
        assert_eq!(news.0.lock().unwrap().len(), 1);
    }
}
