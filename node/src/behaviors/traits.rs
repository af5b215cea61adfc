//! What both servers can do, asked of them.

use std::collections::{BTreeMap, BTreeSet};

use mysql_async::{Conn, prelude::Queryable as _};
use oms_core::Failure;
use oms_mysql::connection::{Flavor, ServerInfo, Side, failure};
use oms_schema::{DestinationTraits, Flavor as Dialect, SourceTraits};

pub(super) fn dialect(flavor: Flavor) -> Dialect {
    match flavor {
        Flavor::OceanBase => Dialect::OceanBase,
        Flavor::MariaDb => Dialect::MariaDb,
        Flavor::Mysql | Flavor::TiDb => Dialect::MySql,
    }
}

pub(super) async fn source_traits(conn: &mut Conn, info: &ServerInfo) -> Result<SourceTraits, Failure> {
    let default_collations = default_collations(conn, Side::Source).await?;
    Ok(SourceTraits {
        flavor: dialect(info.flavor),
        default_collations,
    })
}

pub(super) async fn destination_traits(
    conn: &mut Conn,
    info: &ServerInfo,
) -> Result<DestinationTraits, Failure> {
    let side = Side::Destination;
    let query = if info.flavor == Flavor::MariaDb {
        "SELECT full_collation_name FROM information_schema.collation_character_set_applicability"
    } else {
        "SELECT collation_name FROM information_schema.collations"
    };
    let collations: Vec<Option<String>> = conn.query(query).await.map_err(|e| failure(e, side))?;
    let collations: BTreeSet<String> = collations
        .into_iter()
        .flatten()
        .map(|c| c.to_lowercase())
        .collect();
    let defaults = default_collations(conn, side).await?;
    let mut traits = DestinationTraits::new(dialect(info.flavor), defaults, collations);
    traits.lower_case_names = info.lower_case_table_names == 1;
    Ok(traits)
}

async fn default_collations(conn: &mut Conn, side: Side) -> Result<BTreeMap<String, String>, Failure> {
    let query = "SELECT character_set_name, default_collate_name FROM information_schema.character_sets";
    let rows: Vec<(String, Option<String>)> = conn.query(query).await.map_err(|e| failure(e, side))?;
    Ok(rows
        .into_iter()
        .filter_map(|(c, d)| Some((c.to_lowercase(), d?.to_lowercase())))
        .collect())
}
