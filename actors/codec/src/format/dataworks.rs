//! DataWorks 2.0.

use oms_core::Row;

use super::{Done, Images, Input, as_ms, scn};
use crate::{
    Change, CodecError, DdlKind, Written, json, number,
    value::{Manner, Style, row},
};

pub(crate) fn dataworks(input: &Input<'_>, out: &mut Vec<u8>) -> Done {
    let Input {
        settings,
        moment,
        change,
    } = input;
    if let Change::Ddl(ddl) = change
        && matches!(ddl.kind, DdlKind::CommentOnTable | DdlKind::TruncatePartition)
    {
        return Ok(Written::Nothing);
    }
    json::raw("{\"version\":\"2.0\",\"schema\":{\"source\":{\"dbType\":", out);
    json::string(settings.db_type.lower(), out);
    json::raw(",\"dbVersion\":null,\"dbName\":", out);
    let images = Images::of(change);
    match (&images, change) {
        (Some(images), _) => out.extend_from_slice(&images.table.text.database),
        (None, Change::Ddl(ddl)) => json::string(ddl.database, out),
        _ => json::raw("null", out),
    }
    json::raw(",\"schema\":null,\"table\":", out);
    match (&images, change) {
        (Some(images), _) => out.extend_from_slice(&images.table.text.table),
        (None, Change::Ddl(ddl)) => json::optional(ddl.table, out),
        _ => json::raw("null", out),
    }
    json::raw("},\"column\":", out);
    if let Some(images) = &images {
        let table = images.table;
        out.extend_from_slice(&table.text.typed_columns);
        json::raw(",\"pk\":", out);
        out.extend_from_slice(&table.text.key_names);
        let manner = images.manner(Style::Plain, settings);
        json::raw("},\"payload\":{\"before\":", out);
        image(images, images.before, manner, out)?;
        json::raw(",\"after\":", out);
        image(images, images.after, manner, out)?;
    } else {
        json::raw(
            "null,\"pk\":null},\"payload\":{\"before\":null,\"after\":null",
            out,
        );
    }
    json::raw(",\"op\":\"", out);
    json::raw(
        match change {
            Change::Full { .. } | Change::Insert { .. } => "INSERT",
            Change::Update { .. } => "UPDATE",
            Change::Delete { .. } => "DELETE",
            Change::Ddl(ddl) => ddl.kind.event_name(),
            Change::Heartbeat => "HEARTBEAT",
        },
        out,
    );
    json::raw("\",\"timestamp\":{\"eventTime\":", out);
    as_ms(moment.event_seconds, out);
    json::raw(",\"systemTime\":", out);
    number::signed(moment.processed_ms, out);
    json::raw(",\"checkpointTime\":", out);
    number::signed(moment.checkpoint_seconds, out);
    json::raw("},\"ddl\":", out);
    if let Change::Ddl(ddl) = change {
        json::raw("{\"text\":", out);
        json::string(ddl.text(), out);
        out.push(b'}');
    } else {
        json::raw("null", out);
    }
    json::raw(",\"scn\":", out);
    let numbered = match change {
        Change::Heartbeat => true,
        Change::Full { .. } | Change::Ddl(_) => false,
        _ => settings.dataworks_sequence,
    };
    if numbered {
        scn(moment, out);
    } else {
        json::raw("\"null\"", out);
    }
    json::raw("},\"extend\":{", out);
    // Only data belong to a business system.
    if let Some(business) = &settings.business
        && images.is_some()
    {
        json::raw("\"load_fm\":", out);
        json::string(business, out);
    }
    json::raw("}}", out);
    Ok(Written::Message)
}

fn image(
    images: &Images<'_>,
    image: Option<&Row>,
    manner: Manner,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    match image {
        Some(image) => {
            json::raw("{\"data\":", out);
            row(images.table, image, manner, out)?;
            out.push(b'}');
        }
        None => json::raw("null", out),
    }
    Ok(())
}
