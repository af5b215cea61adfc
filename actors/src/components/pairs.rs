//! Definitions of both sides, paired.

use std::sync::Arc;

use oms_core::{Failure, Sink, Source, TableName, TablePair, codes};

/// A source table and its destination table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// At the source.
    pub source: TableName,
    /// At the destination.
    pub destination: TableName,
}

/// Reads the definitions of all tables at both sides and pairs their columns by name.
///
/// # Errors
/// `OMS-DST-0009` names every destination table that is missing; those of [`TablePair::by_name`].
pub(crate) async fn load_pairs(
    source: &dyn Source,
    sink: &dyn Sink,
    mappings: &[Mapping],
) -> Result<Arc<Vec<TablePair>>, Failure> {
    let names: Vec<_> = mappings.iter().map(|m| m.source.clone()).collect();
    let targets: Vec<_> = mappings.iter().map(|m| m.destination.clone()).collect();
    let at_source = source.load_tables(&names).await?;
    let at_destination = sink.load_tables(&targets).await?;
    let missing: Vec<_> = targets
        .iter()
        .zip(&at_destination)
        .filter(|(_, found)| found.is_none())
        .map(|(name, _)| name.to_string())
        .collect();
    if !missing.is_empty() {
        return Err(Failure::new(codes::dst::TABLE_MISSING, missing.join(", ")));
    }
    let pairs = at_source
        .into_iter()
        .zip(at_destination.into_iter().flatten())
        .map(|(s, d)| TablePair::by_name(Arc::new(s), Arc::new(d)))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Arc::new(pairs))
}
