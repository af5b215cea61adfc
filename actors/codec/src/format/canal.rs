//! Canal's flat message, in OMS's variant.

use super::{Done, Images, Input, as_ms};
use crate::{
    Change, Written, json, number,
    value::{Style, open_some, row},
};

pub(crate) fn canal(input: &Input<'_>, out: &mut Vec<u8>) -> Done {
    let Input {
        settings,
        moment,
        change,
    } = input;
    if let Some(images) = Images::of(change) {
        let table = images.table;
        let manner = images.manner(Style::Sheet, settings);
        json::raw("{\"database\":", out);
        out.extend_from_slice(&table.text.database);
        json::raw(",\"sqlType\":", out);
        out.extend_from_slice(&table.text.sql_types);
        json::raw(",\"data\":[", out);
        if let Some(latest) = images.latest() {
            row(table, latest, manner, out)?;
        }
        json::raw("],\"pkNames\":", out);
        out.extend_from_slice(&table.text.key_names);
        json::raw(",\"old\":", out);
        match (images.before, images.after) {
            (Some(before), Some(after)) => {
                out.push(b'[');
                // What the log does not carry is not known to have changed.
                let changed = |index: usize| {
                    before.cell(index) != after.cell(index)
                        && !before.get(index).is_absent()
                        && !after.get(index).is_absent()
                };
                open_some(table, before, manner, |c| changed(c.index), out)?;
                json::raw("}]", out);
            }
            _ => json::raw("null", out),
        }
        json::raw(",\"mysqlType\":", out);
        out.extend_from_slice(&table.text.mysql_types);
        json::raw(",\"type\":\"", out);
        json::raw(
            match change {
                Change::Update { .. } => "UPDATE",
                Change::Delete { .. } => "DELETE",
                _ => "INSERT",
            },
            out,
        );
        json::raw("\",\"table\":", out);
        out.extend_from_slice(&table.text.table);
        json::raw(",\"es\":", out);
        as_ms(moment.event_seconds, out);
        json::raw(",\"isDdl\":false,\"ts\":", out);
        number::signed(moment.processed_ms, out);
        json::raw(",\"sql\":\"\"}", out);
        return Ok(Written::Message);
    }
    let Change::Ddl(ddl) = change else {
        json::raw(
            "{\"table\":null,\"database\":null,\"type\":\"MHEARTBEAT\",\"ts\":",
            out,
        );
        number::signed(moment.processed_ms, out);
        json::raw(",\"es\":", out);
        as_ms(moment.event_seconds, out);
        json::raw(
            ",\"isDdl\":false,\"sql\":\"\",\"data\":null,\"old\":null,\"pkNames\":null,\"mysqlType\":null,\"sqlType\":null}",
            out,
        );
        return Ok(Written::Message);
    };
    json::raw("{\"database\":", out);
    json::string(ddl.database, out);
    json::raw(
        ",\"sqlType\":null,\"data\":null,\"pkNames\":null,\"old\":null,\"mysqlType\":null,\"type\":",
        out,
    );
    json::string(ddl.kind.event_name(), out);
    json::raw(",\"table\":", out);
    json::optional(ddl.table, out);
    json::raw(",\"es\":", out);
    as_ms(moment.event_seconds, out);
    json::raw(",\"isDdl\":true,\"ts\":", out);
    number::signed(moment.processed_ms, out);
    json::raw(",\"sql\":", out);
    json::string(ddl.text(), out);
    out.push(b'}');
    Ok(Written::Message)
}
