//! How a node reaches another one.

use std::time::Duration;

use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use crate::config::NodeInfo;

/// Bytes that may be on their way to a caller before it has read any.
const STREAM_WINDOW: u32 = 8 << 20;

/// Opens channels to nodes. Production uses [`TcpConnect`]; a simulation puts its own network here.
pub trait Connect: Send + Sync + 'static {
    /// A channel that connects when it is first used, and again whenever the connection was lost. An
    /// error means that the address itself is unusable; the text says why.
    fn channel(&self, node: &NodeInfo) -> Result<Channel, String>;
}

/// TCP, with TLS when configured.
#[derive(Debug, Clone, Default)]
pub struct TcpConnect {
    /// Mutual TLS between nodes; plain text without.
    pub tls: Option<ClientTlsConfig>,
}

impl Connect for TcpConnect {
    fn channel(&self, node: &NodeInfo) -> Result<Channel, String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let mut endpoint = Endpoint::from_shared(format!("{scheme}://{}", node.address))
            .map_err(|error| format!("\"{}\" is not an address: {error}", node.address))?
            .connect_timeout(Duration::from_secs(3))
            .tcp_nodelay(true)
            // The protocol's 64 KiB would hold a change log between regions to less than a megabyte a second.
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(2 * STREAM_WINDOW)
            .http2_keep_alive_interval(Duration::from_secs(5))
            .keep_alive_timeout(Duration::from_secs(5));
        if let Some(tls) = &self.tls {
            endpoint = endpoint
                .tls_config(tls.clone())
                .map_err(|error| error.to_string())?;
        }
        Ok(endpoint.connect_lazy())
    }
}
