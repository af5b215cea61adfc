//! Names and numbers of column types.

use oms_core::ColumnType;

/// How a column's type is called in messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TypeName {
    /// OMS's name, upper case.
    pub(crate) name: &'static str,
    /// The number in `java.sql.Types`.
    pub(crate) jdbc: i32,
    /// The Debezium family's type in OMS's schema block.
    pub(crate) debezium: &'static str,
    /// The type of the very same values for Kafka Connect.
    pub(crate) connect: &'static str,
}

/// The names of a type.
pub(crate) fn type_name(ty: &ColumnType) -> TypeName {
    let named = |name, jdbc, debezium, connect| TypeName {
        name,
        jdbc,
        debezium,
        connect,
    };
    let same = |name, jdbc, debezium| named(name, jdbc, debezium, debezium);
    match ty {
        ColumnType::Integer { bytes: 1, .. } => same("TINYINT", -6, "int16"),
        ColumnType::Integer { bytes: 2, unsigned } => {
            named("SMALLINT", 5, "int16", if *unsigned { "int32" } else { "int16" })
        }
        ColumnType::Integer {
            bytes: 8,
            unsigned: false,
        } => same("INT64", -5, "int64"),
        ColumnType::Integer {
            bytes: 8,
            unsigned: true,
        } => same("BIGINT", -5, "string"),
        ColumnType::Integer { bytes, unsigned } => {
            let wide = *bytes == 4 && *unsigned;
            named("INT", 4, "int32", if wide { "int64" } else { "int32" })
        }
        ColumnType::Year => same("INT", 4, "int32"),
        ColumnType::Float => same("FLOAT", 6, "float64"),
        ColumnType::Double => same("DOUBLE", 8, "float64"),
        ColumnType::Decimal { .. } => same("DECIMAL", 3, "string"),
        ColumnType::Bit { .. }
        | ColumnType::Binary { .. }
        | ColumnType::VarBinary { .. }
        | ColumnType::Blob { .. }
        | ColumnType::Geometry { .. } => named("BLOB", 2004, "bytes", "string"),
        ColumnType::Date => same("DATE", 91, "int32"),
        ColumnType::Time { .. } => same("TIME", 92, "int64"),
        ColumnType::DateTime { .. } => same("DATETIME", 93, "int64"),
        ColumnType::Timestamp { .. } => same("TIMESTAMP", 93, "string"),
        ColumnType::Char { .. }
        | ColumnType::VarChar { .. }
        | ColumnType::Text { .. }
        | ColumnType::Enum { .. }
        | ColumnType::Set { .. }
        | ColumnType::Json
        | ColumnType::Uuid
        | ColumnType::Inet4
        | ColumnType::Inet6 => same("VARCHAR", 12, "string"),
    }
}
