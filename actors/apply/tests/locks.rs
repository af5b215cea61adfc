//! Which changes conflict.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod model;

use std::sync::Arc;

use model::*;
use oms_apply::{ConflictGraph, ForeignKeyEdge, KeyExtractor, Placement, TransactionKeys};
use oms_core::{
    ApplyMode, Column, ColumnType, Failure, Key, KeyPart, Row, RowBuilder, RowOp, TableSchema, Value, codes,
};

fn table(name: &str, columns: &[(&str, ColumnType)], keys: &[(&str, &[usize])]) -> Arc<TableSchema> {
    let column = |(name, ty): &(&str, ColumnType)| Column {
        name: (*name).into(),
        ty: ty.clone(),
        nullable: *name != "id",
        generated: None,
        invisible: false,
    };
    let key = |(name, columns): &(&str, &[usize])| Key {
        name: (*name).into(),
        primary: *name == "PRIMARY",
        parts: columns
            .iter()
            .map(|c| KeyPart {
                column: Some(*c),
                prefix: None,
            })
            .collect(),
    };
    schema(
        name,
        columns.iter().map(column).collect(),
        keys.iter().map(key).collect(),
    )
}

fn text(collation: &str) -> ColumnType {
    ColumnType::VarChar {
        length: 20,
        charset: "utf8mb4".into(),
        collation: collation.into(),
    }
}

