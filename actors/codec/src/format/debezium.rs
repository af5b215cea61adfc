//! Debezium, DebeziumFlatten and DebeziumSmt, in OMS's variant.

use super::{Done, Images, Input, as_ms};
use crate::{
    Change, Format, Written, json, number,
    value::{Style, open_row, row},
};

/// What OMS calls the version in heartbeats.
const HEARTBEAT_VERSION: &str = "2.0.1.Final";

pub(crate) fn debezium(input: &Input<'_>, out: &mut Vec<u8>) -> Done {
    let Input {
        settings,
        moment,
        change,
    } = input;
    let format = settings.format;
    let Some(images) = Images::of(change) else {
        if matches!(change, Change::Ddl(_)) {
            return Ok(Written::Nothing);
        }
        let wrapped = format != Format::DebeziumFlatten;
        if wrapped {
            json::raw("{\"payload\":", out);
        }
        json::raw("{\"source\":{\"version\":\"", out);
        json::raw(HEARTBEAT_VERSION, out);
        json::raw("\",\"connector\":", out);
        json::string(settings.db_type.upper(), out);
        json::raw(",\"name\":\"OMS\",\"ts_ms\":", out);
        as_ms(moment.event_seconds, out);
        json::raw(",\"pos\":", out);
        number::signed(moment.event_seconds, out);
        json::raw("},\"op\":\"HEARTBEAT\",\"ts_ms\":", out);
        number::signed(moment.processed_ms, out);
        json::raw(",\"before\":{},\"after\":{}}", out);
        if wrapped {
            out.push(b'}');
        }
        return Ok(Written::Message);
    };
    let table = images.table;
    let manner = images.manner(Style::Debezium, settings);
    if format == Format::DebeziumSmt {
        let deleted = images.after.is_none();
        if let Some(latest) = images.latest()
            && open_row(table, latest, manner, out)?
        {
            out.push(b',');
        }
        json::raw("\"__deleted\":\"", out);
        json::raw(if deleted { "true" } else { "false" }, out);
        json::raw("\"}", out);
        return Ok(Written::Message);
    }
    let flat = format == Format::DebeziumFlatten;
    if !flat {
        if table.text.schema.is_empty() {
            out.push(b'{');
        } else {
            json::raw("{\"schema\":", out);
            out.extend_from_slice(&table.text.schema);
            out.push(b',');
        }
        json::raw("\"payload\":", out);
    }
    json::raw("{\"op\":\"", out);
    json::raw(
        match change {
            Change::Update { .. } => "u",
            Change::Delete { .. } => "d",
            _ => "c",
        },
        out,
    );
    out.push(b'"');
    if let Some(before) = images.before {
        json::raw(",\"before\":", out);
        row(table, before, manner, out)?;
    }
    json::raw(",\"source\":{\"connector\":", out);
    json::string(settings.db_type.upper(), out);
    let (offset, seconds) = if images.full {
        (0, 0)
    } else {
        (moment.offset, moment.event_seconds)
    };
    json::raw(",\"pos\":\"", out);
    number::unsigned(offset, out);
    out.push(b'@');
    number::signed(seconds, out);
    json::raw("\",\"name\":\"OMS\",\"version\":\"\",\"ts_ms\":", out);
    as_ms(seconds, out);
    json::raw(",\"db\":", out);
    out.extend_from_slice(&table.text.database);
    json::raw(",\"table\":", out);
    out.extend_from_slice(&table.text.table);
    out.push(b'}');
    if let Some(after) = images.after {
        json::raw(",\"after\":", out);
        row(table, after, manner, out)?;
    }
    json::raw(",\"ts_ms\":", out);
    number::signed(moment.processed_ms, out);
    json::raw(if flat { "}" } else { "}}" }, out);
    Ok(Written::Message)
}
