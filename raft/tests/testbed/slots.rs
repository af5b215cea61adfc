//! A state machine of constant size.

use std::collections::BTreeMap;

use oms_raft::{RestoreError, StateMachine};

/// Remembers the last value of each of a few slots, so its size does not grow.
#[derive(Default)]
pub(crate) struct Slots {
    slots: BTreeMap<u8, Vec<u8>>,
    applied: u64,
}

impl StateMachine for Slots {
    type View = u64;

    fn apply(&mut self, _index: u64, command: &[u8]) -> Vec<u8> {
        let (slot, value) = command.split_first().unwrap();
        self.slots.insert(*slot, value.to_vec());
        self.applied += 1;
        Vec::new()
    }

    fn snapshot(&self) -> Vec<u8> {
        let mut out = self.applied.to_be_bytes().to_vec();
        for (slot, value) in &self.slots {
            out.push(*slot);
            out.extend((value.len() as u32).to_be_bytes());
            out.extend(value);
        }
        out
    }

    fn restore(&mut self, snapshot: &[u8]) -> Result<(), RestoreError> {
        let torn = || RestoreError("torn".to_owned());
        let (applied, mut rest) = snapshot.split_first_chunk().ok_or_else(torn)?;
        self.applied = u64::from_be_bytes(*applied);
        self.slots.clear();
        while let Some((slot, behind)) = rest.split_first() {
            let (length, behind) = behind.split_first_chunk().ok_or_else(torn)?;
            let length = u32::from_be_bytes(*length) as usize;
            let (value, behind) = behind.split_at_checked(length).ok_or_else(torn)?;
            self.slots.insert(*slot, value.to_vec());
            rest = behind;
        }
        Ok(())
    }

    fn view(&self) -> u64 {
        self.applied
    }
}