fn values(values: &[Value<'_>]) -> Row {
    RowBuilder::build(values.iter().copied()).unwrap()
}

fn op(table: u32, before: Option<&[Value<'_>]>, after: Option<&[Value<'_>]>) -> RowOp {
    RowOp {
        table,
        mode: ApplyMode::Strict,
        before: before.map(values),
        after: after.map(values),
        origin: None,
    }
}

fn conflict(a: &TransactionKeys, b: &TransactionKeys) -> bool {
    let mut graph = ConflictGraph::new();
    graph.enter(a, 0);
    graph.place(b) != Placement::Anywhere
}

struct Fixture(KeyExtractor);

impl Fixture {
    fn new(tables: &[Arc<TableSchema>], edges: &[ForeignKeyEdge]) -> Self {
        Self(KeyExtractor::new(&pairs(tables), edges))
    }

    fn conflict(&self, a: &RowOp, b: &RowOp) -> bool {
        let keys = |op: &RowOp| self.0.extract(std::slice::from_ref(op)).unwrap();
        let (a, b) = (keys(a), keys(b));
        assert_eq!(conflict(&a, &b), conflict(&b, &a));
        conflict(&a, &b)
    }
}

use Value::{Absent, Int, Null, Text};

#[test]
fn unique_values_conflict_over_rows_and_nulls_do_not() {
    let t = table(
        "t",
        &[("id", int()), ("u", int())],
        &[("PRIMARY", &[0]), ("u", &[1])],
    );
    let f = Fixture::new(&[t], &[]);
    let insert = |id, u| op(0, None, Some(&[Int(id), u]));
    assert!(f.conflict(&insert(1, Int(5)), &insert(2, Int(5))));
    assert!(!f.conflict(&insert(1, Int(5)), &insert(2, Int(6))));
    assert!(!f.conflict(&insert(1, Null), &insert(2, Null)));
    assert!(f.conflict(&insert(1, Null), &insert(1, Int(3))));
    let moved = op(0, Some(&[Int(1), Int(5)]), Some(&[Int(1), Int(6)]));
    assert!(f.conflict(&moved, &insert(2, Int(5))) && f.conflict(&moved, &insert(2, Int(6))));
    // 1 as a value of `u` is not 1 as a value of `id`.
    assert!(!f.conflict(&insert(1, Int(9)), &insert(9, Int(1))));
}

#[test]
fn partial_images_take_the_missing_from_before_or_stop() {
    let t = table(
        "t",
        &[("id", int()), ("u", int())],
        &[("PRIMARY", &[0]), ("u", &[1])],
    );
    let f = Fixture::new(&[t], &[]);
    let partial = op(0, Some(&[Int(1), Int(5)]), Some(&[Absent, Int(6)]));
    assert!(f.conflict(&partial, &op(0, None, Some(&[Int(1), Null]))));
    assert!(f.conflict(&partial, &op(0, None, Some(&[Int(2), Int(6)]))));
    let unknown = op(0, Some(&[Int(1), Absent]), Some(&[Absent, Int(6)]));
    let failure: Failure = f.0.extract(&[unknown]).unwrap_err().into();
    assert_eq!(failure.code(), codes::apply::PARTIAL_IMAGE);
}

#[test]
fn all_changes_of_a_table_without_a_key_conflict() {
    let t = table("t", &[("a", int()), ("b", text("utf8mb4_general_ci"))], &[]);
    let other = table("other", &[("a", int()), ("b", text("utf8mb4_general_ci"))], &[]);
    let f = Fixture::new(&[t, other], &[]);
    let insert = |n, a, b: &'static str| op(n, None, Some(&[Int(a), Text(b.as_bytes())]));
    assert!(f.conflict(&insert(0, 1, "x"), &insert(0, 1, "X")));
    assert!(f.conflict(&insert(0, 1, "x"), &insert(0, 2, "y")));
    let null = op(0, None, Some(&[Int(1), Null]));
    let update = op(0, Some(&[Int(1), Null]), Some(&[Int(2), Null]));
    assert!(f.conflict(&update, &null) && f.conflict(&update, &insert(0, 9, "z")));
    assert!(!f.conflict(&insert(0, 1, "x"), &insert(1, 1, "x")));
}

#[test]
fn an_unlisted_collation_serialises_the_rest_of_the_key() {
    let lithuanian = text("utf8mb4_lithuanian_ci");
    let t = table(
        "t",
        &[("id", int()), ("g", int()), ("u", lithuanian)],
        &[("PRIMARY", &[0]), ("u", &[1, 2])],
    );
    let f = Fixture::new(&[t], &[]);
    let insert = |id, g, u: &'static str| op(0, None, Some(&[Int(id), Int(g), Text(u.as_bytes())]));
    assert!(f.conflict(&insert(1, 1, "c"), &insert(2, 1, "ch")));
    assert!(!f.conflict(&insert(1, 1, "c"), &insert(2, 2, "c")));
}

#[test]
fn referencing_rows_wait_for_the_referenced_one() {
    let name = || text("utf8mb4_general_ci");
    let parent = table(
        "parent",
        &[("id", int()), ("n", name())],
        &[("PRIMARY", &[0]), ("n", &[1])],
    );
    let child = table(
        "child",
        &[("id", int()), ("p", name()), ("x", int())],
        &[("PRIMARY", &[0])],
    );
    let edge = ForeignKeyEdge {
        child: 1,
        child_columns: vec![1],
        parent: 0,
        parent_columns: vec![1],
    };
    let f = Fixture::new(&[parent, child], &[edge]);
    let parent = |id, n: &'static str| op(0, None, Some(&[Int(id), Text(n.as_bytes())]));
    let child = |id, p: &'static str| op(1, None, Some(&[Int(id), Text(p.as_bytes()), Int(0)]));
    assert!(f.conflict(&parent(1, "a"), &child(1, "A ")));
    assert!(!f.conflict(&parent(1, "a"), &child(1, "b")));
    assert!(!f.conflict(&child(1, "a"), &child(2, "a")));
    // `ä` may be equal to anything.
    assert!(f.conflict(&parent(1, "a"), &child(1, "ä")) && f.conflict(&parent(1, "ä"), &child(1, "a")));
    assert!(!f.conflict(&parent(1, "a"), &op(1, None, Some(&[Int(1), Null, Int(0)]))));
    // Neither a change of another column of the child nor one of the parent touches the reference.
    let a = Text(b"a");
    let other = op(1, Some(&[Int(1), a, Int(0)]), Some(&[Int(1), a, Int(1)]));
    assert!(!f.conflict(&parent(1, "a"), &other));
}
