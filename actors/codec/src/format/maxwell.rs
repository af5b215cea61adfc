//! Maxwell, in OMS's variant.

use super::{Done, Images, Input, as_ms, optional_row, seconds_text};
use crate::{
    Change, CodecError, Written, json, number,
    value::{Form, Style, sheet},
};

/// `ts` of rows of full synchronization.
const FULL_SECONDS: i64 = 1_600_000_000;

pub(crate) fn maxwell(input: &Input<'_>, out: &mut Vec<u8>) -> Done {
    let Input {
        settings,
        moment,
        change,
    } = input;
    let images = Images::of(change);
    json::raw("{\"database\":", out);
    match (&images, change) {
        (Some(images), _) => {
            out.extend_from_slice(&images.table.text.database);
            json::raw(",\"table\":", out);
            out.extend_from_slice(&images.table.text.table);
        }
        (None, Change::Ddl(ddl)) => {
            json::string(ddl.database, out);
            json::raw(",\"table\":", out);
            json::optional(ddl.table, out);
        }
        _ => json::raw("null,\"table\":null", out),
    }
    json::raw(",\"type\":\"", out);
    json::raw(
        match change {
            Change::Full { .. } | Change::Insert { .. } => "insert",
            Change::Update { .. } => "update",
            Change::Delete { .. } => "delete",
            Change::Ddl(ddl) => ddl.kind.maxwell_name(),
            Change::Heartbeat => "heartbeat",
        },
        out,
    );
    json::raw("\",\"ts\":", out);
    match change {
        Change::Full { .. } => number::signed(FULL_SECONDS, out),
        // Unlike everywhere else, in milliseconds.
        Change::Heartbeat => as_ms(moment.event_seconds, out),
        _ => number::signed(moment.event_seconds, out),
    }
    json::raw(",\"xid\":", out);
    let named = !matches!(change, Change::Full { .. } | Change::Heartbeat);
    json::optional(moment.transaction.filter(|_| named), out);
    json::raw(",\"commit\":true,\"position\":", out);
    seconds_text(moment.checkpoint_seconds, out);
    json::raw(",\"primary_key\":", out);
    match &images {
        Some(images) => {
            key_values(images, out)?;
            json::raw(",\"primary_key_columns\":", out);
            out.extend_from_slice(&images.table.text.key_names);
            let manner = images.manner(Style::Maxwell, settings);
            json::raw(",\"data\":", out);
            optional_row(images.table, images.latest(), manner, out)?;
            json::raw(",\"old\":", out);
            optional_row(images.table, images.after.and(images.before), manner, out)?;
        }
        None => json::raw(
            "null,\"primary_key_columns\":null,\"data\":null,\"old\":null",
            out,
        ),
    }
    if let Change::Ddl(ddl) = change {
        json::raw(",\"sql\":", out);
        json::string(ddl.text(), out);
        json::raw(",\"def\":{\"database\":", out);
        json::string(ddl.database, out);
        json::raw(",\"table\":", out);
        json::optional(ddl.table, out);
        json::raw(",\"primary-key\":[],\"columns\":[]}", out);
    } else {
        json::raw(",\"sql\":null,\"def\":null", out);
    }
    if settings.message_ids || matches!(change, Change::Heartbeat) {
        json::raw(",\"uuid\":\"", out);
        uuid(moment.message_id, out);
        out.push(b'"');
    }
    if let Some(mesh) = &settings.mesh {
        json::raw(",\"mesh\":", out);
        json::string(mesh, out);
    }
    out.push(b'}');
    Ok(Written::Message)
}

fn key_values(images: &Images<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
    out.push(b'[');
    if let Some(row) = images.latest() {
        for (i, &column) in images.table.key.iter().enumerate() {
            json::raw(if i > 0 { ",\"" } else { "\"" }, out);
            if let Some(plan) = images.table.columns.get(column) {
                sheet(
                    images.table,
                    plan,
                    row.get(column),
                    Form::Escaped { full: images.full },
                    out,
                )?;
            }
            out.push(b'"');
        }
    }
    out.push(b']');
    Ok(())
}

/// The number in the form of a UUID.
fn uuid(id: u128, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    for digit in (0..32u32).rev() {
        out.push(HEX[(id >> (digit * 4) & 15) as usize]);
        if matches!(digit, 24 | 20 | 16 | 12) {
            out.push(b'-');
        }
    }
}
