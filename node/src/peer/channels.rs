//! Connections to other nodes.

use std::{collections::BTreeMap, sync::Arc};

use oms_core::{Failure, codes};
use oms_proto::peer::peer_service_client::PeerServiceClient;
use oms_raft::{Connect, NodeInfo};
use parking_lot::Mutex;
use tonic::transport::Channel;

/// Connections kept, at most; more are made anew each time.
const MOST: usize = 256;

/// Channels to other nodes by address. They connect when first used and again after a loss.
pub(crate) struct PeerChannels {
    connect: Arc<dyn Connect>,
    channels: Mutex<BTreeMap<String, Channel>>,
}

impl PeerChannels {
    pub(crate) fn new(connect: Arc<dyn Connect>) -> Self {
        Self {
            connect,
            channels: Mutex::default(),
        }
    }

    /// A client of the node at an address. Nothing is sent; set a deadline on every request.
    ///
    /// # Errors
    /// `OMS-API-0001` when the text is not an address.
    pub(crate) fn client(&self, address: &str) -> Result<PeerServiceClient<Channel>, Failure> {
        self.channel(address).map(PeerServiceClient::new)
    }

    /// The channel below, for the public services of the node at an address.
    ///
    /// # Errors
    /// `OMS-API-0001` when the text is not an address.
    pub(crate) fn channel(&self, address: &str) -> Result<Channel, Failure> {
        let mut channels = self.channels.lock();
        if let Some(channel) = channels.get(address) {
            return Ok(channel.clone());
        }
        let node = NodeInfo {
            address: address.to_owned(),
            ..NodeInfo::default()
        };
        let channel = self
            .connect
            .channel(&node)
            .map_err(|why| Failure::new(codes::api::INVALID_ARGUMENT, why))?;
        if channels.len() >= MOST {
            channels.clear();
        }
        channels.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }

    /// A connection of its own to the node at an address, which ends when it is dropped: for long streams,
    /// whose troubles must not be those of other calls.
    ///
    /// # Errors
    /// `OMS-API-0001` when the text is not an address.
    pub(crate) fn dedicated(&self, address: &str) -> Result<Channel, Failure> {
        let node = NodeInfo {
            address: address.to_owned(),
            ..NodeInfo::default()
        };
        self.connect
            .channel(&node)
            .map_err(|why| Failure::new(codes::api::INVALID_ARGUMENT, why))
    }

    /// Forgets the connection to an address: the next client connects anew. For one that got no answer,
    /// since packets into a cut network can hold up a connection long after the cut has healed.
    pub(crate) fn forget(&self, address: &str) {
        self.channels.lock().remove(address);
    }
}
