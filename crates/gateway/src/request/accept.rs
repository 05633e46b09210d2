//! Which kinds of answers a caller takes, and of which kind its body is.

use http::{HeaderMap, header};
use sentinal_model::{Code, Error, Result};
use sentinal_telemetry::Route;

/// A kind of answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// One JSON object.
    Json,
    /// Events as they come.
    Events,
}

impl Format {
    const fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Events => "text/event-stream",
        }
    }
}

/// Where a stream broke off, for whoever connects again.
pub(crate) fn last_event_id(headers: &HeaderMap) -> Option<String> {
    headers.get("last-event-id").map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// Refuses a caller that takes nothing this route can answer. Routes that answer bytes or probes answer anybody.
pub(crate) fn check_acceptable(route: Route, headers: &HeaderMap) -> Result<()> {
    let formats: &[Format] = match route {
        Route::Sandboxes
        | Route::Sandbox
        | Route::SandboxStats
        | Route::SandboxPause
        | Route::SandboxResume
        | Route::FileStat
        | Route::FileList
        | Route::FileMkdir
        | Route::FileMove
        | Route::Upload
        | Route::Engines
        | Route::Images
        | Route::Image
        | Route::ImageImport
        | Route::ImagePull
        | Route::ImageBuild
        | Route::ImagePrune
        | Route::ImageJobs
        | Route::ImageJob
        | Route::Webhooks
        | Route::Webhook
        | Route::WebhookTest
        | Route::WebhookDeliveries
        | Route::Executions
        | Route::Execution
        | Route::ExecutionSignal
        | Route::ExecutionResize
        | Route::Link
        | Route::Usage
        | Route::Quota
        | Route::Keys
        | Route::OwnKey
        | Route::Key
        | Route::Contexts
        | Route::Context
        | Route::ExecutionStdin => &[Format::Json],
        Route::FileWatch => &[Format::Events],
        Route::Execute | Route::Logs | Route::Events => &[Format::Json, Format::Events],
        Route::Files
        | Route::FileArchive
        | Route::Download
        | Route::ExecutionOutput
        | Route::ImageJobLog
        | Route::Terminal
        | Route::Tunnel
        | Route::PortItself
        | Route::PortRoot
        | Route::Port
        | Route::Health
        | Route::Livez
        | Route::Readyz
        | Route::Metrics
        | Route::Openapi
        | Route::Docs
        | Route::Unknown => return Ok(()),
    };
    if formats.iter().any(|format| takes(headers, format.media_type())) {
        return Ok(());
    }
    let known: Vec<_> = formats.iter().map(|format| format.media_type()).collect();
    Err(Error::new(
        Code::NotAcceptable,
        format!("Accept: nothing it names can be answered here; accept {}", known.join(" or ")),
    ))
}

/// Events if the caller names them, otherwise JSON.
pub(crate) fn format_wanted(headers: &HeaderMap) -> Format {
    let named = ranges(headers).any(|(range, taken)| taken && range.eq_ignore_ascii_case(Format::Events.media_type()));
    if named { Format::Events } else { Format::Json }
}

/// The `type/subtype` of a header, without its parameters.
pub(crate) fn media_type(text: &str) -> &str {
    text.split(';').next().unwrap_or_default().trim()
}

/// Whether the most specific range that matches is not refused with `q=0`.
fn takes(headers: &HeaderMap, media: &str) -> bool {
    if !headers.contains_key(header::ACCEPT) {
        return true;
    }
    let (kind, _) = media.split_once('/').unwrap_or((media, ""));
    let specificity = |range: &str| match range {
        _ if range.eq_ignore_ascii_case(media) => 3,
        _ if range.strip_suffix("/*").is_some_and(|r| r.eq_ignore_ascii_case(kind)) => 2,
        "*/*" => 1,
        _ => 0,
    };
    let matching = ranges(headers).map(|(range, taken)| (specificity(range), taken));
    matching.filter(|(how, _)| 0 < *how).max().is_some_and(|(_, taken)| taken)
}

/// Every media range of `Accept`, and whether it is taken (`q` is not zero).
fn ranges(headers: &HeaderMap) -> impl Iterator<Item = (&str, bool)> {
    let values = headers.get_all(header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|range| {
        let quality = range.split(';').skip(1).find_map(|p| p.trim().strip_prefix("q="));
        let refused = quality.and_then(|q| q.trim().parse::<f32>().ok()).is_some_and(|q| q <= 0.0);
        (media_type(range), !refused)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(accept: &str, acceptable: bool, format: Format) {
        let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
        assert_eq!(check_acceptable(Route::Execute, &headers).is_ok(), acceptable, "{accept}");
        assert_eq!(format_wanted(&headers), format, "{accept}");
    }

    #[test]
    fn a_caller_gets_what_it_takes_or_a_refusal() {
        check("*/*", true, Format::Json);
        check("application/json", true, Format::Json);
        check("text/event-stream", true, Format::Events);
        check("application/json, text/event-stream;q=0.5", true, Format::Events);
        check("application/*;q=0.1", true, Format::Json);
        check("text/html", false, Format::Json);
        check("application/json;q=0, text/event-stream;q=0, */*", false, Format::Json);
        check("", false, Format::Json);
    }

    #[test]
    fn a_caller_that_says_nothing_takes_anything() {
        assert!(check_acceptable(Route::Sandbox, &HeaderMap::new()).is_ok());
    }
}
