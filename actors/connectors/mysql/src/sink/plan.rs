//! What is known about writing a table before the first row: prepared once per claim.

use std::sync::Arc;

use oms_core::{Column, ColumnType, Failure, Row, RowBuilder, TableName, TablePair, codes};
use smallvec::SmallVec;

use super::{charset::Decoder, dialect::Dialect, literal, load};
use crate::connection::ServerInfo;

/// The bytes that identify a row; most keys need no allocation.
pub(crate) type KeyBytes = SmallVec<[u8; 40]>;

/// A table pair with everything that its statements need.
#[derive(Debug)]
pub(crate) struct TablePlan {
    pub(crate) name: TableName,
    /// The destination, quoted.
    pub(crate) target: Vec<u8>,
    /// Written columns, in the order of the pair.
    pub(crate) columns: Vec<ColumnPlan>,
    /// Indexes into `columns`.
    pub(crate) key: Option<Vec<usize>>,
    /// Rows may collide by something else than the key.
    pub(crate) other_unique_keys: bool,
    /// Indexes into `columns`: those of unique keys other than the key.
    pub(crate) unique_columns: Vec<usize>,
    /// Changes must be executed one after the other: a unique key depends on something that is not written here, so it is
    /// not known which changes touch it; or the destination has columns of its own, which a row that is deleted and inserted
    /// in place of an update would lose.
    pub(crate) keeps_order: bool,
    /// Keys whose bytes differ are different keys at the destination too.
    pub(crate) exact_key: bool,
    /// Whether rows may be found by a list of keys within an expression.
    pub(crate) listed_key: bool,
    /// Number of the source's columns.
    pub(crate) source_columns: usize,
    /// Longest value of one statement.
    pub(crate) longest_literal: Option<usize>,
    /// The statement that loads a text of rows, where that is exact.
    pub(crate) load: Option<Vec<u8>>,
}

/// A written column.
#[derive(Debug)]
pub(crate) struct ColumnPlan {
    pub(crate) source: usize,
    /// Its name at the destination, for messages.
    pub(crate) label: String,
    /// Quoted.
    pub(crate) name: Vec<u8>,
    pub(crate) from: ColumnType,
    pub(crate) to: ColumnType,
    pub(crate) text: TextPath,
    /// ENUM and SET to the same: for each source member the number of the destination's member.
    pub(crate) members: Option<Vec<Option<u32>>>,
    pub(crate) negative_zero: bool,
    /// All literals of its values are of one type, so that a CASE over them is of that type too.
    pub(crate) uniform: bool,
}

/// How characters reach the server.
#[derive(Debug)]
pub(crate) enum TextPath {
    /// They are UTF-8.
    Utf8,
    /// The destination column has their set: by introducer. The flag: bytes below 128 are ASCII.
    Introducer(String, bool),
    /// Converted here.
    Decode(Decoder),
}

impl TablePlan {
    /// Prepares a pair.
    ///
    /// # Errors
    /// `OMS-DST-0008` when a column's character set can be converted neither here nor there.
    pub(crate) fn new(pair: &TablePair, server: &ServerInfo, dialect: &dyn Dialect) -> Result<Self, Failure> {
        let name = pair.destination.name.clone();
        let mut target = Vec::new();
        literal::identifier(&mut target, &name.database);
        target.push(b'.');
        literal::identifier(&mut target, &name.table);
        let lost = || {
            Failure::new(
                codes::apply::INTERNAL,
                format!("{name}: a column pair points outside"),
            )
        };
        let mut columns = Vec::with_capacity(pair.columns.len());
        for at in &pair.columns {
            let from = pair.source.columns.get(at.source).ok_or_else(lost)?;
            let to = pair.destination.columns.get(at.destination).ok_or_else(lost)?;
            let negative_zero = dialect.keeps_negative_zero(server);
            columns.push(ColumnPlan::new(
                &name,
                at.source,
                from,
                to,
                server,
                negative_zero,
            )?);
        }
        if let Some(key) = &pair.key
            && (key.is_empty() || key.iter().any(|i| *i >= columns.len()))
        {
            return Err(lost());
        }
        let mut key_columns: Vec<usize> = pair
            .key
            .iter()
            .flatten()
            .filter_map(|i| pair.columns.get(*i))
            .map(|c| c.destination)
            .collect();
        key_columns.sort_unstable();
        let is_the_key = |k: &oms_core::Key| {
            let mut parts: Vec<usize> = k
                .parts
                .iter()
                .filter(|p| p.prefix.is_none())
                .filter_map(|p| p.column)
                .collect();
            parts.sort_unstable();
            parts.len() == k.parts.len() && parts == key_columns
        };
        let mut unique_columns = Vec::new();
        let own = |(at, column): (usize, &Column)| {
            column.generated.is_none() && !pair.columns.iter().any(|c| c.destination == at)
        };
        let mut keeps_order = pair.destination.columns.iter().enumerate().any(own);
        let others = pair.destination.keys.iter().filter(|k| !is_the_key(k));
        for part in others.flat_map(|k| &k.parts) {
            let written = |c: &oms_core::ColumnPair| Some(c.destination) == part.column;
            match pair.columns.iter().position(written) {
                Some(at) => unique_columns.push(at),
                None => keeps_order = true,
            }
        }
        let key_plans = || pair.key.iter().flatten().filter_map(|i| columns.get(*i));
        Ok(Self {
            name,
            unique_columns,
            keeps_order,
            exact_key: key_plans().all(ColumnPlan::is_exact),
            listed_key: pair.key.is_some() && key_plans().all(ColumnPlan::is_listed),
            load: load::statement(pair, &target, &columns),
            target,
            columns,
            key: pair.key.clone(),
            other_unique_keys: !pair.destination.keys.iter().all(is_the_key),
            source_columns: pair.source.columns.len(),
            // Appending needs a key to find the row by.
            longest_literal: dialect.longest_literal().filter(|_| pair.key.is_some()),
        })
    }

