//! gRPC contracts of omsnode: messages, services and the mapping between errors and status codes.
