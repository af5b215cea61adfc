//! Partitions.

use super::{expression, report::Report, table::Work};
use crate::{PartitionMethod, PartitionValues, Partitioning};

/// `None` if the table is not partitioned at the destination.
pub(super) fn convert(work: &Work<'_>, old: &Partitioning, report: &mut Report) -> Option<Partitioning> {
    let supports = &work.destination.supports;
    let mut new = old.clone();
    if let PartitionMethod::SystemTime(_) = old.method {
        report.refuse_construct("partitions by SYSTEM_TIME");
        return None;
    }
    if old
        .definitions
        .iter()
        .any(|p| p.values == PartitionValues::Default)
    {
        if !supports.default_list_partition {
            report.lost(
                "table",
                "partitions, one of which takes everything else",
                "LIST with a DEFAULT partition",
            );
            return None;
        }
        if work.destination.flavor == crate::Flavor::OceanBase {
            for partition in &mut new.definitions {
                if partition.values == PartitionValues::Default {
                    partition.values = PartitionValues::In(vec!["DEFAULT".to_owned()]);
                }
            }
        }
    }
    for text in expressions(&mut new) {
        match expression::adapt(text, work.destination) {
            Some(adapted) => *text = adapted,
            None => {
                report.lost(
                    "table",
                    "partitions by a text in a character set the destination lacks",
                    text.clone(),
                );
                return None;
            }
        }
    }
    if !supports.partition_extras {
        extras(&mut new, report);
    } else {
        // The engine of a partition is that of the table.
        for options in all_options(&mut new) {
            options.retain(|(name, _)| name != "ENGINE");
        }
        directories(&mut new, report);
    }
    Some(new)
}

fn expressions(p: &mut Partitioning) -> Vec<&mut String> {
    let mut list = Vec::new();
    let methods = std::iter::once(&mut p.method).chain(p.sub.as_mut().map(|s| &mut s.method));
    for method in methods {
        if let PartitionMethod::Range(e) | PartitionMethod::List(e) | PartitionMethod::Hash(e) = method {
            list.push(e);
        }
    }
    for partition in &mut p.definitions {
        if let PartitionValues::LessThan(items) | PartitionValues::In(items) = &mut partition.values {
            list.extend(items.iter_mut());
        }
    }
    list
}

fn all_options(p: &mut Partitioning) -> impl Iterator<Item = &mut Vec<(String, String)>> {
    p.definitions.iter_mut().flat_map(|d| {
        std::iter::once(&mut d.options).chain(d.subpartitions.iter_mut().map(|s| &mut s.options))
    })
}

fn extras(new: &mut Partitioning, report: &mut Report) {
    if std::mem::take(&mut new.linear) {
        report.changed("table", "spreading of partitions", "LINEAR", "not linear");
    }
    if let Some(algorithm) = new.algorithm.take() {
        report.dropped("table", "algorithm of partitions by KEY", algorithm.to_string());
    }
    if let Some(sub) = &mut new.sub {
        if std::mem::take(&mut sub.linear) {
            report.changed("table", "spreading of subpartitions", "LINEAR", "not linear");
        }
        if let Some(algorithm) = sub.algorithm.take() {
            report.dropped(
                "table",
                "algorithm of subpartitions by KEY",
                algorithm.to_string(),
            );
        }
    }
    for options in all_options(new) {
        for (name, value) in std::mem::take(options) {
            if name != "ENGINE" {
                report.dropped("table", &format!("option {name} of a partition"), value);
            }
        }
    }
}

/// Folders of the source's host mean nothing at the destination.
fn directories(new: &mut Partitioning, report: &mut Report) {
    for options in all_options(new) {
        options.retain(|(name, value)| {
            let elsewhere = matches!(
                name.as_str(),
                "DATA DIRECTORY" | "INDEX DIRECTORY" | "TABLESPACE" | "NODEGROUP"
            );
            if elsewhere {
                report.dropped("table", &format!("option {name} of a partition"), value);
            }
            !elsewhere
        });
    }
}
