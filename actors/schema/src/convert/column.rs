//! Columns.

use oms_core::codes;

use super::{
    charset::{Mapped, grows},
    expression,
    report::Report,
    table::Work,
};
use crate::{
    CheckDefinition, ColumnDefinition, DataType, DefaultValue, Flavor, GeneratedColumn, TableDefinition,
    syntax,
};

pub(super) fn convert(
    work: &Work<'_>,
    column: &ColumnDefinition,
    table: &mut TableDefinition,
    report: &mut Report,
) {
    let label = format!("column {}", syntax::identifier(&column.name));
    let mut new = column.clone();
    data_type(work, &mut new, &label, report);
    charset(work, column, &mut new, &label, report);
    generated(work, &mut new, &label, report);
    default(work, &mut new, &label, report);
    attributes(work, &mut new, &label, report);
    check(work, &mut new, table, &label, report);
    table.columns.push(new);
}

fn data_type(work: &Work<'_>, new: &mut ColumnDefinition, label: &str, report: &mut Report) {
    let supports = &work.destination.supports;
    let from = new.ty.to_string();
    let becomes = match &new.ty {
        DataType::Uuid if !supports.uuid_and_inet => Some(DataType::Char(36)),
        DataType::Inet4 if !supports.uuid_and_inet => Some(DataType::VarChar(15)),
        DataType::Inet6 if !supports.uuid_and_inet => Some(DataType::VarChar(45)),
        DataType::Vector(_) => {
            report.refuse(codes::schema::TYPE_NOT_SUPPORTED, format!("{label} is {from}"));
            None
        }
        DataType::Json if !supports.json => {
            // What MariaDB calls JSON: text, checked.
            new.charset = Some("utf8mb4".to_owned());
            new.collation = Some("utf8mb4_bin".to_owned());
            if new.generated.is_none() {
                new.check = Some(format!("json_valid({})", syntax::identifier(&new.name)));
            }
            report.changed(label, "type", from, "longtext");
            new.ty = DataType::Text(4);
            return;
        }
        _ => None,
    };
    if let Some(ty) = becomes {
        let ascii = work.destination.has_charset("ascii");
        let charset = if ascii { "ascii" } else { "utf8mb4" };
        new.charset = Some(charset.to_owned());
        new.collation = Some(format!("{charset}_general_ci"));
        report.changed(label, "type; values are its text", from, ty.to_string());
        new.ty = ty;
    }
}

fn charset(
    work: &Work<'_>,
    old: &ColumnDefinition,
    new: &mut ColumnDefinition,
    label: &str,
    report: &mut Report,
) {
    if !new.ty.is_character() {
        (new.charset, new.collation) = (None, None);
        return;
    }
    let mapped = if old.ty.is_character() {
        let (charset, collation) = work.table.column_charset(old, &work.source_default());
        let mapped = work.options.charsets.map(&charset, &collation, work.destination);
        note_charset(work, old, (&charset, &collation), &mapped, label, report);
        if let DataType::Text(tier @ 1..=3) = old.ty
            && grows(&charset, &mapped.charset)
        {
            let larger = DataType::Text(tier + 1);
            report.changed(
                label,
                "type; the text may need more bytes",
                old.ty.to_string(),
                larger.to_string(),
            );
            new.ty = larger;
        }
        mapped
    } else {
        let charset = new.charset.clone().unwrap_or_default();
        let collation = new.collation.clone().unwrap_or_default();
        work.options.charsets.map(&charset, &collation, work.destination)
    };
    let same_as_table = mapped.charset == work.charset.charset && mapped.collation == work.charset.collation;
    (new.charset, new.collation) = if same_as_table {
        (None, None)
    } else {
        (Some(mapped.charset), Some(mapped.collation))
    };
}

fn note_charset(
    work: &Work<'_>,
    column: &ColumnDefinition,
    (charset, collation): (&str, &str),
    mapped: &Mapped,
    label: &str,
    report: &mut Report,
) {
    let is_alias = |a: &str, b: &str| a.replace("utf8mb3", "utf8") == b.replace("utf8mb3", "utf8");
    if !is_alias(charset, &mapped.charset) {
        report.changed(label, "character set", charset, &mapped.charset);
    }
    if is_alias(collation, &mapped.collation) {
        return;
    }
    if mapped.coarser && work.is_in_unique_key(&column.name) {
        let what = "collation of a unique key; values that differ only in case, accents, trailing spaces or \
                    characters it does not weigh may collide";
        report.weakened(label, what, collation, &mapped.collation);
    } else {
        report.changed(label, "collation", collation, &mapped.collation);
    }
}

