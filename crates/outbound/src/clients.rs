//! The HTTP clients that connect where a gate lets them.
//!
//! Names are looked up here and nowhere else, and the connection is made to an address that was looked at, so that no name
//! can mean one address when it is looked at and another one when it is used. Where a name is looked up its port is not
//! known: hence two clients, of which one looks up only what the operator has named, port and all.

use std::{net::SocketAddr, sync::Arc};

use reqwest::{
    Client, ClientBuilder, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};

use crate::{Gate, Refused, limits::REASON_CHARS_MAX, public::is_public};

/// HTTP clients behind a gate. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Clients {
    gate: Arc<Gate>,
    /// For what the operator has named.
    named: Client,
    /// For everything else.
    public: Client,
}

impl Clients {
    /// Clients that follow no redirect, since each place that it leads to is looked at first, and use no proxy, behind which
    /// it would not be decided here where a name leads to.
    pub fn new(gate: Arc<Gate>, configure: impl Fn(ClientBuilder) -> ClientBuilder) -> reqwest::Result<Self> {
        let builder = || {
            let agent = concat!("sentinal/", env!("CARGO_PKG_VERSION"));
            configure(Client::builder()).redirect(Policy::none()).no_proxy().user_agent(agent)
        };
        let public = builder().dns_resolver(PublicNames { option: gate.option() }).build()?;
        Ok(Self { gate, named: builder().build()?, public })
    }

    /// The client for this address, if it may be asked.
    pub fn of(&self, url: &Url) -> Result<&Client, Refused> {
        self.gate.pass(url)?;
        Ok(if self.gate.is_named(url) { &self.named } else { &self.public })
    }
}

/// Looks names up, and leaves out what may not be asked.
#[derive(Debug, Clone, Copy)]
struct PublicNames {
    option: &'static str,
}

impl Resolve for PublicNames {
    fn resolve(&self, name: Name) -> Resolving {
        let option = self.option;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err(
                    format!("it has no public address, and the operator has not named it with {option} HOST").into()
                );
            }
            Ok(Box::new(public.into_iter()) as Addrs)
        })
    }
}

/// The innermost reason, which has no address and nothing that was shown in it.
pub fn reason(error: &reqwest::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    reason.to_string().chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect()
}
