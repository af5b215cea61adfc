//! What all messages of a table have in common, prepared once.

use std::sync::Arc;

use oms_core::{Column, ColumnType, TableName, TableSchema};

use crate::{
    CodecError, Format, SchemaBlock, Settings,
    charset::Charset,
    json,
    type_name::{TypeName, type_name},
};

/// What all messages of a table have in common: its columns' names and types as JSON, its key.
///
/// Good for one definition of the table: after a DDL a new one is made.
#[derive(Debug)]
pub struct TablePlan {
    pub(crate) schema: Arc<TableSchema>,
    pub(crate) columns: Vec<ColumnPlan>,
    /// Columns of the row's key, as indexes into `columns` and in the key's order.
    pub(crate) key: Vec<usize>,
    /// Columns that choose the partition, likewise.
    pub(crate) sharding: Vec<usize>,
    pub(crate) text: Texts,
}

/// A column that is sent.
#[derive(Debug)]
pub(crate) struct ColumnPlan {
    /// Its place in the rows.
    pub(crate) index: usize,
    /// Whether it is in the messages; else it is here for the key only.
    pub(crate) sent: bool,
    pub(crate) column: Column,
    pub(crate) charset: Charset,
    pub(crate) names: TypeName,
    /// `"name":`
    pub(crate) label: Vec<u8>,
}

/// Pieces of JSON.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    /// Database and table as JSON strings.
    pub(crate) database: Vec<u8>,
    pub(crate) table: Vec<u8>,
    /// `database.table` and `tenant.database` as JSON strings.
    pub(crate) full_name: Vec<u8>,
    pub(crate) tenant_database: Vec<u8>,
    /// Names of the key columns: joined, and as an array.
    pub(crate) key_joined: Vec<u8>,
    pub(crate) key_names: Vec<u8>,
    /// `"__light_type":{…}`, DataWorks' `column`, Canal's `sqlType` and `mysqlType`, Debezium's `schema`.
    pub(crate) light_type: Vec<u8>,
    pub(crate) typed_columns: Vec<u8>,
    pub(crate) sql_types: Vec<u8>,
    pub(crate) mysql_types: Vec<u8>,
    pub(crate) schema: Vec<u8>,
}