    /// Columns of the key.
    pub(crate) fn key_plans(&self) -> impl Iterator<Item = &ColumnPlan> {
        self.key.iter().flatten().filter_map(|i| self.columns.get(*i))
    }

    /// The bytes that identify the row of an image; `None` when a part is absent.
    pub(crate) fn key_of(&self, row: &Row) -> Option<KeyBytes> {
        let mut key = KeyBytes::new();
        for column in self.key_plans() {
            let cell = row.cell(column.source);
            if row.get(column.source).is_absent() {
                return None;
            }
            key.extend_from_slice(&(cell.len() as u64).to_le_bytes());
            key.extend_from_slice(cell);
        }
        Some(key)
    }

    /// Whether all written columns are there.
    pub(crate) fn is_full(&self, row: &Row) -> bool {
        self.columns.iter().all(|c| !row.get(c.source).is_absent())
    }

    /// The later image, with what it does not carry taken from the earlier one.
    pub(crate) fn overlay(&self, earlier: &Row, later: &Row) -> Result<Row, Failure> {
        if later.iter().all(|v| !v.is_absent()) {
            return Ok(later.clone());
        }
        let mut builder = RowBuilder::new();
        builder.begin(u16::try_from(later.len()).unwrap_or(u16::MAX));
        for i in 0..later.len() {
            builder.push_cell(if later.get(i).is_absent() {
                earlier.cell(i)
            } else {
                later.cell(i)
            });
        }
        let merged = builder.finish();
        merged.map_err(|e| {
            Failure::new(codes::apply::INTERNAL, format!("{}: merging rows", self.name)).with_source(e)
        })
    }

    /// The row's number of columns must be the source's: anything else is another definition.
    pub(crate) fn check_shape(&self, row: &Row) -> Result<(), Failure> {
        if row.len() == self.source_columns {
            return Ok(());
        }
        Err(Failure::new(
            codes::schema::DEFINITION_DIFFERS,
            format!(
                "{}: a row of {} columns where {} are defined",
                self.name,
                row.len(),
                self.source_columns
            ),
        ))
    }
}

impl ColumnPlan {
    fn new(
        table: &TableName,
        source: usize,
        from: &Column,
        to: &Column,
        server: &ServerInfo,
        negative_zero: bool,
    ) -> Result<Self, Failure> {
        let mut name = Vec::new();
        literal::identifier(&mut name, &to.name);
        let text = text_path(&from.ty, &to.ty, server).ok_or_else(|| {
            Failure::new(
                codes::dst::VALUE_NOT_REPRESENTABLE,
                format!(
                    "{table}: column {}: character set {} is unknown here and at the destination",
                    to.name,
                    from.ty.charset().unwrap_or_default()
                ),
            )
        })?;
        Ok(Self {
            source,
            label: to.name.clone(),
            name,
            members: member_numbers(&from.ty, &to.ty),
            uniform: is_uniform(&to.ty, &text),
            from: from.ty.clone(),
            to: to.ty.clone(),
            text,
            negative_zero,
        })
    }

