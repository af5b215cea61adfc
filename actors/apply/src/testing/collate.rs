//! Keys as a server orders and compares them.

use oms_core::{ColumnType, Value};

/// Appends an encoding whose order is the column's order; equal for values that are equal under
/// the column's collation. `None` for NULL.
pub(super) fn encode(
    ty: &ColumnType,
    value: Value<'_>,
    prefix: Option<u32>,
    out: &mut Vec<u8>,
) -> Option<()> {
    match value {
        Value::Null | Value::Absent => return None,
        Value::Int(v) => out.extend((i128::from(v) + (1 << 64)).to_be_bytes()),
        Value::UInt(v) => out.extend((i128::from(v) + (1 << 64)).to_be_bytes()),
        Value::Text(v) => {
            let limit = prefix.map_or(usize::MAX, |p| p as usize);
            let text: String = String::from_utf8_lossy(v).chars().take(limit).collect();
            let binary = ty.collation().is_some_and(|c| c.ends_with("_bin"));
            let folded = if binary {
                text
            } else {
                text.chars().filter_map(fold).collect()
            };
            out.extend(folded.trim_end_matches(' ').as_bytes());
            out.push(0);
        }
        other => {
            let row = oms_core::RowBuilder::build([other].into_iter()).ok()?;
            out.extend(row.cell(0));
        }
    }
    Some(())
}

fn fold(c: char) -> Option<char> {
    Some(match c {
        '\0'..='\u{8}' | '\u{E}'..='\u{1F}' | '\u{7F}' => return None,
        'ä' | 'Ä' | 'á' | 'À' | 'ａ' => 'a',
        'é' | 'É' | 'ë' => 'e',
        '㊀' => '一',
        other => other.to_lowercase().next().unwrap_or(other),
    })
}
