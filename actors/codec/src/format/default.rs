//! Default and DefaultExtendColumnType.

use oms_core::Row;

use super::{Done, Images, Input, seconds_text};
use crate::{
    Change, CodecError, Format, Written, json, number,
    value::{Manner, Style, open_row},
};

pub(crate) fn default(input: &Input<'_>, out: &mut Vec<u8>) -> Done {
    let Input {
        settings,
        moment,
        change,
    } = input;
    let typed = settings.format == Format::DefaultWithSchema;
    let db_type = settings.db_type.upper();
    let sequence = |out: &mut Vec<u8>| match moment.sequence {
        Some(sequence) => number::unsigned(sequence.get(), out),
        None => json::raw("null", out),
    };
    if let Some(images) = Images::of(change) {
        let table = images.table;
        let manner = images.manner(Style::Sheet, settings);
        json::raw("{\"prevStruct\":", out);
        image(&images, images.before, manner, typed, out)?;
        json::raw(",\"postStruct\":", out);
        image(&images, images.after, manner, typed, out)?;
        json::raw(",\"allMetaData\":{\"checkpoint\":", out);
        if images.full {
            out.push(b'"');
            scan_place(&images, out)?;
            out.push(b'"');
        } else {
            seconds_text(moment.checkpoint_seconds, out);
        }
        json::raw(",\"record_primary_key\":", out);
        out.extend_from_slice(&table.text.key_joined);
        json::raw(",\"record_primary_value\":\"", out);
        images.key_joined(out)?;
        json::raw("\",\"source_identity\":", out);
        json::optional(moment.stream, out);
        json::raw(",\"dbType\":", out);
        json::string(db_type, out);
        if !images.full {
            json::raw(",\"storeDataSequence\":", out);
            sequence(out);
        }
        json::raw(",\"table_name\":", out);
        out.extend_from_slice(&table.text.table);
        json::raw(",\"db\":", out);
        out.extend_from_slice(&table.text.tenant_database);
        if !images.full {
            json::raw(",\"timestamp\":", out);
            seconds_text(moment.event_seconds, out);
            json::raw(",\"uniqueId\":", out);
            json::optional(moment.unique_id, out);
            json::raw(",\"transId\":", out);
            json::optional(moment.transaction, out);
            json::raw(",\"clusterId\":", out);
            json::optional(moment.cluster, out);
            json::raw(",\"ddlType\":null", out);
        }
        json::raw("},\"recordType\":\"", out);
        json::raw(
            match change {
                Change::Full { .. } => "ROW",
                Change::Update { .. } => "UPDATE",
                Change::Delete { .. } => "DELETE",
                _ => "INSERT",
            },
            out,
        );
        json::raw("\"}", out);
        return Ok(Written::Message);
    }
    let Change::Ddl(ddl) = change else {
        json::raw(
            "{\"prevStruct\":null,\"postStruct\":null,\"allMetaData\":{\"checkpoint\":",
            out,
        );
        seconds_text(moment.checkpoint_seconds, out);
        json::raw(",\"dbType\":", out);
        json::string(db_type, out);
        json::raw(",\"storeDataSequence\":", out);
        sequence(out);
        json::raw(",\"db\":null,\"timestamp\":", out);
        seconds_text(moment.event_seconds, out);
        json::raw(",\"uniqueId\":null,\"transId\":null,\"clusterId\":", out);
        json::optional(moment.cluster, out);
        json::raw(
            ",\"ddlType\":null,\"record_primary_key\":null,\"source_identity\":",
            out,
        );
        json::optional(moment.stream, out);
        json::raw(
            ",\"record_primary_value\":null,\"table_name\":null},\"recordType\":\"HEARTBEAT\"}",
            out,
        );
        return Ok(Written::Message);
    };
    json::raw("{\"prevStruct\":null,\"postStruct\":{\"ddl\":", out);
    json::string(ddl.text(), out);
    if typed {
        json::raw(",\"__light_type\":{\"ddl\":{\"schemaType\":\"VAR_STRING\"}}", out);
    }
    json::raw("},\"allMetaData\":{\"checkpoint\":", out);
    seconds_text(moment.checkpoint_seconds, out);
    json::raw(",\"dbType\":", out);
    json::string(db_type, out);
    json::raw(",\"storeDataSequence\":", out);
    sequence(out);
    json::raw(",\"db\":", out);
    json::string(ddl.database, out);
    json::raw(",\"timestamp\":", out);
    seconds_text(moment.event_seconds, out);
    json::raw(",\"uniqueId\":", out);
    json::optional(moment.unique_id, out);
    json::raw(",\"ddlType\":", out);
    json::string(ddl.kind.default_name(), out);
    json::raw(",\"record_primary_key\":null,\"source_identity\":", out);
    json::optional(moment.stream, out);
    json::raw(",\"record_primary_value\":null,\"table_name\":", out);
    json::optional(ddl.table, out);
    json::raw("},\"recordType\":\"DDL\"}", out);
    Ok(Written::Message)
}

fn image(
    images: &Images<'_>,
    row: Option<&Row>,
    manner: Manner,
    typed: bool,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let Some(row) = row else {
        json::raw("null", out);
        return Ok(());
    };
    let any = open_row(images.table, row, manner, out)?;
    if typed {
        if any {
            out.push(b',');
        }
        out.extend_from_slice(&images.table.text.light_type);
    }
    out.push(b'}');
    Ok(())
}

/// `key=value,…`: how far the scan has come.
fn scan_place(images: &Images<'_>, out: &mut Vec<u8>) -> Result<(), CodecError> {
    let Some(row) = images.after else { return Ok(()) };
    let table = images.table;
    for (i, &column) in table.key.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        if let Some(plan) = table.columns.get(column) {
            json::escape(&plan.column.name, out);
            out.push(b'=');
            let form = crate::value::Form::Escaped { full: true };
            crate::value::sheet(table, plan, row.get(column), form, out)?;
        }
    }
    Ok(())
}
