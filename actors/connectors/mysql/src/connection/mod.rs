//! Opening connections and naming their errors.

mod endpoint;

pub use endpoint::{Endpoint, Secret, Side, TlsMode};
