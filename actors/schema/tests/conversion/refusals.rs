//! What cannot be converted, and what is not understood.

use oms_core::codes;
use oms_schema::{ConvertOptions, Outcome, TableDefinition};

use crate::case::{MA, MY, TAIL, converted};

#[test]
fn what_cannot_be_is_refused_with_a_code() {
    let inno = TAIL;
    for (source, destination, body, code) in [
        (
            MY,
            "seekdb",
            "`a` int) ENGINE=MyISAM DEFAULT CHARSET=utf8mb4".to_owned(),
            codes::schema::ENGINE_NOT_SUPPORTED,
        ),
        (
            MA,
            "mysql-9.7",
            "`a` int) ENGINE=Aria DEFAULT CHARSET=utf8mb4 PAGE_CHECKSUM=1".to_owned(),
            codes::schema::ENGINE_NOT_SUPPORTED,
        ),
        (
            MY,
            "seekdb",
            format!("`v` vector(3){inno}"),
            codes::schema::TYPE_NOT_SUPPORTED,
        ),
        (
            MA,
            "mysql-9.7",
            format!("`a` int DEFAULT nextval(`d`.`s`){inno}"),
            codes::schema::CONSTRUCT_NOT_SUPPORTED,
        ),
        (
            MA,
            "mariadb-10.11",
            format!("`a` int{inno} WITH SYSTEM VERSIONING"),
            codes::schema::CONSTRUCT_NOT_SUPPORTED,
        ),
        (
            MA,
            "seekdb",
            format!("`a` date, `b` date, PERIOD FOR `p` (`a`, `b`){inno}"),
            codes::schema::CONSTRUCT_NOT_SUPPORTED,
        ),
        (
            MA,
            "seekdb",
            format!("`a` text NOT NULL, UNIQUE KEY `u` (`a`) USING HASH{inno}"),
            codes::schema::CONSTRUCT_NOT_SUPPORTED,
        ),
        (
            MY,
            "seekdb",
            format!(
                "`a` json, `b` json GENERATED ALWAYS AS (`a`) VIRTUAL, `c` int GENERATED ALWAYS AS (`b`) VIRTUAL{inno}"
            ),
            codes::schema::CONSTRUCT_NOT_SUPPORTED,
        ),
    ] {
        let result = converted(source, destination, &body, &ConvertOptions::default());
        match &result.outcome {
            Outcome::NotSupported(refusal) => assert_eq!(refusal.code, code, "{body}"),
            other => panic!("{body}: {other:?}"),
        }
        assert!(
            result.statements.is_empty() && result.foreign_keys.is_empty(),
            "{body}"
        );
    }
}

#[test]
fn what_is_not_known_is_an_error_with_its_offset() {
    for (text, construct, at) in [
        ("CREATE TABLE `t` (\n  `a` money NOT NULL\n)", "money", "money"),
        ("CREATE TABLE `t` (\n  `a` int FANCY\n)", "FANCY", "FANCY"),
        (
            "CREATE TABLE `t` (\n  `a` int\n) ENGINE=InnoDB SHINY=1",
            "SHINY",
            "SHINY",
        ),
        ("CREATE TABLE `t` (\n  `a` int\n) `shiny`=1", "`shiny`", "`shiny`"),
        (
            "CREATE TABLE `t` (\n  `a` int,\n  VECTOR KEY `k` (`a`)\n)",
            "VECTOR",
            "VECTOR",
        ),
        (
            "CREATE TABLE `t` (\n  `a` int\n) PARTITION BY MAGIC (a)",
            "MAGIC",
            "MAGIC",
        ),
        (
            "CREATE TABLE `t` (\n  `a` binary(2) DEFAULT '\u{fffd}'\n)",
            "ASCII",
            "\n)",
        ),
        (
            "CREATE TEMPORARY TABLE `t` (\n  `a` int\n)",
            "TEMPORARY",
            "TEMPORARY",
        ),
    ] {
        let error = TableDefinition::parse(text).unwrap_err();
        let oms_schema::SchemaError::NotUnderstood {
            construct: found,
            offset,
        } = &error
        else {
            panic!("{error}")
        };
        assert!(found.contains(construct), "{error}");
        assert_eq!(
            text[*offset..].trim_start().find(at.trim_start()),
            Some(0),
            "{error}"
        );
        assert_eq!(error.code(), codes::schema::STATEMENT_NOT_UNDERSTOOD);
    }
}
