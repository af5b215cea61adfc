//! Writing statements.

use oms_core::{Generated, TableName};

use super::{
    CheckDefinition, ColumnDefinition, DataType, DefaultValue, ForeignKeyDefinition, IndexDefinition,
    IndexKind, IndexPartKey, PartitionDefinition, PartitionMethod, PartitionValues, Partitioning, RowPeriod,
    TableDefinition,
};
use crate::{
    Flavor,
    syntax::{identifier, text},
};

impl TableDefinition {
    /// `CREATE TABLE` in the words of a server, under the given name. Everything in the definition
    /// is written, whether that server knows it or not; parsing the result gives the definition.
    pub fn to_sql(&self, name: &TableName, flavor: Flavor) -> String {
        let mut lines = Vec::new();
        lines.extend(self.columns.iter().map(|c| column_clause(c, flavor)));
        lines.extend(self.indexes.iter().map(|i| index_clause(i, flavor)));
        lines.extend(self.foreign_keys.iter().map(foreign_key_clause));
        lines.extend(self.checks.iter().map(check_clause));
        for period in &self.periods {
            let words = match period.name.as_str() {
                "SYSTEM_TIME" => "SYSTEM_TIME".to_owned(),
                other => identifier(other),
            };
            let (start, end) = (identifier(&period.start), identifier(&period.end));
            lines.push(format!("PERIOD FOR {words} ({start}, {end})"));
        }
        let mut sql = format!("CREATE TABLE {name} (\n  {}\n)", lines.join(",\n  "));
        let options = &self.options;
        if let Some(engine) = &options.engine {
            sql.push_str(&format!(" ENGINE={engine}"));
        }
        if let Some(next) = options.auto_increment {
            sql.push_str(&format!(" AUTO_INCREMENT={next}"));
        }
        if let Some(charset) = &options.charset {
            sql.push_str(&format!(" DEFAULT CHARSET={charset}"));
        }
        if let Some(collation) = &options.collation {
            sql.push_str(&format!(" COLLATE={collation}"));
        }
        for (option, value) in &options.storage {
            sql.push_str(&format!(" {option}={value}"));
        }
        if !options.comment.is_empty() {
            sql.push_str(&format!(" COMMENT={}", text(&options.comment)));
        }
        if self.system_versioned {
            sql.push_str(" WITH SYSTEM VERSIONING");
        }
        if let Some(partitioning) = &self.partitioning {
            sql.push('\n');
            sql.push_str(&partitioning_clause(partitioning));
        }
        sql
    }
}

fn names(list: &[String]) -> String {
    let quoted: Vec<_> = list.iter().map(|n| identifier(n)).collect();
    quoted.join(",")
}

fn now(fraction: u8) -> String {
    match fraction {
        0 => "CURRENT_TIMESTAMP".to_owned(),
        n => format!("CURRENT_TIMESTAMP({n})"),
    }
}

/// DEFAULT and its value.
pub(crate) fn default_clause(value: &DefaultValue) -> String {
    match value {
        DefaultValue::Null => "DEFAULT NULL".to_owned(),
        DefaultValue::Text(value) => format!("DEFAULT {}", text(value)),
        DefaultValue::Number(value) | DefaultValue::Bits(value) => format!("DEFAULT {value}"),
        DefaultValue::Now(fraction) => format!("DEFAULT {}", now(*fraction)),
        DefaultValue::Expression(expression) => format!("DEFAULT ({expression})"),
    }
}

/// A column as part of `CREATE TABLE` or behind `ADD`.
pub(crate) fn column_clause(column: &ColumnDefinition, flavor: Flavor) -> String {
    let null = if !column.nullable {
        "NOT NULL"
    } else if matches!(column.ty, DataType::Timestamp(_)) && column.generated.is_none() {
        // Without the word, some settings make a timestamp NOT NULL.
        "NULL"
    } else {
        ""
    };
    column_words(column, flavor, &column.ty.to_string(), null)
}

