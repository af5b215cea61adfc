//! Opening connections and naming their errors.

mod endpoint;
mod failure;
mod greeting;
mod open;
mod reach;
mod server_info;
mod session;

pub use endpoint::{Endpoint, Secret, Side, TlsMode};
pub use failure::failure;
pub(crate) use failure::{Meaning, io_meaning};
pub use open::{CONNECT_TIMEOUT, connect};
pub(crate) use reach::lost;
pub(crate) use server_info::variables;
pub use server_info::{Flavor, ServerInfo};
