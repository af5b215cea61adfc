//! The connection to a daemon, and what every command needs.

use std::time::Duration;

use oms_proto::v1::{
    admin_service_client::AdminServiceClient, component_service_client::ComponentServiceClient,
    data_source_service_client::DataSourceServiceClient, node_service_client::NodeServiceClient,
    project_service_client::ProjectServiceClient, token_service_client::TokenServiceClient,
};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

use crate::{
    error::{CliError, innermost},
    output::Output,
};

/// How long a node may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// A node that does not answer for this long is gone, even if the network does not say so.
const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Largest message: definitions and statements of many objects.
const MAX_MESSAGE: usize = 64 << 20;

/// What every command needs: where the daemon is, where output goes, and whether to ask.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) server: String,
    pub(crate) out: Output,
    pub(crate) yes: bool,
}

macro_rules! clients {
    ($($(#[$doc:meta])* $name:ident: $client:ident;)+) => {
        $($(#[$doc])*
        pub(crate) async fn $name(&self) -> Result<$client<Channel>, CliError> {
            let client = $client::new(self.connect().await?);
            Ok(client.max_decoding_message_size(MAX_MESSAGE).max_encoding_message_size(MAX_MESSAGE))
        })+
    };
}

impl Context {
    clients! {
        /// A connection to the data-source service.
        data_sources: DataSourceServiceClient;
        /// A connection to the project service.
        projects: ProjectServiceClient;
        /// A connection to the component service.
        components: ComponentServiceClient;
        /// A connection to the node service.
        nodes: NodeServiceClient;
        /// A connection to the administration service.
        admin: AdminServiceClient;
        /// A connection to the token service.
        tokens: TokenServiceClient;
    }

    /// The same, talking to another node.
    pub(crate) fn at(&self, server: &str) -> Self {
        Self {
            server: server.to_owned(),
            out: self.out.clone(),
            yes: self.yes,
        }
    }

    async fn connect(&self) -> Result<Channel, CliError> {
        let unreachable = |cause: String| CliError::Unreachable {
            server: self.server.clone(),
            cause,
        };
        let endpoint = Endpoint::from_shared(format!("http://{}", self.server))
            .map_err(|e| unreachable(innermost(&e)))?;
        endpoint
            .connect_timeout(CONNECT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE)
            .connect()
            .await
            .map_err(|e| unreachable(innermost(&e)))
    }

    /// The error behind a status of this daemon; for `map_err`.
    pub(crate) fn failed(&self) -> impl Fn(Status) -> CliError + '_ {
        |status| CliError::from_status(&self.server, &status)
    }
}