    /// Whether values whose bytes differ are unequal at the destination.
    fn is_exact(&self) -> bool {
        use ColumnType as T;
        match (&self.from, &self.to) {
            (T::Integer { .. }, T::Integer { .. })
            | (T::Date, T::Date)
            | (T::Year, T::Year)
            | (T::Bit { .. }, T::Bit { .. })
            | (T::VarBinary { .. }, T::VarBinary { .. }) => true,
            (T::DateTime { fraction: a }, T::DateTime { fraction: b })
            | (T::Timestamp { fraction: a }, T::Timestamp { fraction: b })
            | (T::Time { fraction: a }, T::Time { fraction: b }) => a <= b,
            _ => false,
        }
    }

    /// Whether comparing the column with its literals means the same wherever the comparison stands.
    fn is_listed(&self) -> bool {
        use ColumnType as T;
        self.uniform
            && !matches!(
                self.to,
                T::Float | T::Double | T::Bit { .. } | T::Enum { .. } | T::Set { .. }
            )
    }

    /// Whether the server may set this column by itself when others change.
    pub(crate) fn is_time(&self) -> bool {
        matches!(
            self.to,
            ColumnType::Timestamp { .. } | ColumnType::DateTime { .. }
        )
    }
}

fn is_uniform(to: &ColumnType, text: &TextPath) -> bool {
    use ColumnType as T;
    match to {
        T::Integer { .. }
        | T::Bit { .. }
        | T::Decimal { .. }
        | T::Float
        | T::Double
        | T::Date
        | T::DateTime { .. }
        | T::Timestamp { .. }
        | T::Time { .. }
        | T::Enum { .. }
        | T::Set { .. }
        | T::Binary { .. }
        | T::VarBinary { .. }
        | T::Blob { .. } => true,
        // Some literals of a set of their own beside others in UTF-8 would be joined in one set.
        T::Char { .. } | T::VarChar { .. } | T::Text { .. } => !matches!(text, TextPath::Introducer(..)),
        _ => false,
    }
}

fn text_path(from: &ColumnType, to: &ColumnType, server: &ServerInfo) -> Option<TextPath> {
    // Members of ENUM and SET are UTF-8 in the definition.
    let charset = match from {
        ColumnType::Char { charset, .. }
        | ColumnType::VarChar { charset, .. }
        | ColumnType::Text { charset, .. } => charset.to_ascii_lowercase(),
        _ => return Some(TextPath::Utf8),
    };
    if matches!(charset.as_str(), "utf8" | "utf8mb3" | "utf8mb4" | "ascii") {
        return Some(TextPath::Utf8);
    }
    let decoder = Decoder::find(&charset);
    // In its own set a value keeps its bytes, where a way over UTF-8 would join characters that the
    // set has twice. Unicode sets have none twice, and newer servers warn of their names.
    let same = to.charset().is_some_and(|c| c.eq_ignore_ascii_case(&charset));
    let unicode = matches!(charset.as_str(), "ucs2" | "utf16" | "utf16le" | "utf32");
    if let Some(decoder) = &decoder
        && (!same || unicode)
    {
        return Some(TextPath::Decode(decoder.clone()));
    }
    let plain_name = charset.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    if server.has_charset(&charset) && plain_name {
        let ascii = decoder.is_some_and(|d| d.is_ascii_compatible());
        return Some(TextPath::Introducer(charset, ascii));
    }
    None
}

fn member_numbers(from: &ColumnType, to: &ColumnType) -> Option<Vec<Option<u32>>> {
    let ((ColumnType::Enum { members: a, .. }, ColumnType::Enum { members: b, .. })
    | (ColumnType::Set { members: a, .. }, ColumnType::Set { members: b, .. })) = (from, to)
    else {
        return None;
    };
    let number = |m: &String| {
        b.iter()
            .position(|n| n == m)
            .and_then(|i| u32::try_from(i + 1).ok())
    };
    Some(a.iter().map(number).collect())
}

/// The plans of a claim, by number of the table.
#[derive(Debug)]
pub(crate) struct Plans(Vec<TablePlan>);

impl Plans {
    pub(crate) fn new(
        tables: &Arc<Vec<TablePair>>,
        server: &ServerInfo,
        dialect: &dyn Dialect,
    ) -> Result<Self, Failure> {
        tables
            .iter()
            .map(|t| TablePlan::new(t, server, dialect))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(crate) fn get(&self, table: u32) -> Result<&TablePlan, Failure> {
        self.0.get(table as usize).ok_or_else(|| {
            Failure::new(
                codes::apply::INTERNAL,
                format!("table number {table} was not announced"),
            )
        })
    }
}