fn generated(work: &Work<'_>, new: &mut ColumnDefinition, label: &str, report: &mut Report) {
    let supports = &work.destination.supports;
    if new.row_period.is_some() || new.system_versioning == Some(true) {
        report.refuse_construct(format!("{label} belongs to system versioning"));
    } else if new.system_versioning.take().is_some() {
        report.dropped(label, "system versioning", "WITHOUT SYSTEM VERSIONING");
    }
    let Some(generated) = &mut new.generated else {
        return;
    };
    let Some(adapted) = expression::adapt(&generated.expression, work.destination) else {
        report.refuse_construct(format!(
            "{label} is generated from a text in a character set the destination lacks"
        ));
        return;
    };
    generated.expression = adapted;
    if !supports.generated_from_generated {
        match inline(work, &generated.expression, &mut vec![new.name.to_lowercase()]) {
            Ok(inlined) if inlined != generated.expression => {
                report.changed(
                    label,
                    "expression; the generated column in it is written out",
                    &generated.expression,
                    &inlined,
                );
                generated.expression = inlined;
            }
            Ok(_) => {}
            Err(reason) => report.refuse_construct(format!("{label} {reason}")),
        }
    }
    if !new.nullable && !supports.generated_not_null {
        new.nullable = true;
        report.lost(label, "NOT NULL of a generated column", "NOT NULL");
    }
}

/// Writes out the generated columns in an expression, each converted to its column's type as
/// storing it would.
fn inline(work: &Work<'_>, expression: &str, seen: &mut Vec<String>) -> Result<String, String> {
    let mut failure = None;
    let replaced = std::cell::RefCell::new(Vec::new());
    let result = syntax::replace_columns(expression, &|name| {
        let column = work.table.column(name)?;
        column.generated.as_ref()?;
        replaced.borrow_mut().push(column.clone());
        None
    });
    let columns = replaced.into_inner();
    if columns.is_empty() {
        return Ok(result);
    }
    let mut texts: Vec<(String, String)> = Vec::new();
    for column in columns {
        let lower = column.name.to_lowercase();
        if seen.contains(&lower) {
            return Err("is generated from itself".to_owned());
        }
        let Some(GeneratedColumn { expression, .. }) = &column.generated else {
            continue;
        };
        let Some(target) = cast_target(&column.ty) else {
            failure = Some(format!(
                "is generated from a generated column of type {}",
                column.ty
            ));
            break;
        };
        let Some(adapted) = super::expression::adapt(expression, work.destination) else {
            failure = Some("is generated from a text in a character set the destination lacks".to_owned());
            break;
        };
        seen.push(lower.clone());
        let inner = inline(work, &adapted, seen)?;
        seen.pop();
        texts.push((lower, format!("cast(({inner}) as {target})")));
    }
    if let Some(reason) = failure {
        return Err(reason);
    }
    Ok(syntax::replace_columns(expression, &|name| {
        let lower = name.to_lowercase();
        texts
            .iter()
            .find(|(n, _)| *n == lower)
            .map(|(_, text)| text.clone())
    }))
}

/// The type of a CAST that changes a value as storing it in such a column does.
fn cast_target(ty: &DataType) -> Option<String> {
    Some(match ty {
        DataType::Integer { unsigned: true, .. } => "unsigned".to_owned(),
        DataType::Integer { .. } => "signed".to_owned(),
        DataType::Decimal { precision, scale, .. } => format!("decimal({precision},{scale})"),
        DataType::Date => "date".to_owned(),
        DataType::DateTime(_) | DataType::Time(_) => ty.to_string(),
        DataType::Char(n) | DataType::VarChar(n) => format!("char({n})"),
        _ => return None,
    })
}