/// A column with the given words for its type and for whether it may be NULL.
pub(crate) fn column_words(column: &ColumnDefinition, flavor: Flavor, ty: &str, null: &str) -> String {
    let mut sql = format!("{} {ty}", identifier(&column.name));
    let mut add = |words: &str| {
        sql.push(' ');
        sql.push_str(words);
    };
    for words in &column.storage {
        add(words);
    }
    if let Some(charset) = &column.charset {
        add(&format!("CHARACTER SET {charset}"));
    }
    if let Some(collation) = &column.collation {
        add(&format!("COLLATE {collation}"));
    }
    if let Some(generated) = &column.generated {
        let kept = match generated.kept {
            Generated::Virtual => "VIRTUAL",
            Generated::Stored => "STORED",
        };
        add(&format!("GENERATED ALWAYS AS ({}) {kept}", generated.expression));
    }
    match column.row_period {
        Some(RowPeriod::Start) => add("GENERATED ALWAYS AS ROW START"),
        Some(RowPeriod::End) => add("GENERATED ALWAYS AS ROW END"),
        None => {}
    }
    if !null.is_empty() {
        add(null);
    }
    if let Some(srid) = column.srid {
        add(&format!("SRID {srid}"));
    }
    if column.invisible && flavor == Flavor::MariaDb {
        add("INVISIBLE");
    }
    if let Some(value) = &column.default {
        add(&default_clause(value));
    }
    if let Some(fraction) = column.on_update_now {
        add(&format!("ON UPDATE {}", now(fraction)));
    }
    if column.auto_increment {
        add("AUTO_INCREMENT");
    }
    if column.invisible && flavor != Flavor::MariaDb {
        add("INVISIBLE");
    }
    match column.system_versioning {
        Some(true) => add("WITH SYSTEM VERSIONING"),
        Some(false) => add("WITHOUT SYSTEM VERSIONING"),
        None => {}
    }
    if !column.comment.is_empty() {
        add(&format!("COMMENT {}", text(&column.comment)));
    }
    if let Some(check) = &column.check {
        add(&format!("CHECK ({check})"));
    }
    sql
}

/// An index as part of `CREATE TABLE` or behind `ADD`.
pub(crate) fn index_clause(index: &IndexDefinition, flavor: Flavor) -> String {
    let mut sql = match index.kind {
        IndexKind::Primary => "PRIMARY KEY".to_owned(),
        IndexKind::Unique => "UNIQUE KEY".to_owned(),
        IndexKind::Plain => "KEY".to_owned(),
        IndexKind::FullText => "FULLTEXT KEY".to_owned(),
        IndexKind::Spatial => "SPATIAL KEY".to_owned(),
    };
    if index.kind != IndexKind::Primary && !index.name.is_empty() {
        sql.push_str(&format!(" {}", identifier(&index.name)));
    }
    let parts: Vec<_> = index
        .parts
        .iter()
        .map(|part| {
            let mut words = match &part.key {
                IndexPartKey::Column(name) => identifier(name),
                IndexPartKey::Expression(expression) => format!("({expression})"),
            };
            if let Some(prefix) = part.prefix {
                words.push_str(&format!("({prefix})"));
            }
            if part.descending {
                words.push_str(" DESC");
            }
            if part.without_overlaps {
                words.push_str(" WITHOUT OVERLAPS");
            }
            words
        })
        .collect();
    sql.push_str(&format!(" ({})", parts.join(",")));
    if let Some(algorithm) = index.algorithm {
        sql.push_str(&format!(" USING {}", algorithm.word()));
    }
    if let Some(size) = index.key_block_size {
        sql.push_str(&format!(" KEY_BLOCK_SIZE={size}"));
    }
    if let Some(parser) = &index.parser {
        sql.push_str(&format!(" WITH PARSER {}", identifier(parser)));
    }
    if !index.comment.is_empty() {
        sql.push_str(&format!(" COMMENT {}", text(&index.comment)));
    }
    if index.invisible {
        sql.push_str(if flavor == Flavor::MariaDb {
            " IGNORED"
        } else {
            " INVISIBLE"
        });
    }
    sql
}

/// A foreign key as part of `CREATE TABLE` or behind `ADD`.
pub(crate) fn foreign_key_clause(key: &ForeignKeyDefinition) -> String {
    let symbol = match key.name.as_str() {
        "" => String::new(),
        name => format!("CONSTRAINT {} ", identifier(name)),
    };
    format!(
        "{symbol}FOREIGN KEY ({}) {}",
        names(&key.columns),
        references_clause(key)
    )
}

