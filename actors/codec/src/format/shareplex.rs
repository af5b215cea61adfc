//! SharePlex.

use super::{Done, Images, Input, scn, zoned};
use crate::{
    Change, Written, json, number,
    value::{Style, open_some, row},
};

pub(crate) fn shareplex(input: &Input<'_>, out: &mut Vec<u8>) -> Done {
    let Input {
        settings,
        moment,
        change,
    } = input;
    let posted = moment.processed_ms.div_euclid(1_000);
    if let Some(images) = Images::of(change) {
        let table = images.table;
        let manner = images.manner(Style::Sheet, settings);
        json::raw("{\"data\":", out);
        match (images.before, images.after) {
            (Some(before), Some(after)) => {
                let changed =
                    |index: usize| before.cell(index) != after.cell(index) && !after.get(index).is_absent();
                open_some(table, after, manner, |c| changed(c.index), out)?;
                out.push(b'}');
            }
            (Some(only), None) | (None, Some(only)) => row(table, only, manner, out)?,
            (None, None) => json::raw("{}", out),
        }
        json::raw(",\"meta\":{\"posttime\":", out);
        zoned(posted, settings, out);
        json::raw(",\"op\":\"", out);
        json::raw(
            match change {
                Change::Update { .. } => "upd",
                Change::Delete { .. } => "del",
                _ => "ins",
            },
            out,
        );
        json::raw("\",\"size\":1,\"time\":", out);
        zoned(moment.event_seconds, settings, out);
        let ordinal = if settings.number_in_transaction && !images.full {
            moment.ordinal.max(1)
        } else {
            1
        };
        json::raw(",\"idx\":\"", out);
        number::unsigned(u64::from(ordinal), out);
        json::raw("/1\",\"seq\":", out);
        number::unsigned(u64::from(ordinal), out);
        json::raw(",\"table\":", out);
        out.extend_from_slice(&table.text.full_name);
        json::raw(",\"rowid\":\"", out);
        json::escape(&table.name().database, out);
        out.push(b'.');
        json::escape(&table.name().table, out);
        out.push(b'-');
        images.key_joined(out)?;
        json::raw("\",\"trans\":", out);
        json::optional(if images.full { None } else { moment.transaction }, out);
        json::raw(",\"scn\":", out);
        if images.full {
            json::raw("\"null\"", out);
        } else {
            scn(moment, out);
        }
        out.push(b'}');
        if let (Some(before), Some(_)) = (images.before, images.after) {
            json::raw(",\"key\":", out);
            row(table, before, manner, out)?;
        }
        out.push(b'}');
        return Ok(Written::Message);
    }
    let Change::Ddl(ddl) = change else {
        json::raw("{\"meta\":{\"time\":", out);
        zoned(moment.event_seconds, settings, out);
        json::raw(
            ",\"op\":\"heartbeat\",\"rowid\":null,\"trans\":null,\"seq\":0,\"size\":0,\"table\":null,\"idx\":\"0/0\",\"posttime\":",
            out,
        );
        zoned(posted, settings, out);
        json::raw(",\"scn\":", out);
        scn(moment, out);
        json::raw("},\"data\":{}}", out);
        return Ok(Written::Message);
    };
    json::raw("{\"data\":{},\"meta\":{\"posttime\":", out);
    zoned(posted, settings, out);
    json::raw(",\"op\":\"ddl\",\"size\":0,\"time\":", out);
    zoned(moment.event_seconds, settings, out);
    json::raw(",\"idx\":\"0/0\",\"seq\":0,\"table\":", out);
    match ddl.table {
        Some(table) => {
            for (opening, closing) in [("\"", "\",\"rowid\":"), ("\"", "-\"")] {
                json::raw(opening, out);
                json::escape(ddl.database, out);
                out.push(b'.');
                json::escape(table, out);
                json::raw(closing, out);
            }
        }
        None => json::raw("null,\"rowid\":null", out),
    }
    json::raw(",\"trans\":", out);
    json::optional(moment.transaction, out);
    json::raw(",\"scn\":", out);
    scn(moment, out);
    json::raw("},\"sql\":{\"ddl\":", out);
    json::string(ddl.text(), out);
    json::raw("}}", out);
    Ok(Written::Message)
}