fn default(work: &Work<'_>, new: &mut ColumnDefinition, label: &str, report: &mut Report) {
    let supports = &work.destination.supports;
    let Some(value) = new.default.take() else { return };
    let is_large = new.ty.is_large();
    new.default = match value {
        DefaultValue::Expression(text) => expression_default(work, new, &text, label, report),
        literal @ (DefaultValue::Text(_) | DefaultValue::Number(_) | DefaultValue::Bits(_))
            if is_large && !supports.literal_default_on_large =>
        {
            let text = match &literal {
                DefaultValue::Text(text) => syntax::text(text),
                DefaultValue::Number(text) | DefaultValue::Bits(text) => text.clone(),
                _ => String::new(),
            };
            if supports.expression_default_on_large {
                report.changed(label, "default", &text, format!("({text})"));
                Some(DefaultValue::Expression(text))
            } else {
                report.lost(label, "default of a column that can have none", text);
                None
            }
        }
        other => Some(other),
    };
}

fn expression_default(
    work: &Work<'_>,
    new: &ColumnDefinition,
    text: &str,
    label: &str,
    report: &mut Report,
) -> Option<DefaultValue> {
    let supports = &work.destination.supports;
    if expression::uses_sequence(text) {
        report.refuse_construct(format!("{label} takes its default from a sequence"));
        return None;
    }
    if let Some(fraction) = expression::as_now(text)
        && new.ty.instant_fraction() == Some(fraction)
    {
        return Some(DefaultValue::Now(fraction));
    }
    if new.ty.is_large() && !supports.expression_default_on_large {
        report.lost(label, "default of a column that can have none", text);
        return None;
    }
    if let Some(function) = supports
        .functions_refused_in_defaults
        .iter()
        .find(|f| syntax::has_function(text, f))
    {
        report.lost(label, &format!("default with {function}()"), text);
        return None;
    }
    let Some(adapted) = expression::adapt(text, work.destination) else {
        report.lost(
            label,
            "default with a text in a character set the destination lacks",
            text,
        );
        return None;
    };
    let loses_fraction = work.destination.flavor == Flavor::OceanBase
        && new.ty.instant_fraction().is_some_and(|n| n > 0)
        && [
            "now",
            "current_timestamp",
            "localtimestamp",
            "localtime",
            "sysdate",
        ]
        .iter()
        .any(|f| syntax::has_function(&adapted, f));
    if loses_fraction {
        report.weakened(
            label,
            "default; its fraction of a second is always 0",
            text,
            &adapted,
        );
    }
    Some(DefaultValue::Expression(adapted))
}

fn attributes(work: &Work<'_>, new: &mut ColumnDefinition, label: &str, report: &mut Report) {
    let supports = &work.destination.supports;
    for words in std::mem::take(&mut new.storage) {
        report.dropped(label, "how the column is kept", words);
    }
    if let Some(srid) = new.srid
        && !supports.srid
    {
        new.srid = None;
        if srid == 0 {
            report.dropped(label, "SRID attribute", "0");
        } else {
            report.lost(
                label,
                "SRID attribute; any reference system is accepted",
                srid.to_string(),
            );
        }
    }
    let has_value = new.nullable || new.default.is_some() || new.auto_increment || new.generated.is_some();
    if new.invisible && !has_value && !supports.invisible_not_null {
        new.invisible = false;
        report.weakened(
            label,
            "visibility of a NOT NULL column without default",
            "INVISIBLE",
            "VISIBLE",
        );
    }
}

fn check(
    work: &Work<'_>,
    new: &mut ColumnDefinition,
    table: &mut TableDefinition,
    label: &str,
    report: &mut Report,
) {
    let Some(condition) = new.check.take() else { return };
    if work.destination.flavor == Flavor::MariaDb {
        new.check = Some(condition);
        return;
    }
    if expression::as_json_valid(&condition).is_some_and(|column| column.eq_ignore_ascii_case(&new.name)) {
        // JSON of MariaDB. A type that rewrites documents would not keep the text.
        report.lost(
            label,
            "check of JSON; the text is kept byte by byte",
            format!("CHECK ({condition})"),
        );
        return;
    }
    table.checks.push(CheckDefinition {
        name: None,
        expression: condition,
        enforced: true,
    });
}