impl TablePlan {
    /// Prepares a table. `selected` are the names of the columns that are sent (`None`: all), `sharding` those whose
    /// values choose the partition (empty: the key's).
    ///
    /// # Errors
    /// A name that the table does not have or that the format cannot take, or a character set that cannot be read.
    pub fn new(
        schema: Arc<TableSchema>,
        settings: &Settings,
        selected: Option<&[String]>,
        sharding: &[String],
    ) -> Result<Self, CodecError> {
        let find = |name: &String| {
            let missing = || CodecError::NoSuchColumn {
                table: schema.name.clone(),
                column: name.clone(),
            };
            schema.column_index(name).ok_or_else(missing)
        };
        let mut sent = vec![selected.is_none(); schema.columns.len()];
        for name in selected.unwrap_or_default() {
            if let Some(slot) = sent.get_mut(find(name)?) {
                *slot = true;
            }
        }
        let key = schema.row_key_columns().unwrap_or_default();
        let sharding = match sharding {
            [] => key.clone(),
            names => names.iter().map(find).collect::<Result<Vec<_>, _>>()?,
        };
        let columns = schema
            .columns
            .iter()
            .enumerate()
            .map(|(i, c)| {
                let sent = sent.get(i) == Some(&true);
                let read = sent || key.contains(&i) || sharding.contains(&i);
                ColumnPlan::new(&schema.name, i, c, (sent, read), settings)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut plan = Self {
            schema,
            columns,
            key,
            sharding,
            text: Texts::default(),
        };
        plan.text = plan.texts(settings);
        Ok(plan)
    }

    /// The table's definition.
    pub fn schema(&self) -> &Arc<TableSchema> {
        &self.schema
    }

    pub(crate) fn name(&self) -> &TableName {
        &self.schema.name
    }

    /// The columns that are sent, in the table's order.
    pub(crate) fn sent(&self) -> impl Iterator<Item = &ColumnPlan> {
        self.columns.iter().filter(|c| c.sent)
    }

    fn key_names(&self) -> impl Iterator<Item = &str> {
        self.key
            .iter()
            .filter_map(|i| self.columns.get(*i))
            .map(|c| c.column.name.as_str())
    }

    fn texts(&self, settings: &Settings) -> Texts {
        let name = &self.schema.name;
        let written = |f: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            f(&mut out);
            out
        };
        let string = |text: &str| written(&|out| json::string(text, out));
        let object = |each: &dyn Fn(&ColumnPlan, &mut Vec<u8>)| {
            written(&|out| {
                out.push(b'{');
                for (i, column) in self.sent().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    out.extend_from_slice(&column.label);
                    each(column, out);
                }
                out.push(b'}');
            })
        };
        let mut light_type = b"\"__light_type\":".to_vec();
        light_type.extend(object(&|column, out| {
            json::raw("{\"schemaType\":", out);
            json::string(column.names.name, out);
            out.push(b'}');
        }));
        let joined: Vec<&str> = self.key_names().collect();
        Texts {
            database: string(&name.database),
            table: string(&name.table),
            full_name: string(&format!("{}.{}", name.database, name.table)),
            tenant_database: match &settings.tenant {
                Some(tenant) => string(&format!("{tenant}.{}", name.database)),
                None => string(&name.database),
            },
            key_joined: string(&joined.join("\u{1}")),
            key_names: written(&|out| json::array(self.key_names(), out)),
            light_type,
            typed_columns: written(&|out| {
                out.push(b'[');
                for (i, column) in self.sent().enumerate() {
                    json::raw(if i > 0 { ",{\"name\":" } else { "{\"name\":" }, out);
                    json::string(&column.column.name, out);
                    json::raw(",\"type\":", out);
                    json::string(column.names.name, out);
                    out.push(b'}');
                }
                out.push(b']');
            }),
            sql_types: object(&|column, out| json::raw(&column.names.jdbc.to_string(), out)),
            mysql_types: object(&|column, out| json::string(&column.names.name.to_ascii_lowercase(), out)),
            schema: match settings.schema {
                SchemaBlock::None => Vec::new(),
                SchemaBlock::Oms => written(&|out| self.oms_schema(out)),
                SchemaBlock::Connect => written(&|out| self.connect_schema(out)),
            },
        }
    }

