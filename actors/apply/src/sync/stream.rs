//! A transaction that does not fit into memory.

use oms_core::RowOp;
use tokio::sync::mpsc;

use super::{
    lane::{LaneWork, StreamPart},
    running::{Halt, Running},
    window::Treatment,
};

/// Parts that may wait in front of the lane.
const QUEUED_PARTS: usize = 2;

/// A transaction on its way through lane 0, alone.
pub(super) struct Streaming {
    parts: mpsc::Sender<StreamPart>,
    pub(super) treatment: Treatment,
    buffer: Vec<RowOp>,
    bytes: usize,
    part_bytes: usize,
}

impl Streaming {
    /// Waits until nothing else runs and begins.
    pub(super) async fn begin(
        running: &mut Running<'_>,
        number: u64,
        treatment: Treatment,
        part_bytes: usize,
    ) -> Result<Self, Halt> {
        running.drain().await?;
        running.streaming = true;
        let (parts, queue) = mpsc::channel(QUEUED_PARTS);
        running.send(0, LaneWork::Stream { number, parts: queue })?;
        Ok(Self {
            parts,
            treatment,
            buffer: Vec::new(),
            bytes: 0,
            part_bytes,
        })
    }

    /// Adds a row whose bytes the gauge counts already.
    pub(super) async fn push(
        &mut self,
        running: &mut Running<'_>,
        op: RowOp,
        bytes: usize,
    ) -> Result<(), Halt> {
        self.buffer.push(op);
        self.bytes += bytes;
        if self.bytes >= self.part_bytes {
            self.flush(running).await?;
        }
        Ok(())
    }

    async fn flush(&mut self, running: &mut Running<'_>) -> Result<(), Halt> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let part = StreamPart::Rows(std::mem::take(&mut self.buffer), std::mem::take(&mut self.bytes));
        self.send(running, part).await
    }

    async fn send(&self, running: &mut Running<'_>, part: StreamPart) -> Result<(), Halt> {
        let mut room = Box::pin(self.parts.reserve());
        loop {
            match running.step_or(&mut room).await? {
                Some(Ok(permit)) => {
                    permit.send(part);
                    return Ok(());
                }
                // The lane has ended and is about to say why.
                Some(Err(_)) => loop {
                    running.step().await?;
                },
                None => {}
            }
        }
    }

    /// Commits it as the transaction of this number, which the tracker knows.
    pub(super) async fn commit(mut self, running: &mut Running<'_>, number: u64) -> Result<(), Halt> {
        self.flush(running).await?;
        running.note_streamed(number);
        self.send(running, StreamPart::Commit).await?;
        running.drain().await?;
        running.streaming = false;
        Ok(())
    }

    /// Rolls it back: it did not happen.
    pub(super) async fn abort(mut self, running: &mut Running<'_>) -> Result<(), Halt> {
        self.buffer.clear();
        running.gauge.remove(std::mem::take(&mut self.bytes));
        self.send(running, StreamPart::Abort).await?;
        running.wait_aborted().await?;
        running.streaming = false;
        Ok(())
    }
}
