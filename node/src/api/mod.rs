//! The gRPC services.

mod component;
mod data_source;
mod project;

use std::{path::PathBuf, sync::Arc};

use oms_actors::ComponentHost;
use oms_core::Failure;
use oms_proto::status_of;
use tonic::Status;

use crate::{metadata::Metadata, observer::Observer, secrets::Vault};

pub(crate) use component::Components;
pub(crate) use data_source::DataSources;
pub(crate) use project::Projects;

/// What all services work with. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) metadata: Metadata,
    pub(crate) vault: Arc<Vault>,
    pub(crate) host: Arc<ComponentHost>,
    pub(crate) observer: Arc<Observer>,
    pub(crate) data_dir: PathBuf,
}

/// A failure as the caller sees it.
pub(crate) fn status(failure: Failure) -> Status {
    status_of(failure.code(), failure.detail())
}
