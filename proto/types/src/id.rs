//! Names of the things that metadata knows.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ComponentKind;

/// Why a text is not an identifier.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("{text:?} is not a {what} id: {expected}")]
pub struct IdError {
    text: String,
    what: &'static str,
    expected: &'static str,
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Prefix of every id of this kind.
            pub const PREFIX: &'static str = $prefix;

            /// Makes an id from its part behind the prefix, which must be 1 to 40 lower-case
            /// letters and digits.
            pub fn from_suffix(suffix: &str) -> Result<Self, IdError> {
                format!("{}{suffix}", $prefix).parse()
            }

            /// The whole id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                let ok = text.strip_prefix($prefix).is_some_and(|rest| {
                    (1..=40).contains(&rest.len())
                        && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
                });
                if ok {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdError {
                        text: text.to_owned(),
                        what: $what,
                        expected: concat!("expected ", $prefix, " followed by 1 to 40 lower-case letters or digits"),
                    })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// A migration or synchronization project, for example `p_01j9z3`.
    ProjectId, "p_", "project"
);
text_id!(
    /// A registered data source, for example `e_01j9z3`.
    DataSourceId, "e_", "data source"
);

/// A component of a project: `<project>.<kind>`, for example `p_01j9z3.incr-sync`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ComponentId {
    project: ProjectId,
    kind: ComponentKind,
}

impl ComponentId {
    /// Names the component of the kind in the project.
    pub fn new(project: ProjectId, kind: ComponentKind) -> Self {
        Self { project, kind }
    }

    /// The project it belongs to.
    pub fn project(&self) -> &ProjectId {
        &self.project
    }

    /// What it does.
    pub fn kind(&self) -> ComponentKind {
        self.kind
    }
}

impl fmt::Display for ComponentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.project, self.kind)
    }
}

impl FromStr for ComponentId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let bad = || IdError {
            text: text.to_owned(),
            what: "component",
            expected: "expected <project id>.<component kind>",
        };
        let (project, kind) = text.split_once('.').ok_or_else(bad)?;
        Ok(Self {
            project: project.parse()?,
            kind: kind.parse().map_err(|_| bad())?,
        })
    }
}

impl TryFrom<String> for ComponentId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<ComponentId> for String {
    fn from(id: ComponentId) -> String {
        id.to_string()
    }
}

/// A node of the cluster. Zero means "no node" in persisted data and is never a node's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn component_id_round_trips() {
        let id: ComponentId = "p_ab12.incr-sync".parse().unwrap();
        assert_eq!(id.kind(), ComponentKind::IncrSync);
        assert_eq!(id.to_string(), "p_ab12.incr-sync");
    }

    #[test]
    fn refuses_foreign_prefix_and_bad_characters() {
        assert!("e_ab".parse::<ProjectId>().is_err());
        assert!("p_".parse::<ProjectId>().is_err());
        assert!("p_A".parse::<ProjectId>().is_err());
        assert!("p_ab.nothing".parse::<ComponentId>().is_err());
    }
}
