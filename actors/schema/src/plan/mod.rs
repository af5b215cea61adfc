//! All objects of a project: in which order, with which statements, in which state.

mod build;
mod order;
mod record;
mod state;

use std::collections::{BTreeMap, BTreeSet};

use oms_core::{ObjectName, TableName, TableSchema};

pub use build::plan;
pub use record::{ObjectError, ObjectRecord, OperationRefused};
pub use state::{ObjectOperation, ObjectState};

use crate::{ConvertOptions, DestinationTraits, SourceTraits, TableDefinition};

/// An object that the user selected, with what the source said about it.
#[derive(Clone, Debug)]
pub struct SourceObject {
    /// Its name at the source: a database, table or view.
    pub name: ObjectName,
    /// What `SHOW CREATE` printed, or why it printed nothing.
    pub definition: Result<String, ObjectError>,
}

/// What a plan is made from.
#[derive(Debug)]
pub struct PlanRequest<'a> {
    /// The selected objects in any order.
    pub objects: Vec<SourceObject>,
    /// The source.
    pub source: &'a SourceTraits,
    /// The destination.
    pub destination: &'a DestinationTraits,
    /// The user's decisions.
    pub options: &'a ConvertOptions,
    /// Tables that are at the destination already, by their name there. Those that the plan wants
    /// are compared with what it wants.
    pub existing_tables: &'a BTreeMap<TableName, TableSchema>,
    /// Views, indexes, foreign keys and checks that are at the destination already.
    pub existing_objects: &'a BTreeSet<ObjectName>,
}

/// An object and what must be there before it.
#[derive(Clone, Debug)]
pub struct PlannedObject {
    /// What the user sees of it.
    pub record: ObjectRecord,
    /// Objects of the plan, by their names at the destination, that must be completed, skipped or
    /// removed first.
    pub after: Vec<ObjectName>,
    /// Whether it waits until the rows are there.
    pub after_data: bool,
    /// Whether it waits until the project switches over.
    pub at_switchover: bool,
    /// Of a table: its definition at the destination.
    pub definition: Option<TableDefinition>,
}

/// The objects of a project in the order of execution: databases, tables, foreign keys, views,
/// what waits for the rows, and what waits for the switchover.
#[derive(Clone, Debug, Default)]
pub struct MigrationPlan {
    /// The objects.
    pub objects: Vec<PlannedObject>,
}

impl MigrationPlan {
    /// Objects that go with a table when it is skipped or removed: its indexes, foreign keys and checks.
    pub fn parts_of<'a>(&'a self, table: &'a ObjectName) -> impl Iterator<Item = &'a PlannedObject> {
        self.objects.iter().filter(move |object| {
            let name = &object.record.name;
            !name.part.is_empty() && name.database == table.database && name.table == table.table
        })
    }
}
