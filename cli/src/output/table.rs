//! Tables for people.

use comfy_table::{Cell, CellAlignment, Color, ContentArrangement, presets};

use super::printable;

/// What a cell's colour says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tint {
    /// As it should be.
    Good,
    /// Look at it.
    Warn,
    /// Failed.
    Bad,
}

impl Tint {
    /// The tint of a state's, status' or log level's name.
    pub(crate) fn of(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "running" | "monitoring" | "finished" | "completed" | "converted" | "passed" => Some(Self::Good),
            "suspend" | "warning" | "warn" | "skipped" | "stopped" | "releasing" => Some(Self::Warn),
            "failed" | "error" | "not_obtained" | "not_supported" => Some(Self::Bad),
            _ => None,
        }
    }
}

/// A table with a header, or without one for a list of properties.
#[derive(Debug)]
pub(crate) struct Table {
    inner: comfy_table::Table,
    right: Vec<usize>,
}

impl Table {
    /// A table with these column names. Names that end in `>` are aligned to the right.
    pub(crate) fn new(names: &[&str]) -> Self {
        let mut inner = comfy_table::Table::new();
        inner
            .load_preset(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        inner.set_header(names.iter().map(|name| match name.strip_suffix('>') {
            Some(bare) => Cell::new(bare).set_alignment(CellAlignment::Right),
            None => Cell::new(name),
        }));
        let right = names
            .iter()
            .enumerate()
            .filter(|(_, n)| n.ends_with('>'))
            .map(|(i, _)| i)
            .collect();
        Self { inner, right }
    }

    /// A list of properties.
    pub(crate) fn properties() -> Self {
        let mut inner = comfy_table::Table::new();
        inner
            .load_preset(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        Self {
            inner,
            right: Vec::new(),
        }
    }

    /// Adds a row. A cell that is the name of a state gets its colour.
    pub(crate) fn row<T: AsRef<str>>(&mut self, cells: impl IntoIterator<Item = T>) {
        let cells = cells.into_iter().enumerate().map(|(i, text)| {
            let text = printable(text.as_ref()).replace(['\n', '\t'], " ");
            let mut cell = Cell::new(&text);
            if self.right.contains(&i) {
                cell = cell.set_alignment(CellAlignment::Right);
            }
            match Tint::of(&text) {
                Some(Tint::Good) => cell.fg(Color::Green),
                Some(Tint::Warn) => cell.fg(Color::Yellow),
                Some(Tint::Bad) => cell.fg(Color::Red),
                None => cell,
            }
        });
        let cells: Vec<_> = cells.collect();
        self.inner.add_row(cells);
    }

    /// Adds a property unless its value is empty.
    pub(crate) fn property(&mut self, name: &str, value: impl AsRef<str>) {
        if !value.as_ref().is_empty() {
            self.row([name, value.as_ref()]);
        }
    }

    /// The table as text, without a line end behind it.
    pub(crate) fn render(&self, colour: bool) -> String {
        let mut table = self.inner.clone();
        if colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        table
            .lines()
            .map(|line| line.trim_end().to_owned())
            .collect::<Vec<_>>()
            .join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_without_colour() {
        let mut table = Table::new(&["NAME", "STATE", "ROWS>"]);
        table.row(["a", "FAILED", "1,000"]);
        table.row(["longer\nname\x1b", "INIT", "7"]);
        assert_eq!(
            table.render(false),
            "NAME          STATE    ROWS\na             FAILED  1,000\nlonger name\u{fffd}  INIT        7"
        );
        assert!(table.render(true).contains("\x1b["));
    }
}