    /// As the sheet has it: what comes first is in capitals, and nothing is optional.
    fn oms_schema(&self, out: &mut Vec<u8>) {
        let columns = |out: &mut Vec<u8>| {
            for (i, column) in self.sent().enumerate() {
                json::raw(if i > 0 { ",{\"field\":" } else { "{\"field\":" }, out);
                json::string(&column.column.name, out);
                json::raw(",\"optional\":false,\"type\":", out);
                json::string(column.names.debezium, out);
                out.push(b'}');
            }
        };
        json::raw(
            "{\"optional\":false,\"type\":\"STRUCT\",\"fields\":[{\"field\":\"before\",\"optional\":false,\"type\":\"struct\",\"fields\":[",
            out,
        );
        columns(out);
        json::raw(
            "]},{\"field\":\"after\",\"optional\":false,\"type\":\"struct\",\"fields\":[",
            out,
        );
        columns(out);
        json::raw(
            "]},{\"field\":\"source\",\"optional\":false,\"type\":\"struct\",\"fields\":[",
            out,
        );
        let source = [
            ("version", "string"),
            ("connector", "string"),
            ("name", "string"),
            ("ts_ms", "int64"),
            ("db", "string"),
            ("table", "string"),
            ("server_id", "int64"),
            ("pos", "string"),
        ];
        for (i, (field, ty)) in source.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            json::raw(
                &format!("{comma}{{\"field\":\"{field}\",\"optional\":false,\"type\":\"{ty}\"}}"),
                out,
            );
        }
        json::raw(
            "]},{\"field\":\"op\",\"optional\":false,\"type\":\"string\"},{\"field\":\"ts_ms\",\"optional\":false,\"type\":\"int64\"}]}",
            out,
        );
    }

    /// As Kafka Connect's converter writes it: type, fields, optional, name, field. Every column is optional whose
    /// value can be missing, the images are, too, and only what the payload has is declared.
    fn connect_schema(&self, out: &mut Vec<u8>) {
        let row = |field: &str, out: &mut Vec<u8>| {
            json::raw("{\"type\":\"struct\",\"fields\":[", out);
            for (i, column) in self.sent().enumerate() {
                json::raw(if i > 0 { ",{\"type\":\"" } else { "{\"type\":\"" }, out);
                json::raw(column.names.connect, out);
                let required = !column.column.nullable && self.key.contains(&column.index);
                json::raw(
                    if required {
                        "\",\"optional\":false,\"field\":"
                    } else {
                        "\",\"optional\":true,\"field\":"
                    },
                    out,
                );
                json::string(&column.column.name, out);
                out.push(b'}');
            }
            json::raw("],\"optional\":true,\"name\":", out);
            json::string(
                &format!(
                    "OMS.{}.{}.Value",
                    self.schema.name.database, self.schema.name.table
                ),
                out,
            );
            json::raw(&format!(",\"field\":\"{field}\"}}"), out);
        };
        json::raw(
            "{\"type\":\"struct\",\"fields\":[{\"type\":\"string\",\"optional\":false,\"field\":\"op\"},",
            out,
        );
        row("before", out);
        json::raw(",{\"type\":\"struct\",\"fields\":[", out);
        let source = [
            ("connector", "string"),
            ("pos", "string"),
            ("name", "string"),
            ("version", "string"),
            ("ts_ms", "int64"),
            ("db", "string"),
            ("table", "string"),
        ];
        for (i, (field, ty)) in source.iter().enumerate() {
            let comma = if i > 0 { "," } else { "" };
            json::raw(
                &format!("{comma}{{\"type\":\"{ty}\",\"optional\":false,\"field\":\"{field}\"}}"),
                out,
            );
        }
        json::raw(
            "],\"optional\":false,\"name\":\"OMS.Source\",\"field\":\"source\"},",
            out,
        );
        row("after", out);
        json::raw(
            ",{\"type\":\"int64\",\"optional\":false,\"field\":\"ts_ms\"}],\"optional\":false,\"name\":",
            out,
        );
        json::string(
            &format!(
                "OMS.{}.{}.Envelope",
                self.schema.name.database, self.schema.name.table
            ),
            out,
        );
        out.push(b'}');
    }
}

impl ColumnPlan {
    fn new(
        table: &TableName,
        index: usize,
        column: &Column,
        (sent, read): (bool, bool),
        settings: &Settings,
    ) -> Result<Self, CodecError> {
        let reserved = match settings.format {
            Format::DefaultWithSchema => Some("__light_type"),
            Format::DebeziumSmt => Some("__deleted"),
            _ => None,
        };
        if sent && reserved == Some(column.name.as_str()) {
            return Err(CodecError::ReservedColumn {
                table: table.clone(),
                column: column.name.clone(),
                format: settings.format.name(),
            });
        }
        // The members of ENUM and SET are UTF-8 whatever the column's set is.
        let charset = match &column.ty {
            _ if !read => Charset::Utf8,
            ColumnType::Char { charset, .. }
            | ColumnType::VarChar { charset, .. }
            | ColumnType::Text { charset, .. } => {
                Charset::find(charset).ok_or_else(|| CodecError::UnknownCharset {
                    table: table.clone(),
                    column: column.name.clone(),
                    charset: charset.clone(),
                })?
            }
            _ => Charset::Utf8,
        };
        let mut label = Vec::new();
        json::string(&column.name, &mut label);
        label.push(b':');
        Ok(Self {
            index,
            sent,
            names: type_name(&column.ty),
            column: column.clone(),
            charset,
            label,
        })
    }
}
