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

/// Characters of the random part of the ids that projects are given.
const RANDOM: usize = 32;

impl ProjectId {
    /// What the id of a project has in common with those of its reverse projects, of their reverse projects, and so on.
    ///
    /// A project that is no reverse project is given 32 hexadecimal digits; a reverse project those of its project, `r` and 1 to 7
    /// further letters and digits. So an id alone tells whose link it belongs to, also to a reader that has never heard of the
    /// project. Any other id is a family of its own.
    pub fn family(&self) -> &str {
        family(&self.0)
    }

    /// The id of a reverse project of this one. `own` are 1 to 7 lower-case letters and digits that tell it from the others.
    ///
    /// # Errors
    /// When this id was not given to a project by a node, or `own` is something else.
    pub fn reverse(&self, own: &str) -> Result<Self, IdError> {
        let id: Self = format!("{}r{own}", self.family()).parse()?;
        if id.family() == self.family() && id.as_str() != self.family() {
            Ok(id)
        } else {
            Err(IdError {
                text: id.0,
                what: "reverse project",
                expected: "expected the id of a project, `r` and 1 to 7 lower-case letters and digits",
            })
        }
    }
}

/// The family of a project by its id ([`ProjectId::family`]).
fn family(id: &str) -> &str {
    let end = ProjectId::PREFIX.len() + RANDOM;
    let (Some(first), Some(rest)) = (id.get(..end), id.get(end..)) else {
        return id;
    };
    let hexadecimal = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    let given = first.bytes().skip(ProjectId::PREFIX.len()).all(hexadecimal);
    let own = rest
        .strip_prefix('r')
        .is_some_and(|own| (1..=7).contains(&own.len()));
    if given && own { first } else { id }
}

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
    fn reverse_projects_are_of_one_family_and_others_are_not() {
        let id: ProjectId = "p_0191d0c0a0b07e3c8f00000000000001".parse().unwrap();
        let other: ProjectId = "p_0191d0c0a0b07e3c8f00000000000002".parse().unwrap();
        let reverse = id.reverse("1").unwrap();
        assert_eq!(reverse.as_str(), "p_0191d0c0a0b07e3c8f00000000000001r1");
        let back = reverse.reverse("zz00zz9").unwrap();
        assert_eq!(back.as_str(), "p_0191d0c0a0b07e3c8f00000000000001rzz00zz9");
        for one in [&id, &reverse, &back] {
            assert_eq!(one.family(), id.as_str());
            assert_ne!(one.family(), other.family());
        }
        assert!(id.reverse("").is_err());
        assert!(id.reverse("12345678").is_err());
        assert!(id.reverse("A").is_err());
        // Nobody is taken for a relative because of how a short id happens to be written.
        let short: ProjectId = "p_order".parse().unwrap();
        assert_eq!(short.family(), "p_order");
        assert!(short.reverse("1").is_err());
    }

    #[test]
    fn refuses_foreign_prefix_and_bad_characters() {
        assert!("e_ab".parse::<ProjectId>().is_err());
        assert!("p_".parse::<ProjectId>().is_err());
        assert!("p_A".parse::<ProjectId>().is_err());
        assert!("p_ab.nothing".parse::<ComponentId>().is_err());
    }
}
