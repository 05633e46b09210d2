//! Log lines as JSON: one object on each, with the fields of the event and of the spans around it side by side.

use std::{
    fmt::{self, Write as _},
    io::Write as _,
};

use serde_json::{Map, Number, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    fmt::MakeWriter,
    layer::Context,
    registry::{LookupSpan, SpanRef},
};

/// Longest text of one field; the rest is cut off.
const TEXT_BYTES_MAX: usize = 4096;
/// Most fields of one line: those of the event come first, then those of the innermost span.
const FIELDS_MAX: usize = 48;

/// Writes each event as one line of JSON.
#[derive(Debug)]
pub(crate) struct JsonLines<W> {
    make_writer: W,
}

impl<W> JsonLines<W> {
    pub(crate) const fn new(make_writer: W) -> Self {
        Self { make_writer }
    }
}

impl<S, W> Layer<S> for JsonLines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = ctx.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, ctx: Context<'_, S>) {
        let Some(span) = ctx.span(id) else { return };
        if let Some(fields) = span.extensions_mut().get_mut::<Fields>() {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let meta = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in ctx.event_scope(event).into_iter().flatten() {
            fields.adopt(&span);
        }
        let message = fields.0.remove("message").unwrap_or_default();
        let mut line = Map::new();
        line.insert("time".to_owned(), jiff::Timestamp::now().to_string().into());
        line.insert("level".to_owned(), meta.level().as_str().to_ascii_lowercase().into());
        line.insert("target".to_owned(), meta.target().into());
        line.insert("message".to_owned(), message);
        for (name, value) in fields.0 {
            // What every line has is not a field's to say.
            line.entry(name).or_insert(value);
        }
        let text = format!("{}\n", Value::Object(line));
        // A log that cannot be written holds nobody up.
        let _ = self.make_writer.make_writer_for(meta).write_all(text.as_bytes());
    }
}

/// Fields by name, bounded.
#[derive(Debug, Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        let name = field.name();
        if self.0.contains_key(name) || self.0.len() < FIELDS_MAX {
            self.0.insert(name.to_owned(), value);
        }
    }

    /// Takes what a span around says and nothing closer did.
    fn adopt<'a, S: LookupSpan<'a>>(&mut self, span: &SpanRef<'a, S>) {
        let extensions = span.extensions();
        for (name, value) in extensions.get::<Self>().into_iter().flat_map(|fields| &fields.0) {
            if self.0.len() < FIELDS_MAX && !self.0.contains_key(name) {
                self.0.insert(name.clone(), value.clone());
            }
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Number::from_f64(value).map_or(Value::Null, Value::Number));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let mut text = Cut::default();
        let _ = text.write_str(value);
        self.put(field, text.0.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = Cut::default();
        let _ = write!(text, "{value:?}");
        self.put(field, text.0.into());
    }
}

/// The first bytes of a text, without ever holding more.
#[derive(Debug, Default)]
struct Cut(String);

impl fmt::Write for Cut {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = TEXT_BYTES_MAX - self.0.len();
        if more.len() <= room {
            self.0.push_str(more);
            return Ok(());
        }
        self.0.push_str(&more[..more.floor_char_boundary(room.saturating_sub('…'.len_utf8()))]);
        self.0.push('…');
        Err(fmt::Error)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[derive(Debug, Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// What is logged meanwhile, a line each.
    fn logged(work: impl FnOnce()) -> Vec<Value> {
        let lines = Lines::default();
        let own = lines.clone();
        let subscriber = tracing_subscriber::registry().with(JsonLines::new(move || own.clone()));
        tracing::subscriber::with_default(subscriber, work);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_line_has_the_events_fields_and_those_of_the_spans_around_it() {
        let lines = logged(|| {
            let request =
                tracing::info_span!("request", request_id = "req_1", code = "outer", late = tracing::field::Empty);
            request.record("late", 7);
            request
                .in_scope(|| tracing::warn!(target: "here", code = "inner", seconds = 0.5, ok = true, "it\nhappened"));
        });
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        assert!(line["time"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
        let expected = serde_json::json!({"level": "warn", "target": "here", "message": "it\nhappened", "code": "inner",
            "seconds": 0.5, "ok": true, "request_id": "req_1", "late": 7, "time": line["time"]});
        assert_eq!(*line, expected);
    }

    #[test]
    fn a_text_without_an_end_is_cut_and_a_field_never_hides_what_every_line_has() {
        let lines = logged(|| tracing::info!(long = "ä".repeat(10_000), time = "never", "m"));
        let long = lines[0]["long"].as_str().unwrap();
        assert!(long.ends_with('…') && long.len() <= TEXT_BYTES_MAX, "{}", long.len());
        assert_ne!(lines[0]["time"], "never");
    }
}
