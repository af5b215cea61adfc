//! Which tables the servers may digest themselves.

use oms_core::{ColumnType, DigestColumn, DigestForm, TablePair};

use super::column_rule::{ColumnRule, Form};
use crate::Side;

/// What both servers are asked to digest: the same forms in the same order.
#[derive(Clone, Debug)]
pub(crate) struct DigestPlan {
    source: Vec<DigestColumn>,
    destination: Vec<DigestColumn>,
}

impl DigestPlan {
    /// `None`: for some column it is not certain that equal digests mean equal values as the column's rule has it.
    pub(super) fn new(pair: &TablePair, columns: &[ColumnRule]) -> Option<Self> {
        let mut plan = Self {
            source: Vec::with_capacity(columns.len()),
            destination: Vec::with_capacity(columns.len()),
        };
        for rule in columns {
            let form = form(rule)?;
            let nullable = pair.source.columns.get(rule.source)?.nullable
                || pair.destination.columns.get(rule.destination)?.nullable;
            let of = |column| DigestColumn {
                column,
                form,
                nullable,
            };
            plan.source.push(of(rule.source));
            plan.destination.push(of(rule.destination));
        }
        Some(plan)
    }

    /// The columns for a side.
    pub(crate) fn columns(&self, side: Side) -> &[DigestColumn] {
        match side {
            Side::Source => &self.source,
            Side::Destination => &self.destination,
        }
    }
}

/// The form in which both sides write the column's values. Where it exists, equal forms mean equal values by the
/// rule; where equal values would as a rule have different forms, there is none, because it would be of no use.
fn form(rule: &ColumnRule) -> Option<DigestForm> {
    use ColumnType::*;
    let long = |tier: u8| {
        if tier > 2 {
            DigestForm::LongBytes
        } else {
            DigestForm::Bytes
        }
    };
    Some(match (rule.form, &rule.source_type, &rule.destination_type) {
        (Form::Same | Form::Exact, Integer { .. }, Integer { .. })
        | (Form::Same, Decimal { .. }, Decimal { .. })
        | (Form::Same, Bit { .. }, Bit { .. })
        | (Form::Same, Year, Year) => DigestForm::Number,
        (Form::Same | Form::Real, Float | Double, Float | Double) => DigestForm::Real,
        (Form::Same, Date, Date) => DigestForm::Time,
        (Form::Same, Time { fraction: a }, Time { fraction: b })
        | (Form::Same, DateTime { fraction: a }, DateTime { fraction: b })
        | (Form::Same, Timestamp { fraction: a }, Timestamp { fraction: b })
            if a == b =>
        {
            DigestForm::Time
        }
        // Its padding is told by the length of the definition.
        (Form::Same, Binary { length: a }, Binary { length: b }) if a == b => DigestForm::Bytes,
        (Form::Same, VarBinary { .. }, VarBinary { .. }) => DigestForm::Bytes,
        (Form::Same, Blob { tier: a }, Blob { tier: b }) => long(*a.max(b)),
        (Form::Same, Char { .. } | VarChar { .. }, Char { .. } | VarChar { .. }) => DigestForm::Bytes,
        (Form::Same, Text { tier: a, .. }, Text { tier: b, .. }) => long(*a.max(b)),
        (Form::Same, Enum { .. }, Enum { .. }) | (Form::Same, Set { .. }, Set { .. }) => DigestForm::Member,
        (Form::Json, Json, Json)
        | (Form::Same, Uuid, Uuid)
        | (Form::Same, Inet4, Inet4)
        | (Form::Same, Inet6, Inet6) => DigestForm::Characters,
        _ => return None,
    })
}
