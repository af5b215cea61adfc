//! A Store.

use oms_proto::meta::ProjectRecord;
use oms_types::ComponentKind;

use super::{Surroundings, Worker, facts, number};

impl Worker {
    pub(super) fn capture(&mut self, record: &ProjectRecord, s: &mut Surroundings<'_>) {
        let Some(end) = s.source else {
            self.trouble_since.get_or_insert(s.now_us);
            return;
        };
        self.trouble_since = None;
        let recorded = facts(record, ComponentKind::Store).store_start;
        let applied = facts(record, ComponentKind::IncrSync).applied;
        let needed = number(&applied).or(number(&recorded));
        // What an earlier run left here may begin behind what is needed: its start was never reported.
        if let (Some((from, _)), Some(needed)) = (*s.disk, needed)
            && from > needed
        {
            *s.disk = None;
        }
        let (_, upto) = s.disk.get_or_insert_with(|| {
            let from = needed.unwrap_or(end);
            (from, from)
        });
        *upto = end.min(*upto + s.random.within(0, 6)).max(*upto);
        if recorded.is_empty()
            && let Some((from, _)) = s.disk
        {
            self.report.1.store_start = from.to_string();
        }
    }
}