/// From REFERENCES on.
pub(crate) fn references_clause(key: &ForeignKeyDefinition) -> String {
    let table = match &key.database {
        Some(database) => format!("{}.{}", identifier(database), identifier(&key.table)),
        None => identifier(&key.table),
    };
    let mut sql = format!("REFERENCES {table}");
    if !key.referenced.is_empty() {
        sql.push_str(&format!(" ({})", names(&key.referenced)));
    }
    if let Some(action) = key.on_delete {
        sql.push_str(&format!(" ON DELETE {}", action.words()));
    }
    if let Some(action) = key.on_update {
        sql.push_str(&format!(" ON UPDATE {}", action.words()));
    }
    sql
}

/// A check as part of `CREATE TABLE` or behind `ADD`.
pub(crate) fn check_clause(check: &CheckDefinition) -> String {
    let mut sql = match &check.name {
        Some(name) => format!("CONSTRAINT {} CHECK ({})", identifier(name), check.expression),
        None => format!("CHECK ({})", check.expression),
    };
    if !check.enforced {
        sql.push_str(" NOT ENFORCED");
    }
    sql
}

fn method(method: &PartitionMethod, linear: bool, algorithm: Option<u8>) -> String {
    let linear = if linear { "LINEAR " } else { "" };
    let algorithm = algorithm.map_or(String::new(), |n| format!("ALGORITHM = {n} "));
    match method {
        PartitionMethod::Range(expression) => format!("RANGE ({expression})"),
        PartitionMethod::RangeColumns(columns) => format!("RANGE COLUMNS({})", names(columns)),
        PartitionMethod::List(expression) => format!("LIST ({expression})"),
        PartitionMethod::ListColumns(columns) => format!("LIST COLUMNS({})", names(columns)),
        PartitionMethod::Hash(expression) => format!("{linear}HASH ({expression})"),
        PartitionMethod::Key(columns) => format!("{linear}KEY {algorithm}({})", names(columns)),
        PartitionMethod::SystemTime(rest) => format!("SYSTEM_TIME {rest}").trim_end().to_owned(),
    }
}

/// From PARTITION BY on.
pub(crate) fn partitioning_clause(p: &Partitioning) -> String {
    let mut sql = format!("PARTITION BY {}", method(&p.method, p.linear, p.algorithm));
    if let Some(count) = p.count {
        sql.push_str(&format!("\nPARTITIONS {count}"));
    }
    if let Some(sub) = &p.sub {
        sql.push_str(&format!(
            "\nSUBPARTITION BY {}",
            method(&sub.method, sub.linear, sub.algorithm)
        ));
        if let Some(count) = sub.count {
            sql.push_str(&format!("\nSUBPARTITIONS {count}"));
        }
    }
    if !p.definitions.is_empty() {
        let list: Vec<_> = p.definitions.iter().map(partition_clause).collect();
        sql.push_str(&format!("\n({})", list.join(",\n ")));
    }
    sql
}

/// One partition with its values.
pub(crate) fn partition_clause(partition: &PartitionDefinition) -> String {
    let mut sql = format!("PARTITION {}", identifier(&partition.name));
    match &partition.values {
        PartitionValues::None => {}
        PartitionValues::LessThan(items) => sql.push_str(&format!(" VALUES LESS THAN ({})", items.join(","))),
        PartitionValues::In(items) => sql.push_str(&format!(" VALUES IN ({})", items.join(","))),
        PartitionValues::Default => sql.push_str(" DEFAULT"),
        PartitionValues::History => sql.push_str(" HISTORY"),
        PartitionValues::Current => sql.push_str(" CURRENT"),
    }
    for (option, value) in &partition.options {
        sql.push_str(&format!(" {option} = {value}"));
    }
    if !partition.subpartitions.is_empty() {
        let list: Vec<_> = partition
            .subpartitions
            .iter()
            .map(|sub| {
                let mut sql = format!("SUBPARTITION {}", identifier(&sub.name));
                for (option, value) in &sub.options {
                    sql.push_str(&format!(" {option} = {value}"));
                }
                sql
            })
            .collect();
        sql.push_str(&format!("\n ({})", list.join(",\n  ")));
    }
    sql
}
