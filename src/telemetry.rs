//! What the service says of itself: lines to standard error, for people or as JSON, and the recorder of its metrics.

mod commands;
mod lines;

pub use commands::Judged;
pub use lines::{flush, say_last};

use crate::config::LogFormat;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{self, FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Which request a line is about, if any.
pub type RequestId = fn() -> Option<String>;

/// Starts the log. `request_id` is asked for every line.
///
/// # Errors
/// When `filter` can't be read, or a log was started before.
pub fn start_log(format: LogFormat, filter: &str, request_id: RequestId) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| format!("log = {filter:?} can't be read: {error}"))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(lines::ToStderr).with_ansi(false);
    let started = match format {
        LogFormat::Human => {
            let line = fmt::format().with_ansi(false);
            log.event_format(Line { line, is_json: false, request_id }).try_init()
        }
        LogFormat::Json => {
            let line = fmt::format().json().flatten_event(true).with_current_span(false).with_span_list(false);
            log.fmt_fields(JsonFields::new()).event_format(Line { line, is_json: true, request_id }).try_init()
        }
    };
    started.map_err(|error| error.to_string())?;
    lines::flush_at_panics();
    if format == LogFormat::Human {
        commands::for_people();
    }
    Ok(())
}

/// A line as the library writes it, with the request's id at its end. Spans would say the same at a cost to every request.
struct Line<F> {
    line: F,
    is_json: bool,
    request_id: RequestId,
}

impl<S, N, F> FormatEvent<S, N> for Line<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> std::fmt::Result {
        let Some(id) = (self.request_id)() else { return self.line.format_event(context, out, event) };
        if !self.is_json && event.metadata().target() == commands::TARGET {
            return commands::write(&mut out, event, crate::clock::wall(), &id);
        }
        let mut line = String::with_capacity(256);
        self.line.format_event(context, Writer::new(&mut line), event)?;
        let text = line.trim_end();
        if self.is_json {
            writeln!(out, "{},\"request_id\":\"{id}\"}}", text.strip_suffix('}').unwrap_or(text))
        } else {
            writeln!(out, "{text} request_id={id}")
        }
    }
}

/// Starts the metrics; what they say comes out of the handle.
///
/// # Errors
/// When a recorder was started before.
pub fn start_metrics() -> Result<PrometheusHandle, String> {
    let seconds = [50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 20e-3, 50e-3, 0.1, 0.2, 0.5, 1.0, 5.0];
    let commands = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0, 8192.0];
    PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &seconds)
        .and_then(|builder| builder.set_buckets_for_metric(Matcher::Suffix("group_commands".into()), &commands))
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| error.to_string())
}
