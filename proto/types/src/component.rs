//! Kinds of components and steps.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! named_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant),+
        }

        impl $name {
            /// All of them, in the order in which a project runs them.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// The stable name.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok($name::$variant),)+
                    other => Err(format!("{other:?} is not one of {}", [$($text),+].join(", "))),
                }
            }
        }
    };
}

named_enum!(
    /// What a component does. Each runs as one supervised actor on one node at a time.
    ComponentKind {
        /// Checks both ends before anything is changed.
        Precheck = "precheck",
        /// Creates databases, tables, views and indexes at the destination.
        SchemaMigration = "schema-migration",
        /// Captures the source's log into the change log.
        Store = "store",
        /// Copies the rows that exist.
        FullImport = "full-import",
        /// Applies the changes that the Store captured.
        IncrSync = "incr-sync",
        /// Compares both sides row by row.
        FullVerification = "full-verification",
        /// Looks at and changes the source for a switchover.
        Switchover = "switchover",
    }
);

named_enum!(
    /// A step of a project, in OMS's names.
    StepKind {
        /// Prechecks.
        TransferPrecheck = "TRANSFER_PRECHECK",
        /// Schema migration.
        StructTransfer = "STRUCT_TRANSFER",
        /// The Store is started and durable.
        TransferIncrLogPull = "TRANSFER_INCR_LOG_PULL",
        /// Full import.
        FullTransfer = "FULL_TRANSFER",
        /// Indexes that were postponed until after the data.
        IndexTransfer = "INDEX_TRANSFER",
        /// Incremental synchronization.
        IncrTransfer = "INCR_TRANSFER",
        /// Full verification.
        FullVerifier = "FULL_VERIFIER",
        /// The switchover of applications from the source to the destination.
        TransferAppSwitch = "TRANSFER_APP_SWITCH",
    }
);
