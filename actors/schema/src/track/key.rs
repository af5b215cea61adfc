//! Keys and constraints: names that the server gives, indexes that it makes.

use oms_core::TableName;

use super::{Result, SchemaTracker, TrackedTable, not_followed};
use crate::{
    CheckDefinition, DataType, DefaultValue, Flavor, ForeignKeySpec, IndexDefinition, IndexKind, IndexPart,
    IndexPartKey, TableDefinition, TableElement,
};

/// A key before it has a name, and whether the server made it for a foreign key.
struct Candidate {
    index: IndexDefinition,
    generated: bool,
}

impl SchemaTracker {
    /// Adds keys and constraints in the order of the text.
    pub(super) fn add_keys(
        &self,
        name: &TableName,
        table: &mut TrackedTable,
        elements: Vec<TableElement>,
    ) -> Result<()> {
        let generated = std::mem::take(&mut table.generated);
        let mut list: Vec<Candidate> = std::mem::take(&mut table.definition.indexes)
            .into_iter()
            .map(|index| Candidate {
                generated: generated.contains(&index.name),
                index,
            })
            .collect();
        for element in elements {
            match element {
                TableElement::Index(index) => list.push(Candidate {
                    index,
                    generated: false,
                }),
                TableElement::ForeignKey(spec) => {
                    let index = self.foreign_key(name, &mut table.definition, spec);
                    list.push(Candidate {
                        index,
                        generated: true,
                    });
                }
                TableElement::Check(check) => self.check(&mut table.definition, check),
                TableElement::Period(period) => table.definition.periods.push(period),
                TableElement::Column(_) => {}
            }
        }
        give_up_generated(&mut list);
        for candidate in list {
            let Candidate { mut index, generated } = candidate;
            if index.kind == IndexKind::Primary {
                if table.definition.primary_key().is_some() {
                    return not_followed(name, "it would have two primary keys");
                }
                self.primary(&index, &mut table.definition);
            } else if index.name.is_empty() {
                index.name = free_name(&table.definition.indexes, &index);
            }
            if generated {
                table.generated.insert(index.name.clone());
            }
            table.definition.indexes.push(index);
        }
        Ok(())
    }

    /// Columns of the primary key are NOT NULL.
    pub(super) fn primary(&self, index: &IndexDefinition, table: &mut TableDefinition) {
        for part in &index.parts {
            let IndexPartKey::Column(name) = &part.key else {
                continue;
            };
            let Some(at) = super::column::position_of(table, name) else {
                continue;
            };
            let Some(column) = table.columns.get_mut(at) else {
                continue;
            };
            let was_nullable = std::mem::replace(&mut column.nullable, false);
            if was_nullable && matches!(column.default, None | Some(DefaultValue::Null)) {
                // DEFAULT NULL becomes a zero; no default at all stays none.
                let says_null = column.default == Some(DefaultValue::Null);
                let zero = self.rules.primary_zero_default && says_null && !column.auto_increment;
                column.default = if zero { zero_of(&column.ty) } else { None };
            }
        }
    }

    /// Adds the foreign key, and gives the index that it needs.
    fn foreign_key(
        &self,
        name: &TableName,
        table: &mut TableDefinition,
        spec: ForeignKeySpec,
    ) -> IndexDefinition {
        let mut key = spec.key;
        let mut index_name = if self.rules.flavor == Flavor::MariaDb {
            spec.index.clone().unwrap_or_else(|| key.name.clone())
        } else if key.name.is_empty() {
            spec.index.clone().unwrap_or_default()
        } else {
            key.name.clone()
        };
        if key.name.is_empty()
            && self.rules.foreign_key_takes_index_name
            && let Some(index) = spec.index
        {
            key.name = index;
        }
        if key.name.is_empty() {
            let start = format!("{}_ibfk_", name.table);
            let most = numbers(table.foreign_keys.iter().map(|k| k.name.as_str()), &start);
            key.name = format!("{start}{}", most + 1);
        }
        let database = key.database.clone().unwrap_or_else(|| name.database.clone());
        if key.referenced.is_empty() {
            let parent = self.table(&TableName::new(&database, &key.table));
            if let Some(columns) = parent
                .and_then(|p| p.primary_key())
                .and_then(IndexDefinition::whole_columns)
            {
                key.referenced = columns.into_iter().map(str::to_owned).collect();
            }
        }
        if database == name.database {
            key.database = None;
        }
        let parts = key.columns.iter().map(IndexPart::column).collect();
        table.foreign_keys.push(key);
        if index_name.eq_ignore_ascii_case("primary") {
            index_name = String::new();
        }
        IndexDefinition {
            kind: IndexKind::Plain,
            name: index_name,
            parts,
            algorithm: None,
            key_block_size: None,
            parser: None,
            comment: String::new(),
            invisible: false,
        }
    }

