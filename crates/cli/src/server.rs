//! Which server is meant, and with which key: flags before the environment, that before the contexts.

use std::{env, fs, path::PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use reqwest::Url;

use crate::{
    context::{Contexts, NamedContext},
    failure::Failure,
};

const DEFAULT_URL: &str = "http://127.0.0.1:8080";
const DEFAULT_DATA_DIR: &str = "/var/lib/sentinal";

/// Which server to ask.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Server")]
pub struct ServerOptions {
    #[arg(
        long,
        global = true,
        value_name = "URL",
        help = "The server's address [env: SENTINAL_URL] [default: the current context's, \
        else http://127.0.0.1:8080]"
    )]
    url: Option<String>,
    #[arg(
        long,
        global = true,
        value_name = "KEY",
        help = "The API key; better in the environment or a context, where others on this \
        machine do not see it [env: SENTINAL_API_KEY] [default: the context's; for a server on this machine its \
        admin.key, where that can be read]"
    )]
    api_key: Option<String>,
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        help = "One of `sentinal context ls` instead of the current one \
        [env: SENTINAL_CONTEXT]"
    )]
    context: Option<String>,
}

/// A server, and the key for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(crate) url: Url,
    pub(crate) key: Option<String>,
}

impl ServerOptions {
    /// The server that is meant on this machine.
    pub(crate) fn resolve(&self) -> Result<Server> {
        let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
        let context = Contexts::load()?.chosen(self.context.clone().or_else(|| variable("SENTINAL_CONTEXT")))?;
        let mut server = self.choose(context, variable)?;
        if server.key.is_none() && is_loopback(&server.url) {
            server.key = admin_key(variable("SENTINAL_DATA_DIR"));
        }
        Ok(server)
    }

    fn choose(&self, context: Option<NamedContext>, variable: impl Fn(&str) -> Option<String>) -> Result<Server> {
        // A context that is named on the command line is more than what happens to be in the environment.
        let variable = |name: &str| variable(name).filter(|_| self.context.is_none());
        let from_context = context.as_ref().map(|context| context.url.clone());
        let url = self.url.clone().or_else(|| variable("SENTINAL_URL")).or_else(|| from_context.clone());
        let url = parse_url(url.as_deref().unwrap_or(DEFAULT_URL))?;
        // A context's key is for its own server and for no other.
        let same = from_context.is_some_and(|own| parse_url(&own).is_ok_and(|own| own == url));
        let own = context.filter(|_| same).and_then(|context| context.api_key);
        let key = self.api_key.clone().or_else(|| variable("SENTINAL_API_KEY")).or(own);
        Ok(Server { url, key: key.map(|key| key.trim().to_owned()) })
    }
}

/// An address of a server: http or https, with a slash at its end.
pub(crate) fn parse_url(text: &str) -> Result<Url> {
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let url: Url =
        with_scheme.parse().with_context(|| Failure::Usage(format!("{text:?} is no address of a server")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(Failure::usage(format!("{text:?} is no address of a server; write it like {DEFAULT_URL}")));
    }
    let mut url = url;
    url.set_query(None);
    url.set_fragment(None);
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Ok(url)
}

/// Whether the server is on this machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn admin_key(data_dir: Option<String>) -> Option<String> {
    let folder = data_dir.map_or_else(|| PathBuf::from(DEFAULT_DATA_DIR), PathBuf::from);
    fs::read_to_string(folder.join("admin.key")).ok().map(|key| key.trim().to_owned()).filter(|key| !key.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Given<'a> {
        flags: [Option<&'a str>; 3],
        environment: &'a [(&'a str, &'a str)],
    }

    fn check(given: Given<'_>, url: &str, key: Option<&str>) {
        let [address, api_key, context] = given.flags.map(|flag| flag.map(str::to_owned));
        let options = ServerOptions { url: address, api_key, context };
        let own = NamedContext { url: "https://own.example".to_owned(), api_key: Some("own".to_owned()) };
        let variable = |name: &str| {
            given.environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let server = options.choose(Some(own), variable).unwrap();
        assert_eq!((server.url.as_str(), server.key.as_deref()), (url, key));
    }

    #[test]
    fn flags_come_before_the_environment_and_that_before_the_context() {
        let environment: &[_] = &[("SENTINAL_URL", "http://env.example"), ("SENTINAL_API_KEY", "env")];
        check(Given { flags: [None; 3], environment: &[] }, "https://own.example/", Some("own"));
        check(Given { flags: [None; 3], environment }, "http://env.example/", Some("env"));
        check(
            Given { flags: [Some("flag.example:1"), None, None], environment },
            "http://flag.example:1/",
            Some("env"),
        );
        check(Given { flags: [None, None, Some("own")], environment }, "https://own.example/", Some("own"));
    }

    #[test]
    fn a_contexts_key_goes_to_no_other_server() {
        check(
            Given { flags: [Some("http://other.example"), None, None], environment: &[] },
            "http://other.example/",
            None,
        );
        check(
            Given { flags: [Some("https://own.example/"), None, None], environment: &[] },
            "https://own.example/",
            Some("own"),
        );
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "ftp://a", "http://", "unix:///x"] {
            assert!(parse_url(text).is_err(), "{text}");
        }
        assert!(is_loopback(&parse_url("http://[::1]:80").unwrap()));
        assert!(is_loopback(&parse_url("localhost:8080").unwrap()));
        assert!(!is_loopback(&parse_url("http://192.0.2.1").unwrap()));
    }
}
