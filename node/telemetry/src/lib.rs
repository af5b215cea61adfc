//! Logs and traces of the daemon.

use std::io::IsTerminal as _;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::WithExportConfig as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use thiserror::Error;
use tracing_subscriber::{
    EnvFilter, Layer, Registry, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Why telemetry could not be set up.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("{0:?} is not a log filter: {1}")]
    Filter(String, String),
    /// The collector's endpoint is not usable.
    #[error("traces cannot be exported to {0:?}: {1}")]
    Exporter(String, String),
    /// Called twice in one process.
    #[error("logging is set up already")]
    Again,
}

/// How to log.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is logged, for example `info` or `warn,oms_mysql=debug`.
    pub filter: String,
    /// JSON lines instead of text.
    pub json: bool,
    /// OTLP collector for traces; empty: none.
    pub otlp_endpoint: String,
    /// Attribute of exported traces.
    pub node: String,
}

/// Flushes what was not exported yet when it is dropped.
#[derive(Debug, Default)]
pub struct Guard {
    provider: Option<SdkTracerProvider>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take() {
            // Nothing is left to do about traces that cannot be exported at the very end.
            let _ = provider.shutdown();
        }
    }
}

/// Sets up logging to standard error, and tracing if a collector is named. Call once, inside a tokio runtime.
pub fn start(options: &Options) -> Result<Guard, TelemetryError> {
    let filter = EnvFilter::try_new(&options.filter)
        .map_err(|e| TelemetryError::Filter(options.filter.clone(), e.to_string()))?;
    let lines: Box<dyn Layer<Registry> + Send + Sync> = if options.json {
        Box::new(
            tracing_subscriber::fmt::layer()
                .json()
                .with_writer(std::io::stderr)
                .with_filter(filter),
        )
    } else {
        Box::new(
            tracing_subscriber::fmt::layer()
                .with_writer(std::io::stderr)
                .with_ansi(std::io::stderr().is_terminal())
                .with_target(false)
                .with_filter(filter),
        )
    };
    let mut guard = Guard::default();
    let traces = if options.otlp_endpoint.is_empty() {
        None
    } else {
        let bad = |e: String| TelemetryError::Exporter(options.otlp_endpoint.clone(), e);
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&options.otlp_endpoint)
            .build()
            .map_err(|e| bad(e.to_string()))?;
        let resource = opentelemetry_sdk::Resource::builder()
            .with_service_name("omsnode")
            .with_attribute(opentelemetry::KeyValue::new("oms.node", options.node.clone()))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build();
        let tracer = provider.tracer("omsnode");
        guard.provider = Some(provider);
        Some(tracing_opentelemetry::layer().with_tracer(tracer))
    };
    Registry::default()
        .with(lines)
        .with(traces)
        .try_init()
        .map_err(|_| TelemetryError::Again)?;
    Ok(guard)
}
