//! The clauses of ALTER TABLE that are about partitions.

use super::{Reader, Result};
use crate::{AlterClause, MaintenanceVerb, PartitionDefinition, PartitionNames, syntax::partition};

impl Reader<'_> {
    /// PARTITION BY and REMOVE PARTITIONING.
    pub(super) fn partition_by(&mut self) -> Result<AlterClause> {
        if self.c.accept("REMOVE PARTITIONING") {
            return Ok(AlterClause::RemovePartitioning);
        }
        self.c.expect("PARTITION BY")?;
        let partitioning = partition::partitioning(&mut self.c)?;
        Ok(AlterClause::PartitionBy(partitioning))
    }

    /// A clause about partitions, if one begins here.
    pub(super) fn partition_clause(&mut self) -> Result<Option<AlterClause>> {
        let is_column = self.c.is_word(0, "ADD") && self.c.is_word(1, "COLUMN");
        if is_column {
            return Ok(None);
        }
        if self.c.accept("ADD PARTITION") {
            return self.add_partition().map(Some);
        }
        if self.c.accept("DROP PARTITION") {
            let if_exists = self.if_exists();
            let names = self.part_names()?;
            return Ok(Some(AlterClause::DropPartitions { names, if_exists }));
        }
        if self.c.accept("TRUNCATE PARTITION") {
            let names = self.partition_names()?;
            return Ok(Some(AlterClause::TruncatePartitions(names)));
        }
        if self.c.accept("COALESCE PARTITION") {
            self.no_write_to_binlog();
            return Ok(Some(AlterClause::CoalescePartition(self.c.integer()?)));
        }
        if self.c.accept("REORGANIZE PARTITION") {
            return self.reorganize().map(Some);
        }
        if self.c.accept("EXCHANGE PARTITION") {
            return self.exchange().map(Some);
        }
        if self.c.accept("CONVERT PARTITION") {
            let partition = self.c.name()?;
            self.c.expect("TO TABLE")?;
            let table = self.table_name()?;
            return Ok(Some(AlterClause::ConvertPartitionToTable { partition, table }));
        }
        if self.c.accept("CONVERT TABLE") {
            let table = self.table_name()?;
            self.c.expect("TO")?;
            let definition = partition::partition(&mut self.c)?;
            self.validation();
            return Ok(Some(AlterClause::ConvertTableToPartition { table, definition }));
        }
        for (words, import) in [("DISCARD PARTITION", false), ("IMPORT PARTITION", true)] {
            if self.c.accept(words) {
                let partitions = Some(self.partition_names()?);
                self.c.expect("TABLESPACE")?;
                return Ok(Some(AlterClause::Tablespace { import, partitions }));
            }
        }
        for verb in MaintenanceVerb::ALL {
            if self.c.is_word(0, verb.word()) && self.c.is_word(1, "PARTITION") {
                self.c.advance();
                self.c.advance();
                self.no_write_to_binlog();
                let partitions = self.partition_names()?;
                // Options of CHECK and REPAIR.
                while ["QUICK", "EXTENDED", "FAST", "MEDIUM", "CHANGED", "USE_FRM"]
                    .iter()
                    .any(|w| self.c.accept(w))
                    || self.c.accept("FOR UPGRADE")
                {}
                return Ok(Some(AlterClause::PartitionMaintenance { verb, partitions }));
            }
        }
        Ok(None)
    }

    fn no_write_to_binlog(&mut self) {
        let _ = self.c.accept("NO_WRITE_TO_BINLOG") || self.c.accept("LOCAL");
    }

    fn validation(&mut self) -> Option<bool> {
        if self.c.accept("WITH VALIDATION") {
            Some(true)
        } else if self.c.accept("WITHOUT VALIDATION") {
            Some(false)
        } else {
            None
        }
    }

    fn partition_names(&mut self) -> Result<PartitionNames> {
        if self.c.accept("ALL") {
            return Ok(PartitionNames::All);
        }
        Ok(PartitionNames::Named(self.part_names()?))
    }

    fn definitions(&mut self) -> Result<Vec<PartitionDefinition>> {
        self.c.expect_symbol("(")?;
        let mut list = Vec::new();
        loop {
            list.push(partition::partition(&mut self.c)?);
            if self.c.accept_symbol(")") {
                return Ok(list);
            }
            self.c.expect_symbol(",")?;
        }
    }

    fn add_partition(&mut self) -> Result<AlterClause> {
        let if_not_exists = self.if_not_exists();
        self.no_write_to_binlog();
        if self.c.accept("PARTITIONS") {
            return Ok(AlterClause::AddPartitionCount(self.c.integer()?));
        }
        // MariaDB knows one partition without parentheses too.
        let definitions = if self.c.is_symbol(0, "(") {
            self.definitions()?
        } else {
            vec![partition::partition(&mut self.c)?]
        };
        Ok(AlterClause::AddPartitions {
            definitions,
            if_not_exists,
        })
    }

    fn reorganize(&mut self) -> Result<AlterClause> {
        self.no_write_to_binlog();
        let (mut names, mut into) = (Vec::new(), Vec::new());
        if !(self.c.is_end() || self.c.is_symbol(0, ";") || self.c.is_symbol(0, ",")) {
            names = self.part_names()?;
            self.c.expect("INTO")?;
            into = self.definitions()?;
        }
        Ok(AlterClause::ReorganizePartitions { names, into })
    }

    fn exchange(&mut self) -> Result<AlterClause> {
        let partition = self.c.name()?;
        self.c.expect("WITH TABLE")?;
        let table = self.table_name()?;
        let validation = self.validation();
        Ok(AlterClause::ExchangePartition {
            partition,
            table,
            validation,
        })
    }
}