    fn check(&self, table: &mut TableDefinition, mut check: CheckDefinition) {
        if !self.rules.checks {
            return;
        }
        if check.name.is_none() {
            let start = if self.rules.flavor == Flavor::MariaDb {
                "CONSTRAINT_".to_owned()
            } else {
                format!("{}_chk_", table.name)
            };
            let names = || table.checks.iter().filter_map(|c| c.name.as_deref());
            let number = if self.rules.flavor == Flavor::MariaDb {
                (1..)
                    .find(|n| names().all(|name| name != format!("{start}{n}")))
                    .unwrap_or(1)
            } else {
                numbers(names(), &start) + 1
            };
            check.name = Some(format!("{start}{number}"));
        }
        table.checks.push(check);
    }
}

/// The largest number behind the same beginning.
fn numbers<'a>(names: impl Iterator<Item = &'a str>, start: &str) -> u64 {
    names
        .filter_map(|name| name.strip_prefix(start)?.parse().ok())
        .max()
        .unwrap_or(0)
}

/// Drops indexes made for a foreign key where another serves as well.
fn give_up_generated(list: &mut Vec<Candidate>) {
    let mut at = 0;
    while at < list.len() {
        let mut goes = None;
        for before in 0..at {
            let (Some(key), Some(other)) = (list.get(at), list.get(before)) else {
                break;
            };
            if !serves(key, other) {
                continue;
            }
            let keeps_other =
                !other.generated || (key.generated && key.index.parts.len() < other.index.parts.len());
            goes = Some(if keeps_other { at } else { before });
            break;
        }
        match goes {
            Some(index) => {
                list.remove(index);
                at = at.saturating_sub(usize::from(index < at));
                if index == at {
                    continue;
                }
            }
            None => at += 1,
        }
    }
}

/// Whether one of the two was made for a foreign key and is a beginning of the other.
fn serves(a: &Candidate, b: &Candidate) -> bool {
    let (made, other) = match (a.generated, b.generated) {
        (true, true) if a.index.parts.len() > b.index.parts.len() => (b, a),
        (true, _) => (a, b),
        (false, true) => (b, a),
        (false, false) => return false,
    };
    let is_tree = !matches!(other.index.kind, IndexKind::FullText | IndexKind::Spatial);
    is_tree
        && made.index.parts.len() <= other.index.parts.len()
        && made.index.parts.iter().zip(&other.index.parts).all(|(x, y)| {
            let same = match (&x.key, &y.key) {
                (IndexPartKey::Column(x), IndexPartKey::Column(y)) => x.to_lowercase() == y.to_lowercase(),
                _ => false,
            };
            same && x.prefix == y.prefix
        })
}

/// The name of the first column, with a number if it is taken.
fn free_name(taken: &[IndexDefinition], index: &IndexDefinition) -> String {
    let base = match index.parts.first().map(|part| &part.key) {
        Some(IndexPartKey::Column(name)) => name.clone(),
        _ => "functional_index".to_owned(),
    };
    let is_taken = |name: &str| {
        name.eq_ignore_ascii_case("primary")
            || taken.iter().any(|i| i.name.to_lowercase() == name.to_lowercase())
    };
    if !is_taken(&base) {
        return base;
    }
    (2..)
        .map(|n: u32| format!("{base}_{n}"))
        .find(|name| !is_taken(name))
        .unwrap_or(base)
}

/// What servers before 5.7 give a column of the primary key that says nothing.
fn zero_of(ty: &DataType) -> Option<DefaultValue> {
    let text = match ty {
        DataType::Integer { .. } | DataType::Real { .. } | DataType::Year => "0",
        DataType::Decimal { .. } => "0",
        DataType::Date => "0000-00-00",
        DataType::Time(_) => "00:00:00",
        DataType::DateTime(_) | DataType::Timestamp(_) => "0000-00-00 00:00:00",
        DataType::Char(_)
        | DataType::VarChar(_)
        | DataType::Binary(_)
        | DataType::VarBinary(_)
        | DataType::Set(_) => "",
        DataType::Enum(members) => return members.first().cloned().map(DefaultValue::Text),
        _ => return None,
    };
    Some(DefaultValue::Text(text.to_owned()))
}
