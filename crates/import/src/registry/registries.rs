//! The registries that may be asked.

use std::sync::Arc;

use reqwest::Url;
use sentinal_outbound::Gate;

use super::Reference;
use crate::ImportError;

/// The registries that the operator has named, beside those that everybody can see.
#[derive(Debug, Clone, Default)]
pub struct Registries(pub(super) Arc<Gate>);

impl Registries {
    /// Each is `HOST[:PORT]`, which may have a private address, or `http://HOST[:PORT]`, which has no TLS either.
    pub fn new(named: &[String]) -> Result<Self, ImportError> {
        let wrong = |_| ImportError::Reference("a registry is named as HOST[:PORT], or http://HOST[:PORT]");
        Gate::new("--registry", named).map(|gate| Self(Arc::new(gate))).map_err(wrong)
    }

    /// Refuses what could never be asked.
    pub(crate) fn check(&self, reference: &Reference) -> Result<(), ImportError> {
        self.base(reference).map(drop)
    }

    /// Where a registry's API begins.
    pub(super) fn base(&self, reference: &Reference) -> Result<Url, ImportError> {
        let plain = address("http", reference)?;
        let url = if self.0.is_named(&plain) { plain } else { address("https", reference)? };
        self.0.pass(&url)?;
        Ok(url)
    }
}

fn address(scheme: &str, reference: &Reference) -> Result<Url, ImportError> {
    let url = Url::parse(&format!("{scheme}://{}/v2/", reference.host));
    url.map_err(|_| ImportError::Reference("its host is none"))
}
