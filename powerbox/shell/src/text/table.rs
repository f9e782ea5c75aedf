//! Aligned columns for people. On a terminal a table is never wider than it; in a pipe nothing is shortened.

use super::escape;

/// Between two columns.
const GAP: &str = "  ";
/// No column is shortened below this width.
const COLUMN_MIN_WIDTH: usize = 8;

/// One column's title and behaviour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    right: bool,
    shrinks: bool,
}

/// A column that keeps its width.
pub(crate) const fn column(title: &'static str) -> Column {
    Column { title, right: false, shrinks: false }
}

/// A column of numbers.
pub(crate) const fn number(title: &'static str) -> Column {
    Column { title, right: true, shrinks: false }
}

/// A column that is shortened where the terminal is too narrow.
pub(crate) const fn wide(title: &'static str) -> Column {
    Column { title, right: false, shrinks: true }
}

/// Rows under titles.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// One row; every cell is escaped. Columns without a cell stay empty.
    pub(crate) fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.rows.push(cells.iter().map(|cell| escape::line(cell)).collect());
    }

    /// For this process' standard output.
    pub(crate) fn for_stdout(&self) -> String {
        self.render(stdout_width())
    }

    /// At most `width` columns a line, where columns may shrink so far.
    pub(crate) fn render(&self, width: Option<usize>) -> String {
        let seen: Vec<Vec<String>>;
        let rows = if width.is_some() {
            seen = self.rows.iter().map(|row| row.iter().map(|cell| without_gaps(cell)).collect()).collect();
            &seen
        } else {
            &self.rows
        };
        let mut widths = self.natural_widths(rows);
        if let Some(width) = width {
            self.shrink(&mut widths, width);
        }
        let titles = self.columns.iter().map(|column| column.title.to_owned()).collect();
        let mut text = String::new();
        for row in std::iter::once(&titles).chain(rows) {
            text.push_str(self.line(row, &widths).trim_end());
            text.push('\n');
        }
        text
    }

    fn natural_widths(&self, rows: &[Vec<String>]) -> Vec<usize> {
        self.columns
            .iter()
            .enumerate()
            .map(|(index, column)| {
                let cells = rows.iter().filter_map(|row| row.get(index)).map(|cell| escape::columns(cell));
                cells.max().unwrap_or(0).max(escape::columns(column.title))
            })
            .collect()
    }

    fn shrink(&self, widths: &mut [usize], width: usize) {
        let gaps = GAP.len() * self.columns.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > width {
            let shrinkable = self.columns.iter().zip(widths.iter_mut()).filter(|(column, _)| column.shrinks);
            match shrinkable.map(|(_, column_width)| column_width).max_by_key(|column_width| **column_width) {
                Some(widest) if *widest > COLUMN_MIN_WIDTH => *widest -= 1,
                _ => return,
            }
        }
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (index, (column, width)) in self.columns.iter().zip(widths).enumerate() {
            let cell = escape::shorten(cells.get(index).map_or("", String::as_str), *width);
            let padding = " ".repeat(width.saturating_sub(escape::columns(&cell)));
            let (before, after) = if column.right { (padding.as_str(), "") } else { ("", padding.as_str()) };
            if index > 0 {
                line.push_str(GAP);
            }
            line.extend([before, &cell, after]);
        }
        line
    }
}

/// A cell in which nothing looks like the gap between two columns: of several blanks in a row only the first stays one.
/// Those in front are an indent.
fn without_gaps(cell: &str) -> String {
    let words = cell.trim_start_matches(' ');
    let mut seen = cell[..cell.len() - words.len()].to_owned();
    let mut after_blank = false;
    for character in words.chars() {
        match character {
            ' ' if after_blank => escape::push_byte(&mut seen, b' '),
            _ => seen.push(character),
        }
        after_blank = character == ' ';
    }
    seen
}

/// The width of the terminal that standard output is, if it is one.
pub(crate) fn stdout_width() -> Option<usize> {
    crate::terminal::screen::width_of(std::io::stdout())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[column("NAME"), number("LINKS"), wide("OFFER")]);
        table.row(["search", "12", "host:/home/ada/a/very/long/way/down"]);
        table.row(["b", "3", "host:/x\u{1b}[2J"]);
        table
    }

    #[test]
    fn columns_align() {
        let text = table().render(None);
        assert_eq!(
            text,
            "NAME    LINKS  OFFER\nsearch     12  host:/home/ada/a/very/long/way/down\nb           3  host:/x\\x1b[2J\n"
        );
    }

    #[test]
    fn a_narrow_terminal_shortens_what_may_shrink() {
        let text = table().render(Some(30));
        assert!(text.lines().all(|line| line.chars().count() <= 30), "{text}");
        assert!(text.contains("search     12  host:/home/ada…"), "{text}");
    }

    #[test]
    fn no_cell_looks_like_two_on_a_terminal() {
        let mut table = Table::new(&[column("OBJECT"), column("RIGHTS")]);
        table.row(["host:/a  read-only  no", "read-write"]);
        table.row(["  host:/b", "read-only"]);
        let seen = "OBJECT                        RIGHTS\nhost:/a \\x20read-only \\x20no  read-write\n  host:/b                     read-only\n";
        assert_eq!(table.render(Some(80)), seen);
        assert!(table.render(None).contains("host:/a  read-only  no  read-write\n"), "a pipe takes it as it is");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        let mut table = Table::new(&[wide("SAYS"), column("NEXT")]);
        table.row(["検索する", "a"]);
        table.row(["plain", "b"]);
        assert_eq!(table.render(None), "SAYS      NEXT\n検索する  a\nplain     b\n");
    }

    #[test]
    fn a_terminal_too_narrow_for_anything_still_gets_a_table() {
        assert!(table().render(Some(1)).contains("search     12  host:/h…"));
    }
}
