//! The two text formats that Prometheus reads.

/// A format of `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricsFormat {
    /// What anybody reads who asks for nothing else.
    Prometheus,
    /// `OpenMetrics`, for whoever asks for it.
    OpenMetrics,
}

impl MetricsFormat {
    /// What a caller takes who sends this `Accept` header.
    pub fn of(accept: Option<&str>) -> Self {
        let asks = accept.is_some_and(|accept| accept.to_ascii_lowercase().contains("application/openmetrics-text"));
        if asks { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Its `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// `OpenMetrics` as the older format: there a counter is called by the name that its samples have.
pub(super) fn older(open: &str) -> String {
    let counters: Vec<&str> =
        open.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut text = String::with_capacity(open.len());
    for line in open.lines().filter(|line| *line != "# EOF" && !line.starts_with("# UNIT ")) {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(kind), Some(name), Some(rest)) if counters.contains(&name) => {
                text.extend(["# ", kind, " ", name, "_total ", rest]);
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_the_older_format_a_counter_is_called_by_the_name_of_its_samples() {
        let open = "# HELP a_bytes Bytes.\n# TYPE a_bytes counter\n# UNIT a_bytes bytes\na_bytes_total 7\n\
                    # HELP b Things.\n# TYPE b gauge\nb{x=\"y\"} 1\n# EOF\n";
        let text = "# HELP a_bytes_total Bytes.\n# TYPE a_bytes_total counter\na_bytes_total 7\n\
                    # HELP b Things.\n# TYPE b gauge\nb{x=\"y\"} 1\n";
        assert_eq!(older(open), text);
    }

    #[test]
    fn who_asks_for_openmetrics_gets_it() {
        let scraper = "application/openmetrics-text;version=1.0.0;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(MetricsFormat::of(Some(scraper)), MetricsFormat::OpenMetrics);
        assert_eq!(MetricsFormat::of(Some("*/*")), MetricsFormat::Prometheus);
        assert_eq!(MetricsFormat::of(None), MetricsFormat::Prometheus);
    }
}
