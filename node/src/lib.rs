//! The daemon: API services, controller, node agent and the wiring of connectors.
