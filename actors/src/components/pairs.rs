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

/// Reads the definitions of all tables at both sides and pairs their columns by name. A table that
/// cannot be paired keeps its failure and does not stop the others; transient failures stop.
pub async fn load_pairs_each(
    source: &dyn Source,
    sink: &dyn Sink,
    mappings: &[Mapping],
) -> Result<Vec<(Mapping, Result<TablePair, Failure>)>, Failure> {
    match load_pairs(source, sink, mappings).await {
        Ok(pairs) => {
            return Ok(mappings
                .iter()
                .cloned()
                .zip(pairs.iter().cloned().map(Ok))
                .collect());
        }
        Err(failure) if failure.is_transient() => return Err(failure),
        // One of them: find out which.
        Err(_) => {}
    }
    let mut all = Vec::with_capacity(mappings.len());
    for mapping in mappings {
        let one = load_pairs(source, sink, std::slice::from_ref(mapping)).await;
        let one = match one {
            Err(failure) if failure.is_transient() => return Err(failure),
            Err(failure) => Err(failure),
            Ok(pairs) => pairs.first().cloned().ok_or_else(|| {
                Failure::new(
                    codes::schema::DEFINITION_DIFFERS,
                    format!("{} was not read", mapping.source),
                )
            }),
        };
        all.push((mapping.clone(), one));
    }
    Ok(all)
}
