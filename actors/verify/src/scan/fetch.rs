//! Rows by key, as digests: memory does not depend on the size of rows.

use std::collections::HashMap;

use oms_core::Row;

use super::{Pace, readers::RowStream};
use crate::{
    Side, VerifyError,
    compare::{KeyRule, RowDigest, TableRule},
};

/// A key to look up on a side.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// In the terms of the side that is read; `None`: that side cannot have such a key.
    key: Option<Row>,
    /// Whether it comes from the other side.
    foreign: bool,
    identity: Vec<u8>,
}

impl Wanted {
    /// A key of `of`, to be looked up at `at`.
    pub(super) fn new(
        rule: &TableRule,
        key_rule: &KeyRule,
        of: Side,
        key: &Row,
        at: Side,
    ) -> Result<Self, VerifyError> {
        let charsets = rule.charsets.as_ref();
        let foreign = of != at;
        Ok(Self {
            key: if foreign {
                key_rule.convert(of, key, charsets)?
            } else {
                Some(key.clone())
            },
            foreign,
            identity: key_rule.identity(of, key, charsets),
        })
    }
}

/// A row that was found.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) digest: RowDigest,
    pub(super) identity: Vec<u8>,
    /// In the terms of the side that was read.
    pub(super) key: Row,
}

/// What reading by key needs.
#[derive(Clone, Copy)]
pub(super) struct Fetch<'f> {
    pub(super) rule: &'f TableRule,
    pub(super) key: &'f KeyRule,
    pub(super) pace: &'f Pace,
    pub(super) batch_bytes: usize,
}

impl Fetch<'_> {
    /// The rows that the side's server finds for the keys, in their order.
    ///
    /// The server finds by its collations, so the row that is found may have another key (`a` for
    /// `A`). Such rows cannot be told apart in one answer to many keys: those keys are asked for
    /// one by one.
    pub(super) async fn rows(
        &self,
        reader: &mut dyn oms_core::SnapshotReader,
        side: Side,
        wanted: &[Wanted],
    ) -> Result<Vec<Option<Found>>, VerifyError> {
        let mut out: Vec<Option<Found>> = vec![None; wanted.len()];
        for foreign in [false, true] {
            let mut numbers: HashMap<&[u8], Vec<usize>> = HashMap::new();
            let mut keys = Vec::new();
            for (number, item) in wanted.iter().enumerate().filter(|(_, w)| w.foreign == foreign) {
                let Some(key) = &item.key else { continue };
                let same = numbers.entry(&item.identity).or_default();
                if same.is_empty() {
                    keys.push(key.clone());
                }
                same.push(number);
            }
            if keys.is_empty() {
                continue;
            }
            let mut strays = false;
            let mut place = |found: Found| match numbers.get(found.identity.as_slice()) {
                Some(same) => {
                    for number in same {
                        if let Some(slot) = out.get_mut(*number) {
                            *slot = Some(found.clone());
                        }
                    }
                }
                None => strays = true,
            };
            self.read(reader, side, foreign, &keys, &mut place).await?;
            if !strays {
                continue;
            }
            for same in numbers.values() {
                let missing = same.first().filter(|n| out.get(**n).is_some_and(Option::is_none));
                let key = missing.and_then(|n| wanted.get(*n)).and_then(|w| w.key.clone());
                let Some(key) = key else { continue };
                let mut only = None;
                self.read(reader, side, foreign, &[key], &mut |found| only = Some(found))
                    .await?;
                for number in same {
                    if let Some(slot) = out.get_mut(*number) {
                        slot.clone_from(&only);
                    }
                }
            }
        }
        Ok(out)
    }

    async fn read(
        &self,
        reader: &mut dyn oms_core::SnapshotReader,
        side: Side,
        foreign: bool,
        keys: &[Row],
        place: &mut (dyn FnMut(Found) + Send),
    ) -> Result<(), VerifyError> {
        let view = if foreign {
            self.key.lookup_view(side)
        } else {
            self.key.scan_view(side)
        };
        reader.read_keys(view.clone(), keys).await?;
        let mut rows = RowStream::new(reader, self.rule, side, self.pace, self.batch_bytes);
        let mut scratch = Vec::new();
        while let Some(row) = rows.next().await? {
            let key = self.key.key_of(side, &row)?;
            place(Found {
                digest: self.rule.digest(side, &row, &mut scratch),
                identity: self.key.identity(side, &key, self.rule.charsets.as_ref()),
                key,
            });
        }
        Ok(())
    }
}
