//! The low watermark.

use std::collections::VecDeque;

use oms_core::{Position, Watermark};

/// Numbers transactions and tells up to where all of them are applied. Pure.
#[derive(Debug)]
pub struct Tracker {
    mark: Watermark,
    time_us: Option<i64>,
    /// The transactions behind the watermark, in order.
    slots: VecDeque<Slot>,
}

#[derive(Debug)]
struct Slot {
    position: Position,
    time_us: i64,
    done: bool,
}

impl Tracker {
    /// Behind a watermark.
    pub fn new(mark: Watermark) -> Self {
        Self {
            mark,
            time_us: None,
            slots: VecDeque::new(),
        }
    }

    /// The number of the next transaction.
    pub fn next_number(&self) -> u64 {
        self.mark.applied + self.slots.len() as u64 + 1
    }

    /// Notes the next transaction, which ends at the position, and gives its number.
    pub fn begin(&mut self, position: Position, time_us: i64) -> u64 {
        let number = self.next_number();
        self.slots.push_back(Slot {
            position,
            time_us,
            done: false,
        });
        number
    }

    /// Notes that nothing lies between the last transaction and the position.
    pub fn heartbeat(&mut self, position: Position, time_us: i64) {
        match self.slots.back_mut() {
            Some(last) => {
                last.position = position;
                last.time_us = time_us;
            }
            None => {
                self.mark.position = position;
                self.time_us = Some(time_us);
            }
        }
    }

    /// Notes that a transaction is applied. Says whether the watermark moved.
    pub fn complete(&mut self, number: u64) -> bool {
        let Some(index) = number.checked_sub(self.mark.applied + 1) else {
            return false;
        };
        if let Some(slot) = usize::try_from(index).ok().and_then(|i| self.slots.get_mut(i)) {
            slot.done = true;
        }
        let mut moved = false;
        while self.slots.front().is_some_and(|s| s.done) {
            if let Some(slot) = self.slots.pop_front() {
                self.mark = Watermark {
                    applied: self.mark.applied + 1,
                    position: slot.position,
                };
                self.time_us = Some(slot.time_us);
                moved = true;
            }
        }
        moved
    }

    /// Everything up to here is applied.
    pub fn watermark(&self) -> &Watermark {
        &self.mark
    }

    /// The source's time at the watermark, once known.
    pub fn time_us(&self) -> Option<i64> {
        self.time_us
    }

    /// Transactions begun behind the watermark.
    pub fn span(&self) -> usize {
        self.slots.len()
    }

    /// The position behind the last transaction that was begun.
    pub fn last_position(&self) -> &Position {
        self.slots.back().map_or(&self.mark.position, |s| &s.position)
    }
}
