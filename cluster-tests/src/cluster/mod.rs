//! Clusters of real `omsnode` processes on a network that can be cut.

mod deployment;
mod lan;
mod links;
mod members;
mod netns;
mod proxy;
mod small_disk;
mod sockets;
mod subnet;

pub use deployment::{Deployment, DeploymentOptions};
pub use lan::{Home, Lan};
pub use links::{End, Links, Way};
pub use members::{NodeCluster, Place};
pub use small_disk::SmallDisk;
