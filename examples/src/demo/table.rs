//! Tables in columns.

/// On which side of its column a cell stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Align {
    /// Text.
    #[default]
    Left,
    /// Numbers.
    Right,
}

/// Rows under a heading, each column as wide as its widest cell.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Align>,
    /// The heading first.
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns.
    pub fn new<'a>(columns: impl IntoIterator<Item = (&'a str, Align)>) -> Self {
        let (heading, columns) = columns.into_iter().map(|(name, align)| (name.to_owned(), align)).unzip();
        Self { columns, rows: vec![heading] }
    }

    /// Adds a row. Missing cells are empty; cells without a column are left out.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) -> &mut Self {
        self.rows.push(cells.into_iter().take(self.columns.len()).collect());
        self
    }

    /// The lines, heading first, without spaces at their end.
    pub fn lines(&self) -> Vec<String> {
        let cell = |row: &'_ [String], column: usize| row.get(column).cloned().unwrap_or_default();
        let width = |column| self.rows.iter().map(|row| cell(row, column).chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = self.columns.iter().zip(&widths).enumerate().map(|(column, (align, width))| match align {
                Align::Left => format!("{:<width$}", cell(row, column)),
                Align::Right => format!("{:>width$}", cell(row, column)),
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new([("pod", Align::Left), ("calls", Align::Right), ("note", Align::Left)]);
        table.row(["pod-1".into(), "7".into(), "ä".into(), "too many".into()]);
        table.row(["a-longer-name".into(), "123456".into()]);
        assert_eq!(
            table.lines(),
            ["pod             calls  note", "pod-1               7  ä", "a-longer-name  123456",]
        );
    }
}
